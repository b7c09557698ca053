"""Overlap of two masks, from the four counts of the confusion matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unifocal.metrics.definitions import METRICS
from unifocal.metrics.metric import Situation, situation_of

OVERLAP_METRICS = tuple(name for name, metric in METRICS.items() if metric.family == "overlap")
_FULL = "the truth covers the whole image: undefined"


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
        return situation_of(self.truth, self.prediction)


def count(truth: NDArray[np.bool_], prediction: NDArray[np.bool_], size: int | None = None) -> Counts:
    """Count the elements of two masks of one shape.

    Args:
        truth: A mask.
        prediction: Likewise.
        size: The elements of the whole image, where the masks are cut from a larger one that holds nothing else.
    """
    n_truth = int(np.count_nonzero(truth))
    n_prediction = int(np.count_nonzero(prediction))
    both = int(np.count_nonzero(truth & prediction))
    return Counts(
        true_positives=both,
        false_positives=n_prediction - both,
        false_negatives=n_truth - both,
        true_negatives=(truth.size if size is None else size) - n_truth - n_prediction + both,
    )


def overlap_scores(counts: Counts) -> dict[str, tuple[float | None, str]]:
    """The metrics in `OVERLAP_METRICS`: Dice, IoU, precision, recall, specificity, accuracy and so on.

    Args:
        counts: Of one case, or summed over many.

    Returns:
        For each metric its value (None where undefined) and the reason where the value is not the
        formula's; see `METRICS` for the formulas and the policy for empty masks.
    """
    scores = {name: METRICS[name].scored(value, counts.situation) for name, value in _values(counts).items()}
    return {name: (value, reason or ("" if value is not None else _FULL)) for name, (value, reason) in scores.items()}


def _values(counts: Counts) -> dict[str, float | None]:
    tp, fp = counts.true_positives, counts.false_positives
    fn, tn = counts.false_negatives, counts.true_negatives
    recall, specificity = _share(tp, tp + fn), _share(tn, tn + fp)
    unlike = _share(abs(fn - fp), 2 * tp + fp + fn)
    return {
        "dice": _share(2 * tp, 2 * tp + fp + fn),
        "iou": _share(tp, tp + fp + fn),
        "precision": _share(tp, tp + fp),
        "recall": recall,
        "specificity": specificity,
        "accuracy": _share(tp + tn, tp + fp + fn + tn),
        "balanced_accuracy": None if recall is None or specificity is None else (recall + specificity) / 2,
        "volumetric_similarity": None if unlike is None else 1 - unlike,
        "relative_size_error": _share(abs(fp - fn), tp + fn),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
