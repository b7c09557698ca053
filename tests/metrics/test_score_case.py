"""Every score against oracles that share no code with the package."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics.confusion_matrix import compute_confusion_matrix_metric, get_confusion_matrix
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from unifocal.metrics import METRICS, Score, score_case

SURFACE = ("hausdorff", "hd95", "hd95_pooled", "assd", "nsd")
quick = settings(max_examples=60, deadline=None)
shapes = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
)


@st.composite
def drawn_cases(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[Any], tuple[float, ...]]:
    shape = draw(shapes)
    masks = hnp.arrays(np.uint8, shape, elements=st.integers(0, 2))
    spacing = tuple(draw(st.floats(0.1, 5)) for _ in shape)
    return draw(masks), draw(masks), spacing


def by_metric(scores: list[Score], label: int) -> dict[str, Score]:
    return {score.metric: score for score in scores if score.label == label}


def oracle_boundary(mask: NDArray[Any]) -> list[tuple[int, ...]]:
    found = []
    for index in np.ndindex(mask.shape):
        neighbours = []
        for axis in range(mask.ndim):
            for step in (-1, 1):
                other = list(index)
                other[axis] += step
                inside = 0 <= other[axis] < mask.shape[axis]
                neighbours.append(bool(inside and mask[tuple(other)]))
        if mask[index] and not all(neighbours):
            found.append(index)
    return found


def oracle_percentile(values: list[float]) -> float:
    ordered = sorted(values)
    place = 0.95 * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def oracle_surface(
    truth: NDArray[Any], prediction: NDArray[Any], spacing: tuple[float, ...], tolerance: float
) -> dict[str, float]:
    points = [
        [tuple(i * s for i, s in zip(index, spacing, strict=True)) for index in oracle_boundary(mask)]
        for mask in (truth, prediction)
    ]
    forward = [min(math.dist(a, b) for b in points[1]) for a in points[0]]
    back = [min(math.dist(a, b) for a in points[0]) for b in points[1]]
    both = forward + back
    return {
        "hausdorff": max(both),
        "hd95": max(oracle_percentile(forward), oracle_percentile(back)),
        "hd95_pooled": oracle_percentile(both),
        "assd": sum(both) / len(both),
        "nsd": sum(d <= tolerance + 1e-9 for d in both) / len(both),
    }


@given(drawn_cases())
@quick
def test_surface_metrics_match_brute_force(
    case: tuple[NDArray[Any], NDArray[Any], tuple[float, ...]],
) -> None:
    truth, prediction, spacing = case
    scores = score_case(truth, prediction, spacing, labels=[1, 2], tolerance=1.5)
    for label in (1, 2):
        masks = truth == label, prediction == label
        if not (masks[0].any() and masks[1].any()):
            continue
        got = by_metric(scores, label)
        for name, value in oracle_surface(*masks, spacing, 1.5).items():
            assert got[name].value == pytest.approx(value, rel=1e-9, abs=1e-12)
            assert got[name].reason == ""


@given(drawn_cases())
@quick
def test_overlap_matches_scikit_learn(
    case: tuple[NDArray[Any], NDArray[Any], tuple[float, ...]],
) -> None:
    truth, prediction, spacing = case
    got = by_metric(score_case(truth, prediction, spacing, labels=[2]), 2)
    t, p = (truth == 2).ravel(), (prediction == 2).ravel()
    assert got["accuracy"].value == pytest.approx(accuracy_score(t, p))
    oracles = {"dice": f1_score, "iou": jaccard_score, "precision": precision_score}
    for name, oracle in oracles.items():
        if t.any() or p.any():
            assert got[name].value == pytest.approx(oracle(t, p, zero_division=0))
        else:
            assert got[name].value is None
    if t.any():
        assert got["recall"].value == pytest.approx(recall_score(t, p, zero_division=0))
    if not t.all():
        assert got["specificity"].value == pytest.approx(recall_score(~t, ~p, zero_division=0))
    element = math.prod(spacing)
    kind, unit = ("area", "mm2") if truth.ndim == 2 else ("volume", "mm3")
    assert got[f"{kind}_truth"].value == pytest.approx(t.sum() * element)
    assert got[f"{kind}_prediction"].value == pytest.approx(p.sum() * element)
    assert got[f"{kind}_truth"].unit == unit
    counts = [f"{a}_{b}" for a in ("true", "false") for b in ("positives", "negatives")]
    assert sum(got[name].value or 0 for name in counts) == truth.size
    assert got["true_positives"].value == np.sum(t & p)
    assert got["false_positives"].value == np.sum(~t & p)
    assert got["false_negatives"].value == np.sum(t & ~p)


def test_specificity_and_recall_match_monai() -> None:
    rng = np.random.default_rng(1)
    truth, prediction = rng.integers(0, 2, (2, 12, 7))
    got = by_metric(score_case(truth, prediction), 1)
    matrix = get_confusion_matrix(torch.tensor(prediction)[None, None], torch.tensor(truth)[None, None])
    for name in ("specificity", "recall", "precision", "accuracy"):
        oracle = float(compute_confusion_matrix_metric(name, matrix))
        assert got[name].value == pytest.approx(oracle, rel=1e-6)


@given(drawn_cases())
@quick
def test_exchanging_the_masks_exchanges_precision_and_recall(
    case: tuple[NDArray[Any], NDArray[Any], tuple[float, ...]],
) -> None:
    truth, prediction, spacing = case
    one = by_metric(score_case(truth, prediction, spacing, labels=[1]), 1)
    two = by_metric(score_case(prediction, truth, spacing, labels=[1]), 1)
    for name in ("dice", "iou", "accuracy", *SURFACE):
        if one[name].value is None:
            assert two[name].value is None
        else:
            assert one[name].value == pytest.approx(two[name].value)
    if (truth == 1).any() and (prediction == 1).any():
        assert one["precision"].value == two["recall"].value


@given(drawn_cases())
@quick
def test_a_perfect_prediction_and_the_spacing_that_scales(
    case: tuple[NDArray[Any], NDArray[Any], tuple[float, ...]],
) -> None:
    truth, prediction, spacing = case
    for score in score_case(truth, truth, spacing):
        if METRICS[score.metric].direction == "higher" and score.value is not None:
            assert score.value == 1
        if METRICS[score.metric].unit == "mm":
            assert score.value == 0
    doubled = score_case(truth, prediction, [2 * step for step in spacing])
    for a, b in zip(score_case(truth, prediction, spacing), doubled, strict=True):
        if a.unit == "mm":
            assert b.value == pytest.approx(2 * (a.value or 0))
        elif a.metric != "nsd" and a.unit in {"", "px"}:
            assert a.value == b.value


@given(drawn_cases())
@quick
def test_values_stay_in_their_range_and_undefined_ones_give_a_reason(
    case: tuple[NDArray[Any], NDArray[Any], tuple[float, ...]],
) -> None:
    truth, prediction, spacing = case
    scores = score_case(truth, prediction, spacing, labels=[1, 2, 7])
    assert len({(score.label, score.metric) for score in scores}) == len(scores)
    for score in scores:
        low, high = METRICS[score.metric].range
        if score.value is None:
            assert score.reason
        else:
            assert low <= score.value <= high + 1e-12
            assert math.isfinite(score.value)


def test_hd95_differs_from_the_pooled_percentile() -> None:
    """One stray element of a small prediction: the directed definition must see it."""
    truth, prediction = np.zeros((2, 64, 64), int)
    truth[10:40, 10:40] = 1
    prediction[10:40, 10:40] = 1
    prediction[60, 60:64] = 1
    got = by_metric(score_case(truth, prediction), 1)
    assert got["hausdorff"].value == pytest.approx(math.hypot(21, 24))
    assert (got["hd95_pooled"].value or 0) <= (got["hd95"].value or 0)
    assert got["dice"].unit == ""
    assert got["hd95"].unit == got["area_truth"].unit == "px"


def test_labels_default_to_those_in_either_mask() -> None:
    truth = np.array([[0, 1], [0, 0]])
    prediction = np.array([[0, 0], [4, 0]])
    assert {score.label for score in score_case(truth, prediction)} == {1, 4}
    assert score_case(truth * 0, prediction * 0) == []
    ordered = [score.label for score in score_case(truth, prediction, labels=[4, 1])]
    assert ordered == sorted(ordered, reverse=True)


def test_boolean_masks_are_label_one() -> None:
    rng = np.random.default_rng(3)
    truth, prediction = rng.random((2, 6, 6)) < 0.5
    assert score_case(truth, prediction) == score_case(truth.astype(int), prediction.astype(int))


def test_brier_matches_scikit_learn_for_every_label() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, (6, 5))
    logits = rng.normal(size=(3, 6, 5))
    probabilities = np.exp(logits) / np.exp(logits).sum(0)
    scores = score_case(truth, probabilities.argmax(0), labels=[1, 2], probabilities=probabilities)
    for label in (1, 2):
        oracle = brier_score_loss((truth == label).ravel(), probabilities[label].ravel())
        assert by_metric(scores, label)["brier"].value == pytest.approx(oracle)
    alone = score_case(truth, truth, labels=[2], probabilities=probabilities[2:])
    assert by_metric(alone, 2)["brier"] == by_metric(scores, 2)["brier"]
    assert "brier" not in by_metric(score_case(truth, truth, labels=[1]), 1)
