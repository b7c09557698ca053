"""Overlap of two masks, from the four counts of the confusion matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unifocal.metrics.definitions import METRICS, Situation

OVERLAP_METRICS = ("dice", "iou", "precision", "recall", "specificity", "accuracy")


@dataclass(frozen=True)
class Counts:
    """How many elements are true or false positives or negatives for one label."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def truth(self) -> int:
        """The number of elements in the truth."""
        return self.true_positives + self.false_negatives

    @property
    def prediction(self) -> int:
        """The number of elements in the prediction."""
        return self.true_positives + self.false_positives

    @property
    def situation(self) -> Situation | None:
        """Which mask is empty; None when neither is."""
        if self.truth == 0:
            return "truth_empty" if self.prediction else "both_empty"
        return None if self.prediction else "prediction_empty"


def count(truth: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> Counts:
    """Count the elements of two masks of one shape."""
    n_truth = int(np.count_nonzero(truth))
    n_prediction = int(np.count_nonzero(prediction))
    both = int(np.count_nonzero(truth & prediction))
    return Counts(
        true_positives=both,
        false_positives=n_prediction - both,
        false_negatives=n_truth - both,
        true_negatives=truth.size - n_truth - n_prediction + both,
    )


def overlap_scores(counts: Counts) -> dict[str, tuple[float | None, str]]:
    """Dice, IoU, precision, recall, specificity and accuracy.

    Args:
        counts: Of one case, or summed over many.

    Returns:
        For each metric its value (None where undefined) and the reason where the value is not the
        formula's; see `METRICS` for the formulas and the policy for empty masks.
    """
    tp, fp = counts.true_positives, counts.false_positives
    fn, tn = counts.false_negatives, counts.true_negatives
    fractions = {
        "dice": (2 * tp, 2 * tp + fp + fn),
        "iou": (tp, tp + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "accuracy": (tp + tn, tp + fp + fn + tn),
    }
    situation = counts.situation
    scores: dict[str, tuple[float | None, str]] = {}
    for name, (numerator, denominator) in fractions.items():
        metric = METRICS[name]
        if situation is not None and situation in metric.empty:
            value = None if metric.empty[situation] == "undefined" else 0.0
            scores[name] = (value, metric.reason(situation))
        elif denominator == 0:
            scores[name] = (None, "the truth covers the whole image: undefined")
        else:
            scores[name] = (numerator / denominator, "")
    return scores
