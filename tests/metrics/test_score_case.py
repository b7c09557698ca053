"""Every score of a case against oracles that share no code with the package."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_oracles import Case, by_metric, drawn_cases, elements, surface_by_brute_force
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from unifocal.metrics import METRICS, score_case

SURFACE = ("hausdorff", "hd95", "hd95_pooled", "assd", "nsd")
quick = settings(max_examples=60)


@given(drawn_cases())
@quick
def test_surface_metrics_match_brute_force(
    case: Case,
) -> None:
    truth, prediction, spacing = case
    scores = score_case(truth, prediction, spacing, labels=[1, 2], tolerance=1.5)
    for label in (1, 2):
        masks = truth == label, prediction == label
        if not (masks[0].any() and masks[1].any()):
            continue
        got = by_metric(scores, label)
        for name, value in surface_by_brute_force(*masks, spacing, 1.5).items():
            assert got[name].value == pytest.approx(value, rel=1e-9, abs=1e-12)
            assert got[name].reason == ""


@given(drawn_cases())
@quick
def test_overlap_matches_scikit_learn(
    case: Case,
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
    if t.any() and not t.all():
        assert got["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(t, p))
    counts = [f"{a}_{b}" for a in ("true", "false") for b in ("positives", "negatives")]
    assert sum(got[name].value or 0 for name in counts) == truth.size
    assert got["true_positives"].value == np.sum(t & p)
    assert got["false_positives"].value == np.sum(~t & p)
    assert got["false_negatives"].value == np.sum(t & ~p)


@given(drawn_cases())
@quick
def test_exchanging_the_masks_exchanges_precision_and_recall(
    case: Case,
) -> None:
    truth, prediction, spacing = case
    one = by_metric(score_case(truth, prediction, spacing, labels=[1]), 1)
    two = by_metric(score_case(prediction, truth, spacing, labels=[1]), 1)
    for name in ("dice", "iou", "accuracy", *SURFACE):
        if one[name].value is None:
            assert two[name].value is None
        else:
            assert one[name].value == pytest.approx(two[name].value)
    kind = "area" if truth.ndim == 2 else "volume"
    assert one[f"{kind}_difference"].value == -(two[f"{kind}_difference"].value or 0)
    if (truth == 1).any() and (prediction == 1).any():
        assert one["precision"].value == two["recall"].value
        assert one["lesion_precision"].value == pytest.approx(two["lesion_recall"].value)
        assert one["lesion_f1"].value == pytest.approx(two["lesion_f1"].value)


@given(drawn_cases())
@quick
def test_a_perfect_prediction_and_the_spacing_that_scales(
    case: Case,
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


@given(drawn_cases())
@quick
def test_overlap_and_sizes_follow_from_sets(case: Case) -> None:
    truth, prediction, spacing = case
    got = by_metric(score_case(truth, prediction, spacing, labels=[1]), 1)
    t, p, everywhere = elements(truth == 1), elements(prediction == 1), elements(truth >= 0)
    kind, unit, element = (
        ("area", "mm2", math.prod(spacing)) if truth.ndim == 2 else ("volume", "ml", math.prod(spacing) / 1000)
    )
    sizes = {"truth": len(t), "prediction": len(p), "difference": len(p) - len(t)}
    for name, size in sizes.items():
        assert got[f"{kind}_{name}"].value == pytest.approx(size * element)
        assert got[f"{kind}_{name}"].unit == unit
    if t:
        assert got["relative_size_error"].value == pytest.approx(abs(len(p) - len(t)) / len(t))
    if t and p:
        assert got["volumetric_similarity"].value == pytest.approx(1 - abs(len(p) - len(t)) / (len(p) + len(t)))
    if t and everywhere - t:
        right = len(t & p) / len(t) + len(everywhere - t - p) / len(everywhere - t)
        assert got["balanced_accuracy"].value == pytest.approx(right / 2)


def test_average_precision_matches_scikit_learn() -> None:
    rng = np.random.default_rng(7)
    truth = rng.integers(0, 3, (9, 8))
    probabilities = rng.dirichlet(np.ones(3), (9, 8)).transpose(2, 0, 1).round(1)
    scores = score_case(truth, probabilities.argmax(0), labels=[2, 1], probabilities=probabilities[[0, 2, 1]])
    for label in (1, 2):
        oracle = average_precision_score((truth == label).ravel(), probabilities[label].ravel())
        assert by_metric(scores, label)["average_precision"].value == pytest.approx(oracle)
        assert 0 < (by_metric(scores, label)["ece"].value or 0) < 1


def arrangements(mask: NDArray[Any]) -> dict[str, NDArray[Any]]:
    spread = np.zeros(tuple(2 * n for n in mask.shape), mask.dtype)
    every_other = (slice(None, None, 2),) * mask.ndim
    spread[every_other] = mask
    fixed = mask.copy()
    fixed.flags.writeable = False
    return {
        "every other element": spread[every_other],
        "backwards": mask[::-1].copy()[::-1],
        "columns first": np.asfortranarray(mask),
        "read-only": fixed,
        "big-endian": mask.astype(">i2"),
        **{
            kind: mask.astype(kind)
            for kind in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
        },
    }


@pytest.mark.parametrize("shape", [(13, 11), (7, 8, 6)])
def test_how_masks_lie_in_memory_does_not_matter(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    truth, prediction = rng.integers(0, 3, (2, *shape))
    expected = score_case(truth, prediction, (0.7, 1.1, 2.0)[: len(shape)])
    predictions = arrangements(prediction)
    for name, arranged in arrangements(truth).items():
        before = arranged.copy()
        assert score_case(arranged, predictions[name], (0.7, 1.1, 2.0)[: len(shape)]) == expected, name
        assert score_case(arranged, prediction, (0.7, 1.1, 2.0)[: len(shape)]) == expected, name
        assert (arranged == before).all()


@given(drawn_cases(), st.data())
@quick
def test_axes_flips_and_margins(case: Case, data: st.DataObject) -> None:
    """Only true negatives, and what follows from them, see how much background there is."""
    truth, prediction, spacing = case
    axes = data.draw(st.permutations(range(truth.ndim)))
    moved = [np.flip(mask.transpose(axes), 0) for mask in (truth, prediction)]
    expected = score_case(truth, prediction, spacing)
    turned = score_case(*moved, [spacing[axis] for axis in axes])
    padded = score_case(np.pad(truth, 2), np.pad(prediction, 2), spacing)
    free = {"specificity", "accuracy", "balanced_accuracy", "true_negatives"}
    for one, other, wider in zip(expected, turned, padded, strict=True):
        assert (one.label, one.metric, one.unit, one.reason) == (other.label, other.metric, other.unit, other.reason)
        if one.value is None:
            assert other.value is None
            continue
        assert one.value == pytest.approx(other.value, rel=1e-12, abs=1e-12)
        if one.metric not in free and "diagonal" not in one.reason:
            assert one.value == pytest.approx(wider.value, rel=1e-12, abs=1e-12)


@given(drawn_cases(largest_label=5))
@quick
def test_labels_do_not_see_each_other(case: Case) -> None:
    truth, prediction, spacing = case
    together = score_case(truth, prediction, spacing, labels=range(1, 7))
    for label in range(1, 7):
        alone = score_case(truth == label, prediction == label, spacing, labels=[1])
        assert [(s.metric, s.value, s.reason) for s in by_metric(together, label).values()] == [
            (s.metric, s.value, s.reason) for s in alone
        ]


@pytest.mark.parametrize("label", [3, 70_000, 2**40])
def test_labels_may_be_large(label: int) -> None:
    truth, prediction = np.zeros((2, 6, 5), np.int64)
    truth[1:4, 1:3] = label
    prediction[2:5, 1:4] = label
    prediction[0, 0] = 7
    expected = score_case(truth == label, prediction == label, labels=[1])
    found = score_case(truth, prediction)
    assert {score.label for score in found} == {7, label}
    assert [s.value for s in by_metric(found, label).values()] == [s.value for s in expected]
    assert [s.value for s in score_case(truth, prediction, labels=[label])] == [s.value for s in expected]
