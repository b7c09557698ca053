"""Every metric, described as data."""

from collections.abc import Mapping
from math import inf
from types import MappingProxyType

from unifocal.metrics.metric import Direction, Family, Metric, Outcome, Situation

__all__ = ["METRICS", "Metric", "Outcome", "Situation"]

_Policy = Mapping[Situation, Outcome]
_ALWAYS: _Policy = MappingProxyType({})
_OVERLAP: _Policy = MappingProxyType({"both_empty": "undefined", "truth_empty": "zero", "prediction_empty": "zero"})
# Whether the truth is empty is the data's property: recall drops such cases for every loss alike.
_RECALL: _Policy = MappingProxyType({"both_empty": "undefined", "truth_empty": "undefined", "prediction_empty": "zero"})
_NEEDS_TRUTH: _Policy = MappingProxyType({"both_empty": "undefined", "truth_empty": "undefined"})
_SURFACE: _Policy = MappingProxyType(
    {"both_empty": "undefined", "truth_empty": "diagonal", "prediction_empty": "diagonal"}
)
_COMPONENTS = "Lesions are connected components (elements that share a face, an edge or a corner)"
_MARGIN = 0.02


def _ratio(
    name: str,
    title: str,
    definition: str,
    source: str,
    empty: _Policy = _OVERLAP,
    *,
    family: Family = "overlap",
    direction: Direction = "higher",
    margin: float | None = _MARGIN,
) -> Metric:
    return Metric(name, title, family, "", direction, (0.0, 1.0), definition, source, empty, margin)


def _distance(name: str, title: str, definition: str, source: str) -> Metric:
    return Metric(name, title, "surface", "mm", "lower", (0.0, inf), definition, source, _SURFACE)


def _count(name: str, title: str, definition: str) -> Metric:
    return Metric(name, title, "count", "px", None, (0.0, inf), definition)


def _lesions(name: str, title: str, definition: str) -> Metric:
    return Metric(name, title, "lesion", "", None, (0.0, inf), f"{definition} {_COMPONENTS}.", "Carass et al. 2017")


def _sizes(kind: str, dimensions: str, unit: str) -> tuple[Metric, Metric, Metric]:
    def size(what: str, title: str, smallest: float, definition: str, source: str = "") -> Metric:
        return Metric(f"{kind}_{what}", title, "size", unit, None, (smallest, inf), definition, source)

    return (
        size(
            "truth",
            f"{kind.title()} of the truth",
            0.0,
            f"The size of the truth in {dimensions}: its elements times the size of one.",
        ),
        size(
            "prediction",
            f"{kind.title()} of the prediction",
            0.0,
            f"The size of the prediction in {dimensions}: its elements times the size of one.",
        ),
        size(
            "difference",
            f"{kind.title()} difference",
            -inf,
            f"Signed: the {kind} of the prediction minus the {kind} of the truth.",
            "Bland and Altman 1986",
        ),
    )


