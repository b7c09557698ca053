"""The formula's sums with an analytic gradient: on the CPU in pieces that fit the cache, on CUDA by kernels."""
