"""Pooling the sums over the batch and over the ranks of a distributed run."""

from typing import Any

import torch
from torch import Tensor, distributed

from unifocal.losses.parameters import Sums


def pool(sums: Sums) -> Sums:
    """The sums of all samples of all ranks, as one sample.

    Under `torch.distributed` every rank must make the call. Its backward pass adds up the ranks'
    gradients, so that after the averaging of `DistributedDataParallel` the gradient is the one that
    a single process would have computed from the whole batch.

    Returns:
        Sums with N = 1.
    """
    pooled = Sums(*(part.sum(dim=0, keepdim=True) for part in sums))
    if not (distributed.is_available() and distributed.is_initialized()):
        return pooled
    flat: Tensor = _SumOverRanks.apply(  # type: ignore[no-untyped-call]
        torch.cat([part.flatten() for part in pooled])
    )
    parts = torch.split(flat, [part.numel() for part in pooled])
    return Sums(*(new.view_as(old) for new, old in zip(parts, pooled, strict=True)))


class _SumOverRanks(torch.autograd.Function):
    """The sum over the ranks; its gradient is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ARG004
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total
