"""What every metric means, as data: unit, direction, range, definition, policy for empty masks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import Literal

Direction = Literal["higher", "lower"]
Situation = Literal["both_empty", "truth_empty", "prediction_empty"]
Outcome = Literal["undefined", "zero", "diagonal"]

_SITUATIONS: Mapping[Situation, str] = {
    "both_empty": "neither mask holds the label",
    "truth_empty": "only the prediction holds the label",
    "prediction_empty": "only the truth holds the label",
}
_OUTCOMES: Mapping[Outcome, str] = {
    "undefined": "undefined",
    "zero": "set to 0",
    "diagonal": "set to the image diagonal",
}


@dataclass(frozen=True)
class Metric:
    """One metric's meaning.

    Attributes:
        name: The value in the `metric` column of a study's scores.
        title: The name for people.
        unit: Empty for ratios; the unit that applies where the spacing is known (else `px`).
        direction: Whether higher or lower is better; None for counts and sizes.
        range: The smallest and largest possible value.
        definition: One sentence.
        empty: What is given instead of the formula when a mask is empty. A situation that is not
            named follows the formula.
    """

    name: str
    title: str
    unit: str
    direction: Direction | None
    range: tuple[float, float]
    definition: str
    empty: Mapping[Situation, Outcome] = field(default_factory=dict)

    def reason(self, situation: Situation) -> str:
        """Why the value is not the formula's: `neither mask holds the label: undefined`."""
        return f"{_SITUATIONS[situation]}: {_OUTCOMES[self.empty[situation]]}"

    @property
    def empty_policy(self) -> str:
        """The whole policy for empty masks in words; empty where the formula always holds."""
        return "; ".join(self.reason(situation) for situation in self.empty)


_OVERLAP: Mapping[Situation, Outcome] = MappingProxyType(
    {"both_empty": "undefined", "truth_empty": "zero", "prediction_empty": "zero"}
)
# Whether the truth is empty is the data's property: recall drops such cases for every loss alike.
_RECALL: Mapping[Situation, Outcome] = MappingProxyType(
    {"both_empty": "undefined", "truth_empty": "undefined", "prediction_empty": "zero"}
)
_SURFACE: Mapping[Situation, Outcome] = MappingProxyType(
    {"both_empty": "undefined", "truth_empty": "diagonal", "prediction_empty": "diagonal"}
)


def _ratio(name: str, title: str, definition: str, empty: Mapping[Situation, Outcome] | None = None) -> Metric:
    return Metric(name, title, "", "higher", (0.0, 1.0), definition, empty or {})


def _distance(name: str, title: str, definition: str) -> Metric:
    return Metric(name, title, "mm", "lower", (0.0, inf), definition, _SURFACE)


def _size(name: str, title: str, unit: str, definition: str) -> Metric:
    return Metric(name, title, unit, None, (0.0, inf), definition)


_ALL = (
    _ratio(
        "dice",
        "Dice",
        "Twice the overlap over the sum of both sizes: 2TP / (2TP + FP + FN).",
        _OVERLAP,
    ),
    _ratio("iou", "IoU", "The overlap over the union (Jaccard index): TP / (TP + FP + FN).", _OVERLAP),
    _ratio(
        "precision",
        "Precision",
        "The share of the prediction that is right: TP / (TP + FP).",
        _OVERLAP,
    ),
    _ratio("recall", "Recall", "The share of the truth that is found: TP / (TP + FN).", _RECALL),
    _ratio(
        "specificity",
        "Specificity",
        "The share of the background left alone: TN / (TN + FP); undefined where the truth covers the whole image.",
    ),
    _ratio("accuracy", "Accuracy", "The share of elements labelled right: (TP + TN) / all."),
    _distance(
        "hausdorff",
        "Hausdorff distance",
        "The largest distance from a boundary element of either mask to the other mask's boundary.",
    ),
    _distance(
        "hd95",
        "95 % Hausdorff distance",
        "The larger of the two directed 95th percentiles (linear interpolation) of the boundary distances.",
    ),
    _distance(
        "hd95_pooled",
        "95 % Hausdorff distance, pooled",
        "The 95th percentile (linear interpolation) of both directions' boundary distances together.",
    ),
    _distance(
        "assd",
        "Average symmetric surface distance",
        "The mean of both directions' boundary distances together.",
    ),
    _ratio(
        "nsd",
        "Normalised surface Dice",
        "The share of both masks' boundary elements that lie within the tolerance of the other "
        "boundary (2 mm, or 2 px where the spacing is unknown, unless another tolerance is given).",
        _OVERLAP,
    ),
    Metric(
        "brier",
        "Brier score",
        "",
        "lower",
        (0.0, 1.0),
        "The mean squared difference between the label's predicted probability and 1 inside, 0 outside the truth.",
    ),
    _size("true_positives", "True positives", "px", "Elements with the label in both masks."),
    _size(
        "false_positives",
        "False positives",
        "px",
        "Elements with the label in the prediction only.",
    ),
    _size("false_negatives", "False negatives", "px", "Elements with the label in the truth only."),
    _size("true_negatives", "True negatives", "px", "Elements with the label in neither mask."),
    _size("area_truth", "Area of the truth", "mm2", "The size of the truth in 2D."),
    _size("area_prediction", "Area of the prediction", "mm2", "The size of the prediction in 2D."),
    _size("volume_truth", "Volume of the truth", "mm3", "The size of the truth in 3D."),
    _size("volume_prediction", "Volume of the prediction", "mm3", "The size of the prediction in 3D."),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""Every metric by name, in the order in which tables show them."""
