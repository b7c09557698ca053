"""What an empty or full mask gives, and that the documented policy is the one applied."""

import math

import numpy as np
import pytest

from unifocal.metrics import METRICS, Score, score_case

SPACING = (0.5, 2.0)
DIAGONAL = math.hypot(9 * 0.5, 7 * 2.0)
BLANK = np.zeros((10, 8), int)
BLOB = BLANK.copy()
BLOB[3:6, 2:5] = 1


def scored(truth: np.ndarray, prediction: np.ndarray) -> dict[str, Score]:
    return {s.metric: s for s in score_case(truth, prediction, SPACING, labels=[1])}


@pytest.mark.parametrize("name", ["dice", "iou", "precision", "recall", "hausdorff", "hd95", "assd", "nsd"])
def test_both_empty_is_undefined(name: str) -> None:
    score = scored(BLANK, BLANK)[name]
    assert score.value is None
    assert "neither mask" in score.reason


def test_both_empty_leaves_the_background_metrics_at_one() -> None:
    scores = scored(BLANK, BLANK)
    assert scores["specificity"].value == scores["accuracy"].value == 1


@pytest.mark.parametrize("name", ["dice", "iou", "precision", "recall", "nsd"])
def test_marking_nothing_earns_nothing(name: str) -> None:
    score = scored(BLOB, BLANK)[name]
    assert score.value == 0
    assert "only the truth" in score.reason


@pytest.mark.parametrize("name", ["hausdorff", "hd95", "hd95_pooled", "assd"])
@pytest.mark.parametrize("missed", [True, False])
def test_one_empty_mask_costs_the_image_diagonal(name: str, missed: bool) -> None:
    score = (scored(BLOB, BLANK) if missed else scored(BLANK, BLOB))[name]
    assert score.value == pytest.approx(DIAGONAL)
    assert "diagonal" in score.reason
    worst = BLANK.copy()
    worst[-1, -1] = 1
    corner = BLANK.copy()
    corner[0, 0] = 1
    assert scored(corner, worst)[name].value == pytest.approx(DIAGONAL)


def test_an_empty_truth_leaves_recall_undefined_and_precision_zero() -> None:
    scores = scored(BLANK, BLOB)
    assert scores["recall"].value is None
    assert scores["recall"].reason
    for name in ("dice", "iou", "precision", "nsd"):
        assert scores[name].value == 0
        assert scores[name].reason


def test_a_truth_that_covers_the_image_leaves_specificity_undefined() -> None:
    score = scored(BLANK + 1, BLOB)["specificity"]
    assert score.value is None
    assert "covers the whole image" in score.reason


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_says_what_it_means(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.title
    assert metric.definition.endswith(".")
    assert metric.range[0] < metric.range[1]
    assert (metric.direction is None) == (metric.range[1] == math.inf and metric.unit != "mm")


def test_the_documented_policy_is_the_one_applied() -> None:
    situations = {
        "both_empty": scored(BLANK, BLANK),
        "truth_empty": scored(BLANK, BLOB),
        "prediction_empty": scored(BLOB, BLANK),
    }
    given = {"undefined": None, "zero": 0.0, "diagonal": pytest.approx(DIAGONAL)}
    checked = 0
    for situation, scores in situations.items():
        for name, score in scores.items():
            outcome = METRICS[name].empty.get(situation)  # type: ignore[call-overload]
            assert bool(score.reason) == (outcome is not None)
            assert score.reason in METRICS[name].empty_policy
            if outcome is not None:
                assert score.value == given[outcome]
                checked += 1
    assert checked > 20
