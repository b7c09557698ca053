"""What an empty or full mask gives, and that the documented policy is the one applied."""

import math
from typing import Any

import numpy as np
import pytest
from metric_oracles import by_metric

from unifocal.metrics import METRICS, Score, score_case
from unifocal.metrics.metric import Situation

SPACING = (0.5, 2.0)
DIAGONAL = math.hypot(9 * 0.5, 7 * 2.0)
BLANK = np.zeros((10, 8), int)
BLOB = BLANK.copy()
BLOB[3:6, 2:5] = 1
SITUATIONS: dict[Situation, tuple[Any, Any]] = {
    "both_empty": (BLANK, BLANK),
    "truth_empty": (BLANK, BLOB),
    "prediction_empty": (BLOB, BLANK),
}
BOUNDED = ["dice", "iou", "precision", "recall", "volumetric_similarity", "nsd"]
LESIONS = ["lesion_recall", "lesion_precision", "lesion_f1"]
DISTANCES = ["hausdorff", "hd95", "hd95_pooled", "assd"]


def scored(truth: np.ndarray, prediction: np.ndarray) -> dict[str, Score]:
    probabilities = np.full((1, *truth.shape), 0.25)
    return by_metric(score_case(truth, prediction, SPACING, labels=[1], probabilities=probabilities), 1)


@pytest.mark.parametrize(
    "name", [*BOUNDED, *LESIONS, *DISTANCES, "balanced_accuracy", "relative_size_error", "average_precision"]
)
def test_both_empty_is_undefined(name: str) -> None:
    score = scored(BLANK, BLANK)[name]
    assert score.value is None
    assert "neither mask" in score.reason


def test_both_empty_leaves_what_the_background_says() -> None:
    scores = scored(BLANK, BLANK)
    assert scores["specificity"].value == scores["accuracy"].value == 1
    assert scores["brier"].value == 0.25**2
    assert scores["ece"].value == 0.25
    for name in ("lesions_truth", "lesions_prediction", "lesions_found", "lesions_false", "area_difference"):
        assert scores[name].value == 0


@pytest.mark.parametrize("name", [*BOUNDED, *LESIONS])
def test_marking_nothing_earns_nothing(name: str) -> None:
    score = scored(BLOB, BLANK)[name]
    assert score.value == 0
    assert "only the truth" in score.reason


def test_marking_nothing_by_the_formula() -> None:
    scores = scored(BLOB, BLANK)
    assert scores["balanced_accuracy"].value == 0.5
    assert scores["relative_size_error"].value == 1
    assert scores["area_difference"].value == -9
    assert (scores["lesions_truth"].value, scores["lesions_found"].value) == (1, 0)


@pytest.mark.parametrize("name", DISTANCES)
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


def test_an_empty_truth_leaves_what_needs_it_undefined_and_the_rest_zero() -> None:
    scores = scored(BLANK, BLOB)
    for name in ("recall", "lesion_recall", "balanced_accuracy", "relative_size_error", "average_precision"):
        assert scores[name].value is None
        assert "only the prediction" in scores[name].reason
    for name in ("dice", "iou", "precision", "volumetric_similarity", "nsd", "lesion_precision", "lesion_f1"):
        assert scores[name].value == 0
        assert scores[name].reason
    assert (scores["lesions_prediction"].value, scores["lesions_false"].value) == (1, 1)


@pytest.mark.parametrize("name", ["specificity", "balanced_accuracy"])
def test_a_truth_that_covers_the_image_leaves_no_background(name: str) -> None:
    score = scored(BLANK + 1, BLOB)[name]
    assert score.value is None
    assert "covers the whole image" in score.reason


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_documented_policy_is_the_one_applied(situation: Situation) -> None:
    given = {"undefined": None, "zero": 0.0, "diagonal": pytest.approx(DIAGONAL)}
    scores = scored(*SITUATIONS[situation])
    assert len(scores) == sum("volume" not in name or name == "volumetric_similarity" for name in METRICS)
    for name, score in scores.items():
        outcome = METRICS[name].empty.get(situation)
        assert bool(score.reason) == (outcome is not None), name
        if outcome is None:
            assert score.value is not None
        else:
            assert score.value == given[outcome]
            assert score.reason in METRICS[name].empty_policy


def test_a_reason_is_given_for_the_ordinary_case_never() -> None:
    assert not any(score.reason for score in scored(BLOB, np.roll(BLOB, 1, 0)).values())
