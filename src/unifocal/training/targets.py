"""The target as a loss wants it, and whether a loss can be trained with."""

import torch
from torch import Tensor, nn


def target_for(loss: nn.Module, logits: Tensor, classes: Tensor) -> Tensor:
    """The target as a loss wants it.

    A loss of this package is given class indices (N, 1, *spatial) int64. Any other loss is given the same as
    float32 where the network has one output channel, because `BCEWithLogitsLoss` and its kin require it.
    """
    own = type(loss).__module__.startswith("unifocal.") or classes.is_floating_point()
    return classes if own or logits.shape[1] > 1 else classes.float()


def try_loss(loss: nn.Module, out_channels: int, *, is_regions: bool = False) -> str:
    """Call a loss once on small logits, as training will: with class indices, or with the masks of regions.

    One with weights that learn is refused: training changes the network's alone.

    Returns:
        What is wrong with it; empty if nothing is.
    """
    learning = [name for name, weight in loss.named_parameters() if weight.requires_grad]
    if learning:
        named = ", ".join(learning[:3]) + (", ..." if len(learning) > 3 else "")
        only = "but training changes those of the network alone; fix them: requires_grad_(False)"
        return f"has weights that would have to learn ({named}), {only}"
    logits = torch.linspace(-1, 1, 2 * out_channels * 64).reshape(2, out_channels, 8, 8).requires_grad_()
    classes = torch.arange(128).reshape(2, 1, 8, 8) % max(out_channels, 2)
    if is_regions:
        classes = (classes > torch.arange(out_channels).reshape(1, -1, 1, 1)).float()
    try:
        value = loss(logits, target_for(loss, logits, classes))
    except Exception as error:  # noqa: BLE001 - somebody else's code may raise anything
        return f"failed when it was called: {type(error).__name__}: {error}"
    if not isinstance(value, Tensor) or value.numel() != 1:
        return f"gave {value.shape if isinstance(value, Tensor) else type(value).__name__}, expected a single number"
    if not value.isfinite():
        return f"gave {value.item()} for ordinary logits"
    if not value.requires_grad or torch.autograd.grad(value, logits)[0].abs().sum() == 0:
        return "has no gradient"
    return ""
