"""Every score of one case."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.clock import stage
from unifocal.metrics.definitions import METRICS
from unifocal.metrics.lesions import lesion_counts, lesion_scores
from unifocal.metrics.metric import Metric
from unifocal.metrics.overlap import Counts, count, overlap_scores
from unifocal.metrics.probability import probability_scores
from unifocal.metrics.regions import Box, label_boxes
from unifocal.metrics.surface import SURFACE_METRICS, image_diagonal, surface_distances
from unifocal.metrics.validation import check_input

_Scored = tuple[float | None, str]
_Spacing = tuple[float, ...] | None
_CUBIC_MM_PER_ML = 1000.0
OVERLAP, SURFACE, LESIONS, PROBABILITIES = (
    f"metrics: {kind}" for kind in ("overlap", "surface", "lesions", "probabilities")
)
"""Where the time of a score goes, for `unifocal.clock`."""


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one label of one case.

    Attributes:
        label: The integer in the masks.
        metric: A name in `METRICS`.
        value: None where the metric is undefined.
        unit: Empty for ratios and numbers of lesions, else `mm`, `mm2`, `ml` or `px` (one element, pixel or voxel).
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
            channel per entry of `labels`, or one channel alone for a single label. Adds `ece`, `brier`
            and `average_precision`.
        tolerance: The tolerance of `nsd`, in mm (`px` when the spacing is None).

    Returns:
        One score per label and metric, labels in order and metrics in the order of `METRICS`. Sizes are areas in
        2D, in mm2, and volumes in 3D, in ml.

    Raises:
        ValueError: If anything of this holds; the message has one line for each: the masks are not integer or
            boolean, not 2D or 3D, of different shapes, negative or without any element; the spacing is not one
            positive number per axis; `labels` are not distinct and above 0; probabilities come without `labels`,
            have the wrong shape or leave [0, 1]; the tolerance is negative or not a number.
    """
    with stage(OVERLAP):
        check_input(truth, prediction, spacing_mm, labels, probabilities, tolerance)
        spacing = None if spacing_mm is None else tuple(float(step) for step in spacing_mm)
        boxes = label_boxes(truth, prediction, labels)
    scores: list[Score] = []
    for position, (label, box) in enumerate(boxes.items()):
        counts, values = _mask_scores(label, box, truth, prediction, spacing, tolerance)
        if probabilities is not None:
            # The last channels are the labels', whether or not the background has one.
            with stage(PROBABILITIES):
                given = probability_scores(truth == label, probabilities[position - len(boxes)])
            values |= {name: METRICS[name].scored(value, counts.situation) for name, (value, _) in given.items()}
        scores += [_score(label, metric, *values[name], spacing) for name, metric in METRICS.items() if name in values]
    return scores


def _mask_scores(
    label: int,
    box: Box | None,
    truth: NDArray[Any],
    prediction: NDArray[Any],
    spacing: _Spacing,
    tolerance: float,
) -> tuple[Counts, dict[str, _Scored]]:
    inside = box or (slice(0),) * truth.ndim
    with stage(OVERLAP):
        # Files of some formats come with their axes in memory the other way round.
        true, predicted = (np.equal(mask[inside], label, order="C") for mask in (truth, prediction))
        counts = count(true, predicted, truth.size)
        values = overlap_scores(counts)
    with stage(SURFACE):
        values |= _surface_scores(counts, true, predicted, truth.shape, spacing or (1.0,) * truth.ndim, tolerance)
    with stage(LESIONS):
        values |= lesion_scores(lesion_counts(true, predicted))
    values |= {name: (float(number), "") for name, number in asdict(counts).items()}
    return counts, values | dict(_sizes(counts, truth.ndim, spacing))


def _score(label: int, metric: Metric, value: float | None, reason: str, spacing: _Spacing) -> Score:
    return Score(label, metric.name, value, "px" if metric.unit and spacing is None else metric.unit, reason)


def _surface_scores(
    counts: Counts,
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    tolerance: float,
) -> dict[str, _Scored]:
    if counts.situation is None:
        distances = surface_distances(truth, prediction, spacing).scores(tolerance)
        return {name: (value, "") for name, value in distances.items()}
    diagonal = image_diagonal(shape, spacing)
    return {name: METRICS[name].scored(None, counts.situation, diagonal) for name in SURFACE_METRICS}


def _sizes(counts: Counts, ndim: int, spacing: _Spacing) -> Iterator[tuple[str, _Scored]]:
    kind = "area" if ndim == 2 else "volume"
    element = 1.0 if spacing is None else prod(spacing) / (1.0 if ndim == 2 else _CUBIC_MM_PER_ML)
    yield f"{kind}_truth", (counts.truth * element, "")
    yield f"{kind}_prediction", (counts.prediction * element, "")
    yield f"{kind}_difference", ((counts.prediction - counts.truth) * element, "")
