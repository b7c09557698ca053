"""Labels as one number per class: what the formula, read as it is written, works on."""

from typing import NamedTuple

import torch
from torch import Tensor

from unifocal.losses.recording import recording
from unifocal.losses.targets import Voxels


class Dense(NamedTuple):
    """`Voxels` in float32 or wider, with one label per class.

    Attributes:
        logits: (N, K, C, M), or (N, K, 1, M) where one logit decides between two classes.
        labels: (N, K, C, M), in [0, 1].
        weight: (N, K or 1, 1, M), not negative; None where all positions count as one.
    """

    logits: Tensor
    labels: Tensor
    weight: Tensor | None


def dense(voxels: Voxels) -> Dense:
    """The voxels, with their values checked.

    Ignored positions and those of weight 0 get the weight 0 and the logit 0, so that nothing that
    stands there, NaN included, has any effect; nor has any label there.

    Raises:
        ValueError: If a value does not fit.
    """
    logits = voxels.logits.to(voxels.dtype)
    weight = None if voxels.weight is None else checked_weight(voxels.weight.to(logits.dtype))
    labels, counted = _soft_labels(voxels) if voxels.soft else _hard_labels(voxels)
    if counted is not None:
        weight = counted.to(logits.dtype) if weight is None else weight * counted
    if weight is not None:
        weight = weight.unsqueeze(2)
        logits = logits.masked_fill(weight == 0, 0)
    return Dense(logits, labels, weight)


def _soft_labels(voxels: Voxels) -> tuple[Tensor, Tensor | None]:
    """Labels (N, K, C, M), and which positions count (N, K, M), None for all."""
    labels, counted = voxels.labels.to(voxels.dtype), None
    if voxels.ignore_index is not None:
        counted = (labels != voxels.ignore_index).squeeze(2)
        labels = labels * counted.unsqueeze(2)
    if voxels.weight is not None:
        labels = labels.masked_fill((voxels.weight == 0).unsqueeze(2), 0)
    if not recording() and not bool(((labels >= 0) & (labels <= 1)).all()):
        raise _outside_0_and_1(float(labels.min()), float(labels.max()))
    return (labels if labels.shape[2] > 1 else torch.cat([1 - labels, labels], dim=2)), counted


def _hard_labels(voxels: Voxels) -> tuple[Tensor, Tensor | None]:
    """Labels (N, K, C, M), and which positions count (N, K, M), None for all."""
    check_labels(voxels)
    indices, counted = voxels.labels.long(), None
    if voxels.ignore_index is not None:
        counted = indices != voxels.ignore_index
        indices = indices * counted
    classes = torch.arange(voxels.classes, device=indices.device)
    return (indices.unsqueeze(2) == classes[:, None]).to(voxels.dtype), counted


def check_labels(voxels: Voxels) -> None:
    """Check the class of every position whose weight is not 0.

    Raises:
        ValueError: If it is no class of the logits and not the ignored one.
    """
    if voxels.labels.dtype == torch.bool or recording():
        return
    counted = voxels.labels
    if voxels.weight is not None:
        counted = counted[(voxels.weight != 0).expand_as(counted)]
    if voxels.ignore_index is not None:
        counted = counted[counted != voxels.ignore_index]
    if not counted.numel():
        return
    low, high = (x.item() for x in counted.aminmax())
    if not 0 <= low <= high <= voxels.classes - 1:
        raise labels_error(voxels, low, high)
    if counted.is_floating_point() and not bool((counted == counted.round()).all()):
        raise ValueError(
            f"class indices must be whole numbers, got some between {low:g} and {high:g} that are not; "
            f"soft labels need one channel per class"
        )


def labels_error(voxels: Voxels, low: float, high: float) -> ValueError:
    """The error for labels from `low` to `high`."""
    classes = voxels.classes
    if voxels.logits.shape[2] == 1:
        return _outside_0_and_1(low, high)
    return ValueError(
        f"target holds the class indices {low:g} to {high:g}, but the logits have {classes} "
        f"classes, 0 to {classes - 1}, and ignore_index is {voxels.ignore_index}"
    )


def _outside_0_and_1(low: float, high: float) -> ValueError:
    return ValueError(
        f"labels must lie in [0, 1], got {low:g} to {high:g}; "
        "class indices above 1 need as many channels, an ignored value needs ignore_index"
    )


def checked_weight(weight: Tensor) -> Tensor:
    """The weights.

    Raises:
        ValueError: If one is negative, infinite or not a number.
    """
    if not recording() and not bool(((weight >= 0) & weight.isfinite()).all()):
        raise ValueError("weight must be finite and not negative everywhere")
    return weight
