"""Fills docs/metrics.md with what the metrics say of themselves: `python docs/make_metrics.py`."""

from collections.abc import Iterator
from pathlib import Path

from generated import filled

from unifocal.metrics import METRICS, Metric

PAGE = Path(__file__).parent / "metrics.md"
FAMILIES = {
    "overlap": "Overlap, from the four counts",
    "surface": "Surface distances",
    "lesion": "Lesion-wise",
    "probability": "Of probabilities",
    "count": "Counts",
    "size": "Sizes",
}

ELSEWHERE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "dice": (
        (
            "monai.metrics.compute_dice",
            "medpy.metric.binary.dc",
            "surface_distance.compute_dice_coefficient",
            "SimpleITK.LabelOverlapMeasuresImageFilter.GetDiceCoefficient",
            "sklearn.metrics.f1_score",
        ),
        (),
    ),
    "iou": (
        (
            "monai.metrics.compute_iou",
            "medpy.metric.binary.jc",
            "SimpleITK.LabelOverlapMeasuresImageFilter.GetJaccardCoefficient",
            "sklearn.metrics.jaccard_score",
        ),
        (),
    ),
    "precision": (("medpy.metric.binary.precision", "sklearn.metrics.precision_score"), ()),
    "recall": (
        ("medpy.metric.binary.recall", "sklearn.metrics.recall_score"),
        ("SimpleITK.LabelOverlapMeasuresImageFilter.GetFalseNegativeError (1 minus it)",),
    ),
    "specificity": (("medpy.metric.binary.specificity",), ()),
    "accuracy": (("sklearn.metrics.accuracy_score",), ()),
    "balanced_accuracy": (("sklearn.metrics.balanced_accuracy_score",), ()),
    "volumetric_similarity": (
        (),
        ("SimpleITK.LabelOverlapMeasuresImageFilter.GetVolumeSimilarity (signed, twice as large)",),
    ),
    "relative_size_error": ((), ("medpy.metric.binary.ravd (signed)",)),
    "hausdorff": (
        ("monai.metrics.compute_hausdorff_distance", "medpy.metric.binary.hd"),
        (
            "SimpleITK.HausdorffDistanceImageFilter (between all elements of the masks, not their boundaries)",
            "skimage.metrics.hausdorff_distance (likewise, and without spacing)",
            "surface_distance.compute_robust_hausdorff (a surface between the elements)",
        ),
    ),
    "hd95": (
        ("monai.metrics.compute_hausdorff_distance (percentile=95)",),
        (
            "medpy.metric.binary.hd95 (that is `hd95_pooled`)",
            "surface_distance.compute_robust_hausdorff (a surface between the elements, weighted by area)",
        ),
    ),
    "hd95_pooled": (("medpy.metric.binary.hd95",), ()),
    "assd": (
        ("monai.metrics.compute_average_surface_distance (symmetric=True)", "medpy.metric.binary.assd"),
        ("surface_distance.compute_average_surface_distance (one mean per direction, weighted by area)",),
    ),
    "nsd": (
        ("monai.metrics.compute_surface_dice",),
        ("surface_distance.compute_surface_dice_at_tolerance (weighted by area)",),
    ),
    "lesion_recall": ((), ("medpy.metric.binary.obj_tpr (lesions paired one to one, faces only)",)),
    "lesion_precision": ((), ("medpy.metric.binary.obj_fpr (1 minus it; paired one to one, faces only)",)),
    "lesion_f1": ((), ("`panoptica`: recognition quality (paired one to one by an IoU of at least 0.5)",)),
    "ece": (("torchmetrics.classification.BinaryCalibrationError (n_bins=15)",), ()),
    "brier": (("sklearn.metrics.brier_score_loss",), ()),
    "average_precision": (("sklearn.metrics.average_precision_score",), ()),
}
"""For each metric, where else it is found: as the same number; and as another number of the same or a similar name."""


def overview() -> str:
    """All metrics in one table."""
    rows = ["| metric | name | unit | range | better |", "|---|---|---|---|---|"]
    return "\n".join([*rows, *(_row(metric) for metric in METRICS.values())])


def definitions() -> str:
    """What each metric is, by family."""
    return "\n\n".join(
        f"### {title}\n\n" + "\n".join(_entry(metric) for metric in METRICS.values() if metric.family == family)
        for family, title in FAMILIES.items()
    )


def names() -> str:
    """What others call it."""
    rows = ["| metric | the same number | a similar name, another number |", "|---|---|---|"]
    return "\n".join([*rows, *(_elsewhere(*entry) for entry in ELSEWHERE.items())])


def _row(metric: Metric) -> str:
    low, high = (f"{bound:g}".replace("inf", "∞") for bound in metric.range)
    better = {"higher": "higher ↑", "lower": "lower ↓", None: ""}[metric.direction]
    return f"| `{metric.name}` | {metric.title} | {metric.unit} | {low} to {high} | {better} |"


def _entry(metric: Metric) -> str:
    return f"- **{metric.title}** (`{metric.name}`). " + " ".join(_said(metric))


def _said(metric: Metric) -> Iterator[str]:
    yield metric.definition
    if metric.empty:
        yield f"Empty masks: {metric.empty_policy}."
    if metric.margin is not None:
        yield f"Practically equal: within {metric.margin:g}."
    if metric.source:
        yield f"*{metric.source}.*"


def _elsewhere(name: str, places: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
    cells = ("<br>".join(map(_place, column)) for column in places)
    return f"| `{name}` | {' | '.join(cells)} |"


def _place(text: str) -> str:
    name, _, remark = text.partition(" ")
    return text if name.startswith("`") else f"`{name}` {remark}".strip()


PARTS = {"overview": overview, "definitions": definitions, "names": names}

if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), PARTS), encoding="utf-8")
