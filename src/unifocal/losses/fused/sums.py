"""The formula's sums with an analytic gradient: one pass forward, one pass back, nothing else of full size.

On the CPU the voxels are walked in pieces that fit the cache. What the backward pass needs is left in the
tensor that becomes the gradient, so it computes no exponential a second time. On CUDA two Triton kernels
do the same work. Whatever they cannot do is left to `formula`: derivatives of the gradient, several gradients
at once, forward mode, `torch.func` and `torch.compile`, gradients in labels or weights, other devices.
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from unifocal.losses.dense import dense
from unifocal.losses.formula import voxel_sums
from unifocal.losses.fused import soft_labels, walk
from unifocal.losses.parameters import Parameters, Sums, Upstream
from unifocal.losses.recording import batched, forward_mode, recording
from unifocal.losses.targets import Voxels


def fused_sums(voxels: Voxels, parameters: Parameters) -> Sums:
    """What `formula.voxel_sums` gives, faster and in less memory where that can be done.

    Sums that `parameters` do not ask for are 0.
    """
    way = _way(voxels)
    if way is None:
        return voxel_sums(dense(voxels), parameters)
    sums: tuple[Tensor, ...] = _FusedSums.apply(*voxels, parameters, way)  # type: ignore[no-untyped-call]
    return Sums(*sums)


def _way(voxels: Voxels) -> ModuleType | None:
    """The module that can do the work; None where only the plain formula can."""
    logits, labels, weight, _ = voxels
    if recording() or forward_mode(logits) or labels.requires_grad or (weight is not None and weight.requires_grad):
        return None
    if logits.device.type == "cuda" and not voxels.soft:
        return _kernels()
    if logits.device.type != "cpu":
        return None
    return soft_labels if voxels.soft else walk


def _kernels() -> ModuleType | None:
    """The Triton kernels, where Triton is installed."""
    try:
        from unifocal.losses.fused import gpu
    except ImportError:
        return None
    return gpu


class _FusedSums(torch.autograd.Function):
    """The sums, differentiable in the logits."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        labels: Tensor,
        weight: Tensor | None,
        ignore_index: int | None,
        parameters: Parameters,
        way: ModuleType,
    ) -> Sums:
        voxels = Voxels(logits, labels, weight, ignore_index)
        with torch.autocast(logits.device.type, enabled=False):
            sums: Sums
            sums, left = way.forward(voxels, parameters, keep=ctx.needs_input_grad[0])
        ctx.save_for_backward(logits, labels, weight)
        ctx.ignore_index, ctx.parameters, ctx.way, ctx.left = ignore_index, parameters, way, left
        ctx.mark_non_differentiable(sums.positions)
        return sums

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        logits, labels, weight = ctx.saved_tensors
        voxels, parameters = Voxels(logits, labels, weight, ctx.ignore_index), ctx.parameters
        upstream = Upstream(*gradients[:4])
        nothing = (None,) * 5
        if torch.is_grad_enabled():
            return (_gradient_by_formula(voxels, parameters, upstream, differentiable=True), *nothing)
        if recording() or any(map(batched, upstream)):
            # Several gradients at once, as `is_grads_batched=True` asks for them.
            alone = voxels._replace(logits=logits.detach().requires_grad_())
            with torch.enable_grad():
                return (_gradient_by_formula(alone, parameters, upstream, differentiable=False), *nothing)
        # The gradient is written over what was left; a second pass has to begin anew.
        left, ctx.left = ctx.left, None
        with torch.autocast(logits.device.type, enabled=False):
            return (ctx.way.backward(voxels, parameters, left, upstream), *nothing)


def _gradient_by_formula(voxels: Voxels, parameters: Parameters, upstream: Upstream, *, differentiable: bool) -> Tensor:
    """The gradient by the plain formula, which can be differentiated again, and computed for several losses at once."""
    sums = voxel_sums(dense(voxels), parameters)
    (gradient,) = torch.autograd.grad(sums[:4], voxels.logits, upstream, create_graph=differentiable)
    return gradient
