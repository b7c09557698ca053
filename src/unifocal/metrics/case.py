"""Every score of one case."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.metrics.calibration import brier
from unifocal.metrics.definitions import METRICS
from unifocal.metrics.overlap import Counts, count, overlap_scores
from unifocal.metrics.surface import SURFACE_DISTANCES, image_diagonal, surface_distances
from unifocal.metrics.validation import (
    check_labels,
    check_masks,
    check_probabilities,
    check_spacing,
)


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one label of one case.

    Attributes:
        label: The integer in the masks.
        metric: A name in `METRICS`.
        value: None where the metric is undefined.
        unit: Empty for ratios, else `mm`, `mm2`, `mm3` or `px` (one element, pixel or voxel).
        reason: Why the value is undefined or not the formula's; empty otherwise.
    """

    label: int
    metric: str
    value: float | None
    unit: str
    reason: str


def score_case(
    truth: NDArray[Any],
    prediction: NDArray[Any],
    spacing_mm: Sequence[float] | None = None,
    labels: Sequence[int] | None = None,
    probabilities: NDArray[Any] | None = None,
    tolerance: float = 2.0,
) -> list[Score]:
    """Score one predicted mask against the truth.

    When one of the two masks lacks a label, its overlap metrics are 0 (recall is undefined when it
    is the truth that lacks it) and its distances are the image diagonal between element centres,
    `sqrt(sum(((n - 1) * spacing)^2))`, so that a missed lesion never counts as a good distance;
    when both lack it, they are undefined. `METRICS` holds each metric's definition and policy, and
    every value that a policy gave carries its reason.

    Args:
        truth: Integer (or boolean) labels, 2D or 3D; 0 is the background.
        prediction: Likewise, of the same shape.
        spacing_mm: The distance between element centres along each axis in mm. When None, distances
            and sizes are in elements (`px`).
        labels: Which labels to score, in this order. When None, those above 0 that either mask
            holds; there are no scores when both masks are background alone.
        probabilities: Predicted probabilities (channels, *spatial): the background's and then one
            channel per entry of `labels`, or one channel alone for a single label. Adds `brier`.
        tolerance: The tolerance of `nsd`, in mm (`px` when the spacing is None).

    Returns:
        One score per label and metric, labels in order and metrics in the order of `METRICS`.
        Areas in 2D are volumes in 3D; `brier` is there with `probabilities` only.

    Raises:
        ValueError: If the masks are not integer or boolean, not 2D or 3D, of different shapes,
            negative or without any element.
        ValueError: If the spacing is not one positive number per axis.
        ValueError: If `labels` are not distinct and above 0.
        ValueError: If probabilities come without `labels`, have the wrong shape or leave [0, 1].
        ValueError: If the tolerance is negative or not a number.
    """
    check_masks(truth, prediction)
    check_spacing(spacing_mm, truth.ndim)
    check_labels(labels)
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}; expected 0 or more")
    if probabilities is not None:
        check_probabilities(probabilities, labels, truth.shape)
    if labels is None:
        found = np.union1d(np.unique(truth), np.unique(prediction))
        labels = [int(label) for label in found if label > 0]
    spacing = None if spacing_mm is None else tuple(float(step) for step in spacing_mm)
    scores: list[Score] = []
    for position, label in enumerate(labels):
        # The last channels are the labels', whether or not the background has one.
        channel = None if probabilities is None else probabilities[position - len(labels)]
        scores += _score_label(int(label), truth == label, prediction == label, spacing, channel, tolerance)
    return scores


def _score_label(
    label: int,
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    spacing: tuple[float, ...] | None,
    probability: NDArray[Any] | None,
    tolerance: float,
) -> list[Score]:
    counts = count(truth, prediction)
    values = overlap_scores(counts)
    values |= _surface_scores(counts, truth, prediction, spacing or (1.0,) * truth.ndim, tolerance)
    if probability is not None:
        values["brier"] = (brier(truth, probability), "")
    values |= {name: (float(number), "") for name, number in asdict(counts).items()}
    values |= dict(_sizes(counts, truth.ndim, spacing))
    return [
        Score(label, metric.name, *_with_unit(values[metric.name], metric.unit, spacing))
        for metric in METRICS.values()
        if metric.name in values
    ]


def _with_unit(
    scored: tuple[float | None, str], unit: str, spacing: tuple[float, ...] | None
) -> tuple[float | None, str, str]:
    value, reason = scored
    return value, "px" if unit and spacing is None else unit, reason


def _surface_scores(
    counts: Counts,
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    spacing: tuple[float, ...],
    tolerance: float,
) -> dict[str, tuple[float | None, str]]:
    situation = counts.situation
    if situation is None:
        distances = surface_distances(truth, prediction, spacing).summarise(tolerance)
        return {name: (value, "") for name, value in distances.items()}
    given = {"undefined": None, "zero": 0.0, "diagonal": image_diagonal(truth.shape, spacing)}
    return {
        name: (given[METRICS[name].empty[situation]], METRICS[name].reason(situation))
        for name in (*SURFACE_DISTANCES, "nsd")
    }


def _sizes(counts: Counts, ndim: int, spacing: tuple[float, ...] | None) -> Iterator[tuple[str, tuple[float, str]]]:
    kind = "area" if ndim == 2 else "volume"
    element = 1.0 if spacing is None else float(np.prod(spacing))
    yield f"{kind}_truth", (counts.truth * element, "")
    yield f"{kind}_prediction", (counts.prediction * element, "")
