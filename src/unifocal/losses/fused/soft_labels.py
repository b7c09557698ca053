"""The fused way for soft labels: the plain formula and its gradient, a piece at a time."""

import torch
from torch import Tensor

from unifocal.losses.dense import dense
from unifocal.losses.formula import voxel_sums
from unifocal.losses.parameters import Parameters, Sums, Upstream
from unifocal.losses.targets import Voxels

NUMBERS = 1 << 16
"""Logits of a piece, of all samples together."""


def forward(voxels: Voxels, parameters: Parameters, *, keep: bool) -> tuple[Sums, None]:  # noqa: ARG001
    """The sums; nothing is kept for the backward pass.

    Raises:
        ValueError: If a label or a weight does not fit.
    """
    total = [torch.zeros((), dtype=torch.float64, device="cpu")] * 5
    for positions in _pieces(voxels):
        part = voxel_sums(dense(_part(voxels, positions)), parameters)
        total = [so_far + more for so_far, more in zip(total, part, strict=True)]
    return Sums(*(part.to(voxels.dtype) for part in total)), None


def backward(voxels: Voxels, parameters: Parameters, left: None, upstream: Upstream) -> Tensor:  # noqa: ARG001
    """The gradient in the logits."""
    gradient = torch.empty_like(voxels.logits, memory_format=torch.contiguous_format)
    for positions in _pieces(voxels):
        part = _part(voxels, positions)
        with torch.enable_grad():
            logits = part.logits.detach().requires_grad_()
            sums = voxel_sums(dense(part._replace(logits=logits)), parameters)
            (gradient[..., positions],) = torch.autograd.grad(sums[:4], logits, upstream)
    return gradient


def _part(voxels: Voxels, positions: slice) -> Voxels:
    return voxels.part(slice(None), slice(None), positions)


def _pieces(voxels: Voxels) -> list[slice]:
    """Positions of about `NUMBERS` logits each."""
    positions = voxels.logits.shape[3]
    length = max(1, NUMBERS * positions // voxels.logits.numel())
    return [slice(start, start + length) for start in range(0, positions, length)]
