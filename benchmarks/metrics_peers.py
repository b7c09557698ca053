"""What other libraries give for one pair of masks.

`python benchmarks/metrics_peers.py --write docs/results/metrics_peers.md`
"""

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import monai.metrics
import numpy as np
import peers
import SimpleITK
import surface_distance
import torch
from numpy.typing import NDArray
from skimage.metrics import hausdorff_distance

from unifocal.metrics import METRICS, score_case
from unifocal.metrics.surface import boundary

Mask = NDArray[np.bool_]
SPACING = (5.0, 0.8, 0.8)
SHAPE = (24, 96, 96)
TOLERANCE = 2.0


@dataclass(frozen=True)
class Answer:
    """What one library says.

    Attributes:
        metric: Ours, of the same or a similar name.
        call: The library and the function.
        value: The number.
        difference: Why it is another number than ours; empty where the definitions coincide.
    """

    metric: str
    call: str
    value: float
    difference: str = ""


def fixed_pair() -> tuple[Mask, Mask]:
    """An ellipsoid; the prediction is shifted, thinner, open at one end, and has a small false lesion far away."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    truth = ((z - 12) / 7) ** 2 + ((y - 40) / 22) ** 2 + ((x - 42) / 18) ** 2 <= 1
    prediction = ((z - 12) / 6) ** 2 + ((y - 42) / 21) ** 2 + ((x - 42) / 16) ** 2 <= 1
    prediction &= z < 17
    prediction |= ((z - 14) / 2) ** 2 + ((y - 78) / 7) ** 2 + ((x - 80) / 7) ** 2 <= 1
    return truth, prediction


def answers(truth: Mask, prediction: Mask) -> list[Answer]:
    """What each library says."""
    return [
        *_monai(truth, prediction),
        *_surface_distance(truth, prediction),
        *_medpy(truth, prediction),
        *_simpleitk(truth, prediction),
        *_scikit_image(truth, prediction),
    ]


def _monai(truth: Mask, prediction: Mask) -> list[Answer]:
    p, t = (torch.from_numpy(mask[None, None]).float() for mask in (prediction, truth))
    options = {"include_background": True, "spacing": SPACING}
    found = {
        ("dice", "compute_dice"): monai.metrics.compute_dice(p, t),
        ("iou", "compute_iou"): monai.metrics.compute_iou(p, t),
        ("hausdorff", "compute_hausdorff_distance"): monai.metrics.compute_hausdorff_distance(p, t, **options),
        ("hd95", "compute_hausdorff_distance"): monai.metrics.compute_hausdorff_distance(
            p, t, percentile=95, **options
        ),
        ("assd", "compute_average_surface_distance"): monai.metrics.compute_average_surface_distance(
            p, t, symmetric=True, **options
        ),
        ("nsd", "compute_surface_dice"): monai.metrics.compute_surface_dice(p, t, [TOLERANCE], **options),
    }
    return [Answer(metric, f"MONAI `{call}`", float(value)) for (metric, call), value in found.items()]


def _surface_distance(truth: Mask, prediction: Mask) -> list[Answer]:
    distances = surface_distance.compute_surface_distances(truth, prediction, SPACING)
    between = "its surface runs between the elements"
    weighted = f"{between}, and its elements count by area"
    dice = surface_distance.compute_dice_coefficient(truth, prediction)
    found = {
        ("hausdorff", "compute_robust_hausdorff", between): surface_distance.compute_robust_hausdorff(distances, 100),
        ("hd95", "compute_robust_hausdorff", weighted): surface_distance.compute_robust_hausdorff(distances, 95),
        ("assd", "compute_average_surface_distance", f"{weighted}; the mean of one mean per direction"): np.mean(
            surface_distance.compute_average_surface_distance(distances)
        ),
        ("nsd", "compute_surface_dice_at_tolerance", weighted): surface_distance.compute_surface_dice_at_tolerance(
            distances, TOLERANCE
        ),
    }
    return [
        Answer("dice", "surface-distance `compute_dice_coefficient`", dice),
        *(
            Answer(metric, f"surface-distance `{call}`", float(value), why)
            for (metric, call, why), value in found.items()
        ),
    ]


def _medpy(truth: Mask, prediction: Mask) -> list[Answer]:
    library = peers.medpy_metrics()
    if library is None:
        return []
    pooled = "the percentile of both directions together: `hd95_pooled`"
    return [
        Answer("dice", "MedPy `dc`", library.dc(prediction, truth)),
        Answer("iou", "MedPy `jc`", library.jc(prediction, truth)),
        Answer("hausdorff", "MedPy `hd`", library.hd(prediction, truth, SPACING)),
        Answer("hd95", "MedPy `hd95`", library.hd95(prediction, truth, SPACING), pooled),
        Answer("hd95_pooled", "MedPy `hd95`", library.hd95(prediction, truth, SPACING)),
        Answer("assd", "MedPy `assd`", library.assd(prediction, truth, SPACING)),
    ]


def _simpleitk(truth: Mask, prediction: Mask) -> list[Answer]:
    images = []
    for mask in (prediction, truth):
        images.append(SimpleITK.GetImageFromArray(mask.astype(np.uint8)))
        images[-1].SetSpacing(SPACING[::-1])
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    distance = SimpleITK.HausdorffDistanceImageFilter()
    distance.Execute(*images)
    inside = "between all elements: one inside the other mask is at distance 0"
    return [
        Answer("dice", "SimpleITK `LabelOverlapMeasuresImageFilter`", overlap.GetDiceCoefficient()),
        Answer("iou", "SimpleITK `LabelOverlapMeasuresImageFilter`", overlap.GetJaccardCoefficient()),
        Answer("hausdorff", "SimpleITK `HausdorffDistanceImageFilter`", distance.GetHausdorffDistance(), inside),
        Answer(
            "assd",
            "SimpleITK `GetAverageHausdorffDistance`",
            distance.GetAverageHausdorffDistance(),
            f"{inside}; the larger of the two directions' means",
        ),
    ]


def _scikit_image(truth: Mask, prediction: Mask) -> list[Answer]:
    return [
        Answer(
            "hausdorff",
            "scikit-image `hausdorff_distance`",
            float(hausdorff_distance(boundary(truth), boundary(prediction))),
            "given both boundaries; in elements, as it takes no spacing",
        )
    ]


def page(command: str) -> str:
    """The whole page."""
    truth, prediction = fixed_pair()
    scores = {score.metric: score for score in score_case(truth, prediction, SPACING, tolerance=TOLERANCE)}
    given = answers(truth, prediction)
    rows = ["| metric | library | value | why it differs |", "| --- | --- | ---: | --- |"]
    for name in ("dice", "iou", "hausdorff", "hd95", "hd95_pooled", "assd", "nsd"):
        ours = scores[name]
        unit = METRICS[name].unit
        rows.append(f"| **{METRICS[name].title}** | **unifocal** `{name}` | **{_shown(ours.value or 0.0, unit)}** | |")
        for answer in (each for each in given if each.metric == name):
            same = abs(answer.value - (ours.value or 0.0)) <= 1e-5 * abs(answer.value)
            if not (same or answer.difference):
                raise SystemExit(f"{answer}: expected {ours.value}")
            why = f"the same here; but {answer.difference}" if same and answer.difference else answer.difference
            shown = _shown(answer.value, unit if "no spacing" not in answer.difference else "px")
            rows.append(f"| | {answer.call} | {shown} | {why or 'the same'} |")
    libraries = ["monai", "surface-distance", "simpleitk", "scikit-image", "numpy", "scipy"]
    versions = [f"{name} {version(name)}" for name in libraries]
    versions += [peers.MEDPY.replace("==", " ")] if any("MedPy" in answer.call for answer in given) else []
    return PROSE.format(
        command=command,
        versions=", ".join(versions),
        table="\n".join(rows),
        spread=_spread(given, scores["hd95"].value),
    )


def _spread(given: Sequence[Answer], ours: float | None) -> str:
    values = sorted({round(answer.value, 1) for answer in given if answer.metric == "hd95"} | {round(ours or 0.0, 1)})
    return ", ".join(f"{value:.1f}" for value in values[:-1]) + f" and {values[-1]:.1f} mm"


def _shown(value: float, unit: str) -> str:
    return f"{value:.4f} {unit}".strip()


PROSE = """# The same masks in other libraries

One pair of masks of 24x96x96 voxels of 5 x 0.8 x 0.8 mm: an ellipsoid, and a prediction that is shifted, thinner, open
at one end and has a small false lesion far away. "95 % Hausdorff distance" means {spread}, depending on
whom one asks. What unifocal's names mean: [metrics.md](../metrics.md).

Written by `{command}`, which stops with an error where a
definition that is said to coincide gives another number. {versions}. Surface Dice is at 2 mm.

{table}

On masks drawn by hypothesis, with anisotropic spacing, MONAI's and SimpleITK's numbers equal unifocal's wherever they
are the same here (`tests/metrics/test_metric_peers.py`), and all of unifocal's surface metrics equal brute force over
all pairs of boundary elements (`tests/metrics/test_surface_metrics.py`).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the page here instead of printing it")
    options = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", FutureWarning)
    command = "python benchmarks/metrics_peers.py" + (f" --write {options.write}" if options.write else "")
    text = page(command)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
