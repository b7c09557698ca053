"""Logits, targets and weight maps in the many shapes they come in, brought into one without a copy."""

from typing import NamedTuple

import torch
from torch import Tensor

from unifocal.losses.options import Activation
from unifocal.losses.recording import recording


class Voxels(NamedTuple):
    """N samples, K problems of C classes, M positions; see `Layout`. Views of what the user gave.

    Attributes:
        logits: (N, K, C, M), or (N, K, 1, M) where one logit decides between two classes.
        labels: (N, K, M), the class of every position; or soft labels, (N, K, C, M) or, for one logit,
            (N, K, 1, M).
        weight: (N, K or 1, M); None where all positions count as one.
        ignore_index: The class that is to count as if it were not there; None for none.
    """

    logits: Tensor
    labels: Tensor
    weight: Tensor | None
    ignore_index: int | None

    @property
    def classes(self) -> int:
        """C, at least 2."""
        return max(2, self.logits.shape[2])

    @property
    def soft(self) -> bool:
        """Whether the labels are probabilities."""
        return self.labels.ndim == 4

    @property
    def dtype(self) -> torch.dtype:
        """The dtype to compute in: float32 or wider."""
        return torch.promote_types(self.logits.dtype, torch.float32)

    def part(self, samples: slice, problems: slice, positions: slice) -> "Voxels":
        """A part of them, without a copy."""
        weight = self.weight
        if weight is not None:
            weight = weight[samples, problems if weight.shape[1] > 1 else slice(None), positions]
        return Voxels(
            self.logits[samples, problems, :, positions],
            self.labels[samples, problems, ..., positions],
            weight,
            self.ignore_index,
        )


def prepare(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    *,
    activation: Activation,
    ignore_index: int | None,
) -> Voxels:
    """Check types and shapes, and see all in the same way. Values are checked where they are read.

    Args:
        logits: (N, C, *spatial), floating point.
        target: Class indices (N, *spatial) or (N, 1, *spatial); or one-hot or soft labels
            (N, C, *spatial) in [0, 1]. For one channel, and for each channel under sigmoid, the label
            of the foreground.
        weight: (N, *spatial) or (N, 1, *spatial), under sigmoid also (N, C, *spatial).
        activation: `softmax` or `sigmoid`.
        ignore_index: The target value to leave out; None for none.

    Raises:
        TypeError: If a dtype does not fit.
        ValueError: If shapes do not fit.
    """
    logits, target = plain(logits), plain(target)
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating point, got {logits.dtype}")
    if logits.ndim < 2 or not logits.numel():
        raise ValueError(f"logits must have the shape (N, C, *spatial), none of it 0, got {tuple(logits.shape)}")
    if target.is_complex():
        raise TypeError(f"target must be class indices or labels in [0, 1], got {target.dtype}")
    samples, channels = logits.shape[:2]
    flat = logits.reshape(samples, channels, -1)
    if target.dtype in {torch.uint16, torch.uint32, torch.uint64}:
        target = target.long()  # PyTorch does little with these.
    labels = _flat_target(logits, target, activation)
    weight = None if weight is None else _flat_weight(logits, plain(weight), activation)
    per_class = labels.shape[1] > 1 and activation == "softmax"
    if per_class and ignore_index is not None:
        raise ValueError(
            "ignore_index needs class indices; with one-hot or soft labels, "
            "pass weight=, a map that is 0 where a position is to be ignored"
        )
    ignore_index = ignore_index if _can_hold(labels.dtype, ignore_index) else None
    if channels == 1 or activation == "sigmoid":
        hard = not labels.is_floating_point() or (not labels.requires_grad and _only_0_and_1(labels, ignore_index))
        return Voxels(flat.unsqueeze(2), labels if hard else labels.unsqueeze(2), weight, ignore_index)
    return Voxels(flat.unsqueeze(1), labels.unsqueeze(1) if per_class else labels, weight, ignore_index)


def plain(tensor: Tensor) -> Tensor:
    """The tensor without what a subclass adds, such as MONAI's record of an image's affine."""
    return tensor if type(tensor) is Tensor else tensor.as_subclass(Tensor)


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


def _flat_weight(logits: Tensor, weight: Tensor, activation: Activation) -> Tensor:
    """The weight map as (N, 1 or C, M), its shape checked."""
    samples, channels, *spatial = logits.shape
    valid = [(samples, *spatial), (samples, 1, *spatial)]
    valid += [(samples, channels, *spatial)] if activation == "sigmoid" else []
    if tuple(weight.shape) not in valid:
        raise ValueError(
            f"weight has the shape {tuple(weight.shape)}, but with logits {tuple(logits.shape)} "
            f"it must be one of {valid}"
        )
    many = tuple(weight.shape) == (samples, channels, *spatial)
    return weight.reshape(samples, channels if many else 1, -1)


def _can_hold(dtype: torch.dtype, value: int | None) -> bool:
    """Whether labels of the dtype can be that value; a comparison would wrap it around."""
    if value is None:
        return False
    if dtype == torch.bool:
        return value in {0, 1}
    return dtype.is_floating_point or torch.iinfo(dtype).min <= value <= torch.iinfo(dtype).max


def _only_0_and_1(labels: Tensor, ignore_index: int | None) -> bool:
    """Whether floating-point labels of a foreground are a mask that was only stored as floats."""
    if recording():
        return False
    ignored = 0 if ignore_index is None else ignore_index
    return all(
        bool(((part == 0) | (part == 1) | (part == ignored)).all()) for part in torch.split(labels, 1 << 18, dim=-1)
    )
