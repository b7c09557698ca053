"""The same numbers as other libraries give, where the definitions coincide (docs/results/metrics_peers.md)."""

from typing import Any

import numpy as np
import pytest
import SimpleITK
import torch
from hypothesis import given, settings
from metric_oracles import Case, by_metric, drawn_pairs
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
    compute_surface_dice,
)
from monai.metrics.confusion_matrix import compute_confusion_matrix_metric, get_confusion_matrix
from numpy.typing import NDArray
from skimage.metrics import hausdorff_distance

from unifocal.metrics import score_case
from unifocal.metrics.surface import boundary

few = settings(max_examples=40)
# Nothing of this peer needs replacing, only where it looks for SciPy's functions.
old_names = pytest.mark.filterwarnings("ignore:Please import .* from the `scipy.ndimage` namespace:DeprecationWarning")


def ours(
    truth: NDArray[Any], prediction: NDArray[Any], spacing: Any, tolerance: float = 2.0
) -> dict[str, float | None]:
    scores = by_metric(score_case(truth, prediction, spacing, tolerance=tolerance), 1)
    return {name: score.value for name, score in scores.items()}


def channels(mask: NDArray[Any]) -> torch.Tensor:
    """One case of two channels, the background's first."""
    return torch.from_numpy(np.stack([~mask, mask])[None].astype(np.float32))


def image(mask: NDArray[Any], spacing: tuple[float, ...]) -> SimpleITK.Image:
    made = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    made.SetSpacing(spacing[::-1])
    return made


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@given(drawn_pairs())
@few
def test_monai(case: Case) -> None:
    truth, prediction, spacing = case
    found = ours(truth, prediction, spacing, tolerance=1.7)
    p, t = channels(prediction), channels(truth)
    matrix = get_confusion_matrix(p, t, include_background=False)
    peer = {
        "dice": compute_dice(p, t, include_background=False),
        "iou": compute_iou(p, t, include_background=False),
        "hausdorff": compute_hausdorff_distance(p, t, spacing=spacing),
        "hd95": compute_hausdorff_distance(p, t, percentile=95, spacing=spacing),
        "assd": compute_average_surface_distance(p, t, symmetric=True, spacing=spacing),
        "nsd": compute_surface_dice(p, t, class_thresholds=[1.7], spacing=spacing),
        "precision": compute_confusion_matrix_metric("precision", matrix),
        "recall": compute_confusion_matrix_metric("recall", matrix),
        "accuracy": compute_confusion_matrix_metric("accuracy", matrix),
    }
    if not truth.all():
        peer["specificity"] = compute_confusion_matrix_metric("specificity", matrix)
        peer["balanced_accuracy"] = compute_confusion_matrix_metric("balanced accuracy", matrix)
    for name, value in peer.items():
        # MONAI takes percentiles in float32.
        assert found[name] == pytest.approx(float(value), rel=1e-4, abs=1e-5), name


@given(drawn_pairs())
@few
def test_simpleitk(case: Case) -> None:
    truth, prediction, spacing = case
    found = ours(truth, prediction, spacing)
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(image(prediction, spacing), image(truth, spacing))
    assert found["dice"] == pytest.approx(overlap.GetDiceCoefficient())
    assert found["iou"] == pytest.approx(overlap.GetJaccardCoefficient())
    assert found["recall"] == pytest.approx(1 - overlap.GetFalseNegativeError())
    assert found["volumetric_similarity"] == pytest.approx(1 - abs(overlap.GetVolumeSimilarity()) / 2)
    # It measures between all elements, not between boundaries: so it is given the boundaries.
    distance = SimpleITK.HausdorffDistanceImageFilter()
    distance.Execute(image(boundary(truth), spacing), image(boundary(prediction), spacing))
    assert found["hausdorff"] == pytest.approx(distance.GetHausdorffDistance(), rel=1e-5)


@given(drawn_pairs())
@few
def test_scikit_image(case: Case) -> None:
    truth, prediction, _ = case
    oracle = hausdorff_distance(boundary(truth), boundary(prediction))
    assert ours(truth, prediction, (1,) * truth.ndim)["hausdorff"] == pytest.approx(oracle)


@old_names
@given(drawn_pairs())
@few
def test_surface_distance_within_its_other_surface(case: Case) -> None:
    """Its surface runs between the elements, through their corners, and its elements weigh by area."""
    import surface_distance

    truth, prediction, spacing = (*(np.pad(mask, 2) for mask in case[:2]), case[2])
    found = ours(truth, prediction, spacing)
    peer = surface_distance.compute_surface_distances(truth, prediction, spacing)
    assert found["hausdorff"] == pytest.approx(
        surface_distance.compute_robust_hausdorff(peer, 100), abs=float(np.linalg.norm(spacing)) * 1.001
    )


@old_names
def test_surface_distance_agrees_on_two_elements() -> None:
    import surface_distance

    truth, prediction = np.zeros((2, 9, 9, 9), bool)
    truth[2, 3, 4] = prediction[6, 6, 5] = True
    spacing = (0.5, 1.5, 4.0)
    found = ours(truth, prediction, spacing)
    peer = surface_distance.compute_surface_distances(truth, prediction, spacing)
    for name, percent in (("hausdorff", 100), ("hd95", 95)):
        assert found[name] == pytest.approx(surface_distance.compute_robust_hausdorff(peer, percent))
    assert surface_distance.compute_surface_dice_at_tolerance(peer, 7.0) == found["nsd"] + 1 == 1
