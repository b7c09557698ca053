"""Large tensors, ready for their first use."""

import ctypes
import mmap
import sys

import torch
from torch import Tensor

LARGE = 1 << 22
"""Bytes from which a tensor is mapped afresh each time, a page at its first touch."""


def empty(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """An uninitialised, contiguous tensor on the CPU.

    The first touch of fresh memory costs more than the arithmetic that fills it; in large pages it does not.
    """
    tensor = torch.empty(shape, dtype=dtype, device="cpu")
    size = tensor.numel() * tensor.element_size()
    if _C_LIBRARY is not None and size >= LARGE:
        page = mmap.PAGESIZE
        first = -(-tensor.data_ptr() // page) * page
        # Only advice: where it is refused, the tensor is as good and a little slower.
        _C_LIBRARY.madvise(ctypes.c_void_p(first), ctypes.c_size_t(size - page), mmap.MADV_HUGEPAGE)
    return tensor


_C_LIBRARY = ctypes.CDLL(None) if sys.platform == "linux" else None
