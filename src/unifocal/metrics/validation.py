"""What the metrics refuse to score, and how they say so."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_input(
    truth: NDArray[Any],
    prediction: NDArray[Any],
    spacing_mm: Sequence[float] | None,
    labels: Sequence[int] | None,
    probabilities: NDArray[Any] | None,
    tolerance: float,
) -> None:
    """Check what `score_case` takes.

    Raises:
        ValueError: If anything cannot be scored; it names everything that is wrong.
    """
    wrong = [*_masks(truth, prediction), *_spacing(spacing_mm, truth.ndim), *_labels(labels)]
    if not tolerance >= 0:
        wrong.append(f"tolerance is {tolerance}; expected 0 or more")
    if probabilities is not None:
        wrong += _probabilities(probabilities, labels, truth.shape)
    if wrong:
        raise ValueError("\n".join(wrong))


def _masks(truth: NDArray[Any], prediction: NDArray[Any]) -> Iterator[str]:
    for name, mask in (("truth", truth), ("prediction", prediction)):
        if mask.dtype.kind not in "iub":
            yield f"{name} is of type {mask.dtype}; expected integer labels"
        if mask.ndim not in (2, 3) or mask.size == 0:
            yield f"{name} has shape {mask.shape}; expected a 2D or 3D mask that is not empty"
        elif mask.dtype.kind == "i" and mask.min() < 0:
            yield f"{name} holds the label {mask.min()}; expected 0 (background) and above"
    if truth.shape != prediction.shape:
        yield f"truth has shape {truth.shape}, prediction {prediction.shape}; expected the same"


def _spacing(spacing_mm: Sequence[float] | None, ndim: int) -> Iterator[str]:
    if spacing_mm is None:
        return
    if len(spacing_mm) != ndim:
        yield f"spacing_mm is {list(spacing_mm)}; expected {ndim} numbers, one per axis"
    if not all(np.isfinite(step) and step > 0 for step in spacing_mm):
        yield f"spacing_mm is {list(spacing_mm)}; expected finite numbers above 0"


def _labels(labels: Sequence[int] | None) -> Iterator[str]:
    if labels is None:
        return
    whole = all(isinstance(label, (int, np.integer)) and label > 0 for label in labels)
    if not whole or len(set(labels)) != len(labels):
        yield f"labels are {list(labels)}; expected distinct integers above 0 (0 is the background)"


def _probabilities(probabilities: NDArray[Any], labels: Sequence[int] | None, shape: tuple[int, ...]) -> Iterator[str]:
    if labels is None:
        yield "probabilities came without labels; expected labels, to know which channel is whose"
        return
    channels = [len(labels) + 1] if len(labels) != 1 else [2, 1]
    expected = [(channel, *shape) for channel in channels]
    if probabilities.shape not in expected:
        wanted = " or ".join(map(str, expected))
        yield f"probabilities have shape {probabilities.shape}; expected {wanted}"
    elif probabilities.size:
        lowest, highest = probabilities.min(), probabilities.max()
        if not (lowest >= 0 and highest <= 1):
            yield f"probabilities run from {lowest} to {highest}; expected 0 to 1"
