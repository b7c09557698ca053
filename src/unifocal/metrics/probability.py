"""Predicted probabilities against the truth: calibration, average precision, curves over the threshold."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 15
"""As in Guo et al. (2017)."""
HISTOGRAM_BINS = 100

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """How often elements of a predicted probability are positive, one value per bin that holds elements.

    Attributes:
        probability: The mean predicted probability.
        positives: The share of elements inside the truth; on the diagonal where the model is calibrated.
        elements: The number of elements.
    """

    probability: Floats
    positives: Floats
    elements: NDArray[np.int64]


@dataclass(frozen=True)
class ThresholdCurve:
    """What masks drawn at each threshold would score, over all elements counted.

    Attributes:
        threshold: The lower edge of each bin: everything with at least this probability is foreground.
        dice: NaN where neither the truth nor the mask holds anything.
        precision: NaN where the mask is empty.
        recall: NaN where the truth is empty.
    """

    threshold: Floats
    dice: Floats
    precision: Floats
    recall: Floats


@dataclass(frozen=True)
class ProbabilityHistogram:
    """Elements by predicted probability, in equal bins on [0, 1]: bin k holds k/n <= p < (k+1)/n, the last also 1.

    Histograms of several cases add up with `+`.

    Attributes:
        elements: Elements per bin.
        positives: Those of them inside the truth.
        probability_sum: The sum of their probabilities.
    """

    elements: NDArray[np.int64]
    positives: NDArray[np.int64]
    probability_sum: Floats

    def __add__(self, other: Self) -> "ProbabilityHistogram":
        if self.elements.shape != other.elements.shape:
            raise ValueError(f"histograms of {len(self.elements)} and {len(other.elements)} bins cannot be added")
        return ProbabilityHistogram(
            self.elements + other.elements,
            self.positives + other.positives,
            self.probability_sum + other.probability_sum,
        )

    @property
    def expected_calibration_error(self) -> float:
        """The mean over elements of |mean probability - share of positives| of their bin; NaN without elements."""
        total = self.elements.sum()
        return float(np.abs(self.probability_sum - self.positives).sum() / total) if total else float("nan")

    def reliability(self) -> Reliability:
        """The points of a reliability diagram."""
        held = self.elements > 0
        elements = self.elements[held]
        return Reliability(self.probability_sum[held] / elements, self.positives[held] / elements, elements)

    def threshold_curve(self) -> ThresholdCurve:
        """Dice, precision and recall at the lower edge of every bin, from low to high."""
        predicted = self.elements[::-1].cumsum()[::-1]
        found = self.positives[::-1].cumsum()[::-1]
        truth = self.positives.sum()
        return ThresholdCurve(
            threshold=np.arange(len(predicted)) / len(predicted),
            dice=_share(2 * found, predicted + truth),
            precision=_share(found, predicted),
            recall=_share(found, np.full(len(found), truth)),
        )


def histogram(
    truth: NDArray[np.bool_], probability: NDArray[np.floating[Any]], bins: int = HISTOGRAM_BINS
) -> ProbabilityHistogram:
    """Count elements by their predicted probability.

    Args:
        truth: Where the label is.
        probability: The label's predicted probability, in [0, 1], of the same shape.
        bins: How many equal bins.
    """
    values = np.asarray(probability, np.float64).reshape(-1)
    # In float64 the product of a float32 falls on the right side of every edge.
    places = (values * bins).astype(np.intp)
    np.minimum(places, bins - 1, out=places)
    return ProbabilityHistogram(
        elements=np.bincount(places, minlength=bins).astype(np.int64),
        positives=np.bincount(places[truth.reshape(-1)], minlength=bins).astype(np.int64),
        probability_sum=np.bincount(places, weights=values, minlength=bins).astype(np.float64),
    )


def probability_scores(
    truth: NDArray[np.bool_], probability: NDArray[np.floating[Any]]
) -> dict[str, tuple[float | None, str]]:
    """Expected calibration error, Brier score and average precision of one label.

    `ece` (Guo et al. 2017) is taken over all elements of the image and the label's own probability, in 15 equal bins;
    `brier` (Brier 1950) is the mean squared error of the probability; `average_precision` is the sum over the
    distinct probabilities, from high to low, of precision times the gain in recall (no interpolation).

    Args:
        truth: Where the label is.
        probability: The label's predicted probability, in [0, 1], of the same shape.

    Returns:
        For each metric its value, and the reason where it is undefined (None).
    """
    error = np.asarray(probability, np.float64) - truth
    scores: dict[str, tuple[float | None, str]] = {
        "ece": (histogram(truth, probability, CALIBRATION_BINS).expected_calibration_error, ""),
        "brier": (float(np.mean(np.square(error, out=error))), ""),
    }
    precision = average_precision(truth, probability)
    reason = "the truth does not hold the label: undefined" if precision is None else ""
    return scores | {"average_precision": (precision, reason)}


def average_precision(truth: NDArray[np.bool_], probability: NDArray[np.floating[Any]]) -> float | None:
    """The area under the precision-recall curve as a sum of steps; None where the truth is empty."""
    if not truth.any():
        return None
    thresholds, gained = np.unique(probability[truth], return_counts=True)
    # Where recall does not change, precision does not count: elements below the last positive never matter.
    others = np.sort(probability[~truth & (probability >= thresholds[0])])
    hits = gained[::-1].cumsum()[::-1]
    false = len(others) - np.searchsorted(others, thresholds, side="left")
    return float((gained * (hits / (hits + false))).sum() / hits[0])


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Floats:
    shares = np.full(len(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
