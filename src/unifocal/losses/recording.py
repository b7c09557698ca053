"""Whether PyTorch only records what is to be done with tensors, so that their values cannot be looked at."""

import torch
from torch import Tensor
from torch.autograd import forward_ad


def recording() -> bool:
    """Whether `torch.compile`, `torch.export`, `torch.jit.trace` or a transform of `torch.func` is at work."""
    return torch.compiler.is_compiling() or _tracing() or _transforming()


def forward_mode(tensor: Tensor) -> bool:
    """Whether the tensor carries a tangent of forward-mode differentiation."""
    return forward_ad.unpack_dual(tensor).tangent is not None


def batched(tensor: Tensor) -> bool:
    """Whether the tensor stands for several at once, under `vmap` or the older one of `is_grads_batched=True`."""
    kinds = torch._C._functorch  # noqa: SLF001
    return bool(kinds.is_batchedtensor(tensor) or kinds.is_legacy_batchedtensor(tensor))


def _tracing() -> bool:
    return bool(torch._C._get_tracing_state())  # noqa: SLF001


def _transforming() -> bool:
    return bool(torch._C._are_functorch_transforms_active())  # noqa: SLF001
