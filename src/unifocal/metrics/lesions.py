"""Lesions found, missed and made up, by connected components.

A true lesion is found when the prediction holds any of its elements; a predicted lesion is false when it holds no
element of the truth (Carass et al. 2017). Lesions need not pair up one to one: a prediction that runs over two
lesions finds both, and one that falls apart within a lesion has only right pieces. Others ask for more, and their
figures differ: panoptica pairs lesions one to one by an IoU of at least 0.5; the BraTS challenges grow lesions before
they count them and score each by Dice; Commowick et al. (2018) ask for a minimal share of a lesion
(`minimal_share`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unifocal.metrics.definitions import METRICS
from unifocal.metrics.metric import situation_of


@dataclass(frozen=True)
class LesionCounts:
    """How many lesions of one label there are and were found.

    Attributes:
        truth: Lesions in the truth.
        prediction: Lesions in the prediction.
        found: True lesions that the prediction hits.
        false: Predicted lesions that hit no element of the truth.
    """

    truth: int
    prediction: int
    found: int
    false: int


def lesion_counts(
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    *,
    minimal_share: float = 0.0,
    corners: bool = True,
) -> LesionCounts:
    """Count the lesions of two masks and how many of them meet.

    Args:
        truth: A mask, 2D or 3D.
        prediction: Likewise, of the same shape.
        minimal_share: The share of a true lesion's elements that the prediction must hold for it to be found, in
            [0, 1]; one element at least.
        corners: Whether elements that share only an edge or a corner belong together (8 neighbours in 2D, 26 in 3D);
            otherwise only those that share a face (4 and 6).

    Raises:
        ValueError: If the masks differ in shape or the share lies outside [0, 1].
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape}, prediction {prediction.shape}; expected the same")
    if not 0 <= minimal_share <= 1:
        raise ValueError(f"minimal_share is {minimal_share}; expected 0 to 1")
    structure = ndimage.generate_binary_structure(truth.ndim, truth.ndim if corners else 1)
    both = np.nonzero(truth & prediction)
    true, n_true = _components(truth, structure)
    predicted, n_predicted = _components(prediction, structure)
    held = np.bincount(true[both], minlength=n_true + 1)[1:]
    found = held > 0
    if minimal_share > 0:
        found &= held >= minimal_share * np.bincount(true[truth], minlength=n_true + 1)[1:]
    right = np.count_nonzero(np.bincount(predicted[both], minlength=n_predicted + 1)[1:])
    return LesionCounts(n_true, n_predicted, int(np.count_nonzero(found)), n_predicted - int(right))


def lesion_scores(counts: LesionCounts) -> dict[str, tuple[float | None, str]]:
    """Lesion-wise recall, precision and F1, and the counts themselves.

    Args:
        counts: Of one case, or summed over many.

    Returns:
        For each metric its value (None where undefined) and the reason where the value is not the formula's.
    """
    recall = counts.found / counts.truth if counts.truth else 0.0
    precision = 1 - counts.false / counts.prediction if counts.prediction else 0.0
    f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
    situation = situation_of(counts.truth, counts.prediction)
    return {
        "lesion_recall": METRICS["lesion_recall"].scored(recall, situation),
        "lesion_precision": METRICS["lesion_precision"].scored(precision, situation),
        "lesion_f1": METRICS["lesion_f1"].scored(f1, situation),
        "lesions_truth": (float(counts.truth), ""),
        "lesions_prediction": (float(counts.prediction), ""),
        "lesions_found": (float(counts.found), ""),
        "lesions_false": (float(counts.false), ""),
    }


def _components(mask: NDArray[np.bool_], structure: NDArray[Any]) -> tuple[NDArray[np.int32], int]:
    labelled = np.zeros(mask.shape, np.int32)
    count: int = ndimage.label(mask, structure, output=labelled)
    return labelled, count
