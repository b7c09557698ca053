"""Logits, targets and weight maps in the many shapes they come in, brought into one."""

from typing import NamedTuple

import torch
from torch import Tensor

from unifocal.losses.options import Activation


class Voxels(NamedTuple):
    """N samples, K problems of C classes, M positions; see `Layout`.

    Attributes:
        logits: (N, K, C, M), or (N, K, 1, M) where one logit decides between two classes.
        labels: (N, K, C, M), in [0, 1].
        weight: (N, K or 1, 1, M), not negative; None where all positions count as one.
    """

    logits: Tensor
    labels: Tensor
    weight: Tensor | None


def prepare(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    *,
    activation: Activation,
    ignore_index: int | None,
) -> Voxels:
    """Bring logits and target into one shape, in float32 or wider.

    Ignored positions and those of weight 0 get the weight 0 and the logit 0, so that nothing that
    stands there, NaN included, has any effect. The range checks wait for the device.

    Args:
        logits: (N, C, *spatial), floating point.
        target: Class indices (N, *spatial) or (N, 1, *spatial) of an integer dtype; or
            one-hot or soft labels (N, C, *spatial) in [0, 1]. For one channel, and for each
            channel under sigmoid, the label of the foreground.
        weight: (N, *spatial) or (N, 1, *spatial), under sigmoid also (N, C, *spatial).
        activation: `softmax` or `sigmoid`.
        ignore_index: The target value to leave out; None for none.

    Raises:
        TypeError: If a dtype does not fit.
        ValueError: If shapes or values do not fit.
    """
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating point, got {logits.dtype}")
    if logits.ndim < 2 or not logits.numel():
        raise ValueError(f"logits must have the shape (N, C, *spatial), none of it 0, got {tuple(logits.shape)}")
    samples, channels = logits.shape[:2]
    z = logits.reshape(samples, channels, -1)
    z = z.float() if z.dtype in {torch.float16, torch.bfloat16} else z
    flat = _flat_target(logits, target, activation)
    if channels == 1 or activation == "sigmoid":
        z = z.unsqueeze(2)
        labels, ignored = _two_class_labels(flat, z.dtype, ignore_index)
    else:
        z = z.unsqueeze(1)
        labels, ignored = _multi_class_labels(flat, channels, z.dtype, ignore_index)
    combined = _weights(logits, weight, ignored, z.dtype, multi_label=activation == "sigmoid")
    if combined is not None:
        z = z.masked_fill(combined == 0, 0)
    return Voxels(z, labels, combined)


def _flat_target(logits: Tensor, target: Tensor, activation: Activation) -> Tensor:
    """The target as (N, 1 or C, M), its shape checked."""
    samples, channels, *spatial = logits.shape
    one = [(samples, *spatial), (samples, 1, *spatial)]
    every = (samples, channels, *spatial)
    valid = [every] if activation == "sigmoid" and channels > 1 else [*one, every]
    if tuple(target.shape) not in valid:
        indices = "" if len(valid) == 1 else f"class indices {one[0]} or {one[1]}, or "
        raise ValueError(
            f"target has the shape {tuple(target.shape)}, but with logits {tuple(logits.shape)} and "
            f"activation {activation!r} it must be {indices}one-hot or soft labels {every}"
        )
    return target.reshape(samples, -1 if tuple(target.shape) == every else 1, logits[0, 0].numel())


def _two_class_labels(target: Tensor, dtype: torch.dtype, ignore_index: int | None) -> tuple[Tensor, Tensor | None]:
    """(N, K, M) foreground labels to (N, K, 2, M), and which to ignore (N, K, 1, M)."""
    foreground, ignored = _without_ignored(target, ignore_index)
    foreground = _in_unit_range(foreground.to(dtype)).unsqueeze(2)
    labels = torch.cat([1 - foreground, foreground], dim=2)
    return labels, None if ignored is None else ignored.unsqueeze(2)


def _multi_class_labels(
    target: Tensor, classes: int, dtype: torch.dtype, ignore_index: int | None
) -> tuple[Tensor, Tensor | None]:
    """(N, 1, M) indices or (N, C, M) labels to (N, 1, C, M), and which to ignore (N, 1, 1, M)."""
    if target.shape[1] == classes:
        if ignore_index is not None:
            raise ValueError(
                "ignore_index needs class indices; with one-hot or soft labels, "
                "pass weight=, a map that is 0 where a position is to be ignored"
            )
        return _in_unit_range(target.to(dtype)).unsqueeze(1), None
    if target.is_floating_point():
        raise TypeError(f"class indices must be of an integer dtype, got {target.dtype}: .long()")
    indices, ignored = _without_ignored(target, ignore_index)
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"target holds the class indices {low} to {high}, but the logits have {classes} "
            f"classes, 0 to {classes - 1}, and ignore_index is {ignore_index}"
        )
    shape = (target.shape[0], classes, target.shape[2])
    labels = torch.zeros(shape, dtype=dtype, device=target.device).scatter_(1, indices, 1)
    return labels.unsqueeze(1), None if ignored is None else ignored.unsqueeze(1)


def _without_ignored(target: Tensor, ignore_index: int | None) -> tuple[Tensor, Tensor | None]:
    """The target with 0 where it is ignored, and where that is."""
    target = target if target.is_floating_point() else target.long()
    if ignore_index is None:
        return target, None
    ignored = target == ignore_index
    return target.masked_fill(ignored, 0), ignored


def _in_unit_range(labels: Tensor) -> Tensor:
    if not bool(((labels >= 0) & (labels <= 1)).all()):
        raise ValueError(
            f"labels must lie in [0, 1], got {float(labels.min()):g} to {float(labels.max()):g}; "
            "class indices above 1 need as many channels, an ignored value needs ignore_index"
        )
    return labels


def _weights(
    logits: Tensor,
    weight: Tensor | None,
    ignored: Tensor | None,
    dtype: torch.dtype,
    *,
    multi_label: bool,
) -> Tensor | None:
    """The weight map without the ignored positions, (N, K or 1, 1, M)."""
    if weight is None:
        return None if ignored is None else (~ignored).to(dtype)
    samples, channels, *spatial = logits.shape
    valid = [(samples, *spatial), (samples, 1, *spatial)]
    valid += [(samples, channels, *spatial)] if multi_label else []
    if tuple(weight.shape) not in valid:
        raise ValueError(
            f"weight has the shape {tuple(weight.shape)}, but with logits {tuple(logits.shape)} "
            f"it must be one of {valid}"
        )
    many = tuple(weight.shape) == (samples, channels, *spatial)
    flat = weight.to(dtype).reshape(samples, channels if many else 1, 1, -1)
    if not bool(((flat >= 0) & flat.isfinite()).all()):
        raise ValueError("weight must be finite and not negative everywhere")
    return flat if ignored is None else flat.masked_fill(ignored, 0)
