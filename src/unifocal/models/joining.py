"""Going up one level of a U-Net: transposed convolution, then the skip's channels beside its own."""

from typing import Any

import torch
from torch import Tensor, nn

from unifocal.models.layout import channels_last

_TRANSPOSED = {4: nn.functional.conv_transpose2d, 5: nn.functional.conv_transpose3d}


def raise_and_join(up: nn.Module, x: Tensor, skip: Tensor) -> Tensor:
    """What `torch.cat([up(x), skip], dim=1)` is, with a faster way back on the processor.

    There PyTorch (as of 2.13) spends more time on the gradient of the transposed convolution's bias than on all its
    other gradients, and leaves gradients that lie apart in memory to those who add them up.

    Args:
        up: `ConvTranspose2d` or `ConvTranspose3d` without padding, whose stride is its kernel's size.
        x: (N, channels, *spatial).
        skip: (N, others, *finer).

    Returns:
        (N, up's channels + others, *finer).
    """
    assert isinstance(up, nn.ConvTranspose2d | nn.ConvTranspose3d)
    if up.bias is None or _is_hooked(up) or x.device.type != "cpu" or not torch.is_grad_enabled() or _is_recorded():
        return torch.cat([up(x), skip], dim=1)
    raised = _TRANSPOSED[x.ndim](x, up.weight, up.bias.detach(), stride=up.stride)
    joined: Tensor = _Join.apply(raised, up.bias, skip)  # type: ignore[no-untyped-call]
    return joined


def _is_recorded() -> bool:
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()  # noqa: SLF001


def _is_hooked(module: nn.Module) -> bool:
    """Whether somebody listens to the module being called, such as weight normalisation or a feature extractor."""
    own = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)  # noqa: SLF001
    return any(own) or bool(nn.modules.module._has_any_global_hook())  # noqa: SLF001


class _Join(torch.autograd.Function):
    """Concatenation; `raised` was given the bias as a constant, whose gradient is worked out here."""

    @staticmethod
    def forward(ctx: Any, raised: Tensor, bias: Tensor, skip: Tensor) -> Tensor:
        ctx.channels, ctx.dtype = raised.shape[1], bias.dtype
        return torch.cat([raised, skip], dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        layout = torch.contiguous_format
        if not gradient.is_contiguous():
            layout = channels_last(gradient.ndim - 2)
        raised = gradient[:, : ctx.channels].contiguous(memory_format=layout)
        skip = gradient[:, ctx.channels :].contiguous(memory_format=layout)
        of_bias = raised.sum(dim=(0, *range(2, raised.ndim))).to(ctx.dtype)
        return raised, of_bias, skip