_ALL = (
    _ratio(
        "dice",
        "Dice",
        "Twice the overlap over the sum of both sizes: 2TP / (2TP + FP + FN).",
        "Dice 1945",
    ),
    _ratio("iou", "IoU", "The overlap over the union (Jaccard index): TP / (TP + FP + FN).", "Jaccard 1912"),
    _ratio(
        "precision",
        "Precision",
        "The share of the prediction that is right (positive predictive value): TP / (TP + FP).",
        "van Rijsbergen 1979",
    ),
    _ratio(
        "recall",
        "Recall",
        "The share of the truth that is found (sensitivity): TP / (TP + FN).",
        "van Rijsbergen 1979",
        _RECALL,
    ),
    # In images of little foreground, all values of these two and of the calibration lie within any usual margin.
    _ratio(
        "specificity",
        "Specificity",
        "The share of the background left alone: TN / (TN + FP); undefined where the truth covers the whole image.",
        "Yerushalmy 1947",
        _ALWAYS,
        margin=None,
    ),
    _ratio(
        "accuracy",
        "Accuracy",
        "The share of elements labelled right: (TP + TN) / all.",
        "Taha and Hanbury 2015",
        _ALWAYS,
        margin=None,
    ),
    _ratio(
        "balanced_accuracy",
        "Balanced accuracy",
        "The mean of recall and specificity: (TP / (TP + FN) + TN / (TN + FP)) / 2; undefined where either is.",
        "Brodersen et al. 2010",
        _NEEDS_TRUTH,
    ),
    _ratio(
        "volumetric_similarity",
        "Volumetric similarity",
        "How alike the sizes are, wherever the masks lie: 1 - |FN - FP| / (2TP + FP + FN).",
        "Taha and Hanbury 2015",
    ),
    Metric(
        "relative_size_error",
        "Relative size error",
        "overlap",
        "",
        "lower",
        (0.0, inf),
        "The difference of the sizes over the size of the truth: |FP - FN| / (TP + FN).",
        "Heimann et al. 2009",
        _NEEDS_TRUTH,
    ),
    _distance(
        "hausdorff",
        "Hausdorff distance",
        "The largest distance from a boundary element of either mask to the other mask's boundary.",
        "Huttenlocher et al. 1993",
    ),
    _distance(
        "hd95",
        "95 % Hausdorff distance",
        "The larger of the two directed 95th percentiles (linear interpolation) of the boundary distances.",
        "Maier-Hein et al. 2024",
    ),
    _distance(
        "hd95_pooled",
        "95 % Hausdorff distance, pooled",
        "The 95th percentile (linear interpolation) of both directions' boundary distances together.",
        "MedPy's hd95",
    ),
    _distance(
        "assd",
        "Average symmetric surface distance",
        "The mean of both directions' boundary distances together.",
        "Heimann et al. 2009",
    ),
    _ratio(
        "nsd",
        "Normalised surface Dice",
        "The share of both masks' boundary elements that lie within the tolerance of the other "
        "boundary (2 mm, or 2 px where the spacing is unknown, unless another tolerance is given).",
        "Nikolov et al. 2021",
        family="surface",
    ),
    _ratio(
        "lesion_recall",
        "Lesion recall",
        f"The share of true lesions of which the prediction holds at least one element. {_COMPONENTS}.",
        "Carass et al. 2017",
        _RECALL,
        family="lesion",
    ),
    _ratio(
        "lesion_precision",
        "Lesion precision",
        f"The share of predicted lesions that hold at least one element of the truth. {_COMPONENTS}.",
        "Carass et al. 2017",
        family="lesion",
    ),
    _ratio(
        "lesion_f1",
        "Lesion F1",
        "The harmonic mean of lesion recall R and lesion precision P: 2RP / (R + P), 0 where both are 0.",
        "Commowick et al. 2018",
        family="lesion",
    ),
    _ratio(
        "ece",
        "Expected calibration error",
        "Over 15 equal-width bins of the label's predicted probability, the mean (weighted by elements) of the "
        "absolute difference between the mean probability and the share of elements that are truth.",
        "Naeini et al. 2015",
        _ALWAYS,
        family="probability",
        direction="lower",
        margin=None,
    ),
    _ratio(
        "brier",
        "Brier score",
        "The mean squared difference between the label's predicted probability and 1 inside, 0 outside the truth.",
        "Brier 1950",
        _ALWAYS,
        family="probability",
        direction="lower",
        margin=None,
    ),
    _ratio(
        "average_precision",
        "Average precision",
        "The area under the precision-recall curve over all thresholds of the label's probability, as a sum of steps: "
        "sum of (R_k - R_(k-1)) P_k.",
        "Zhu 2004",
        _NEEDS_TRUTH,
        family="probability",
    ),
    _count("true_positives", "True positives", "TP: elements with the label in both masks."),
    _count("false_positives", "False positives", "FP: elements with the label in the prediction only."),
    _count("false_negatives", "False negatives", "FN: elements with the label in the truth only."),
    _count("true_negatives", "True negatives", "TN: elements with the label in neither mask."),
    _lesions("lesions_truth", "True lesions", "The number of lesions in the truth."),
    _lesions("lesions_prediction", "Predicted lesions", "The number of lesions in the prediction."),
    _lesions("lesions_found", "Lesions found", "True lesions of which the prediction holds at least one element."),
    _lesions("lesions_false", "False lesions", "Predicted lesions that hold no element of the truth."),
    *_sizes("area", "2D", "mm2"),
    *_sizes("volume", "3D", "ml"),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""Every metric by name, in the order in which tables show them."""
