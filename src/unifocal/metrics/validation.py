"""What the metrics refuse to score, and how they say so."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_masks(truth: NDArray[Any], prediction: NDArray[Any]) -> None:
    """Check that two masks can be compared.

    Raises:
        ValueError: If they are not integer or boolean, not 2D or 3D, empty, of different shapes or
            negative.
    """
    for name, mask in (("truth", truth), ("prediction", prediction)):
        if mask.dtype.kind not in "iub":
            raise ValueError(f"{name} is of type {mask.dtype}; expected integer labels")
        if mask.ndim not in (2, 3) or mask.size == 0:
            raise ValueError(f"{name} has shape {mask.shape}; expected a 2D or 3D mask that is not empty")
        if mask.dtype.kind == "i" and mask.min() < 0:
            raise ValueError(f"{name} holds the label {mask.min()}; expected 0 (background) and above")
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape}, prediction {prediction.shape}; expected the same")


def check_spacing(spacing_mm: Sequence[float] | None, ndim: int) -> None:
    """Check that there is one positive spacing per axis.

    Raises:
        ValueError: If there is not.
    """
    if spacing_mm is None:
        return
    if len(spacing_mm) != ndim:
        raise ValueError(f"spacing_mm is {list(spacing_mm)}; expected {ndim} numbers, one per axis")
    if not all(np.isfinite(step) and step > 0 for step in spacing_mm):
        raise ValueError(f"spacing_mm is {list(spacing_mm)}; expected finite numbers above 0")


def check_labels(labels: Sequence[int] | None) -> None:
    """Check that labels are distinct integers above 0.

    Raises:
        ValueError: If they are not.
    """
    if labels is None:
        return
    whole = all(isinstance(label, (int, np.integer)) and label > 0 for label in labels)
    if not whole or len(set(labels)) != len(labels):
        raise ValueError(f"labels are {list(labels)}; expected distinct integers above 0 (0 is the background)")


def check_probabilities(probabilities: NDArray[Any], labels: Sequence[int] | None, shape: tuple[int, ...]) -> None:
    """Check that there is one probability map for each label.

    Raises:
        ValueError: If `labels` are not given, the shape is wrong or a value lies outside [0, 1].
    """
    if labels is None:
        raise ValueError("probabilities came without labels; expected labels, to know which channel is whose")
    channels = [len(labels) + 1] if len(labels) != 1 else [2, 1]
    expected = [(channel, *shape) for channel in channels]
    if probabilities.shape not in expected:
        wanted = " or ".join(map(str, expected))
        raise ValueError(f"probabilities have shape {probabilities.shape}; expected {wanted}")
    lowest, highest = probabilities.min(), probabilities.max()
    if not (lowest >= 0 and highest <= 1):
        raise ValueError(f"probabilities run from {lowest} to {highest}; expected 0 to 1")
