"""The fused way on a GPU: the kernels' sums with their input checked."""

import torch
from torch import Tensor

from unifocal.losses.dense import check_labels, checked_weight
from unifocal.losses.fused import kernels
from unifocal.losses.parameters import Parameters, Sums, Upstream
from unifocal.losses.targets import Voxels


def forward(voxels: Voxels, parameters: Parameters, *, keep: bool) -> tuple[Sums, None]:  # noqa: ARG001
    """The sums; nothing is kept for the backward pass.

    Labels and weights are checked after the fact, which waits for the GPU; not while a CUDA graph is recorded.

    Raises:
        ValueError: If a label or a weight does not fit.
    """
    counts = kernels.sums(voxels, parameters.alpha, parameters.phi, region=parameters.region, voxel=parameters.voxel)
    if not (voxels.logits.is_cuda and torch.cuda.is_current_stream_capturing()):
        _check(voxels, counts)
    return Sums(*counts[:5]), None


def backward(voxels: Voxels, parameters: Parameters, left: None, upstream: Upstream) -> Tensor:  # noqa: ARG001
    """The gradient in the logits."""
    wanted = (parameters.region,) * 3 + (parameters.voxel,)
    parts = (part if want else None for part, want in zip(upstream, wanted, strict=True))
    return kernels.gradient(voxels, parameters.alpha, parameters.phi, kernels.Upstream(*parts))


def _check(voxels: Voxels, counts: kernels.Counts) -> None:
    if voxels.labels.dtype != torch.bool:
        low, high = torch.stack([counts.low, counts.high]).tolist()
        if low <= high and not 0 <= low <= high < voxels.classes:
            check_labels(voxels)
    if voxels.weight is not None and not bool(counts.positions.isfinite().all()):
        checked_weight(voxels.weight)
