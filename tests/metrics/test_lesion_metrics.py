"""Lesions found and made up, against a flood fill in plain Python."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from metric_oracles import SHAPES, Case, by_metric, drawn_cases, flooded

from unifocal.metrics import LesionCounts, lesion_counts, score_case
from unifocal.metrics.lesions import lesion_scores

SPARSE = SHAPES.flatmap(lambda shape: hnp.arrays(bool, (2, *shape), elements=st.integers(0, 3).map(lambda n: n == 0)))


@given(SPARSE, st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
@settings(max_examples=100)
def test_counts_match_a_flood_fill(masks: Any, corners: bool, share: float) -> None:
    truth, prediction = masks
    true, predicted = flooded(truth, corners=corners), flooded(prediction, corners=corners)
    in_truth, in_prediction = set().union(*true), set().union(*predicted)
    hits = [len(lesion & in_prediction) for lesion in true]
    expected = LesionCounts(
        truth=len(true),
        prediction=len(predicted),
        found=sum(hit >= max(1, share * len(lesion)) for hit, lesion in zip(hits, true, strict=True)),
        false=sum(not lesion & in_truth for lesion in predicted),
    )
    assert lesion_counts(truth, prediction, minimal_share=share, corners=corners) == expected


@given(drawn_cases())
@settings(max_examples=60)
def test_scores_follow_from_the_components(case: Case) -> None:
    truth, prediction, spacing = case
    got = by_metric(score_case(truth, prediction, spacing, labels=[2]), 2)
    true, predicted = flooded(truth == 2), flooded(prediction == 2)
    found = [lesion for lesion in true if any(lesion & other for other in predicted)]
    right = [lesion for lesion in predicted if any(lesion & other for other in true)]
    counted = [got[f"lesions_{name}"].value for name in ("truth", "prediction", "found", "false")]
    assert counted == [len(true), len(predicted), len(found), len(predicted) - len(right)]
    if true:
        assert got["lesion_recall"].value == pytest.approx(len(found) / len(true))
    if true and predicted:
        recall, precision = len(found) / len(true), len(right) / len(predicted)
        assert got["lesion_precision"].value == pytest.approx(precision)
        f1 = 2 / (1 / recall + 1 / precision) if found else 0
        assert got["lesion_f1"].value == pytest.approx(f1)


def test_one_prediction_over_two_lesions_finds_both_and_pieces_are_right() -> None:
    truth = np.array([[1, 1, 0, 0, 0, 1, 1, 1, 1]])
    prediction = np.array([[1, 1, 1, 1, 1, 1, 0, 1, 0]])
    assert lesion_counts(truth > 0, prediction > 0) == LesionCounts(truth=2, prediction=2, found=2, false=0)


def test_diagonal_neighbours_belong_together_unless_faces_are_asked_for() -> None:
    for ndim, nothing in ((2, np.zeros((4, 4), bool)), (3, np.zeros((4, 4, 4), bool))):
        corner = nothing.copy()
        corner[(1,) * ndim] = corner[(2,) * ndim] = True
        assert lesion_counts(corner, nothing).truth == 1
        assert lesion_counts(corner, nothing, corners=False).truth == 2


def test_summed_counts_give_pooled_scores() -> None:
    scores = lesion_scores(LesionCounts(truth=10, prediction=8, found=5, false=2))
    assert scores["lesion_recall"] == (0.5, "")
    assert scores["lesion_precision"] == (0.75, "")
    assert scores["lesion_f1"] == (pytest.approx(0.6), "")
    missed = lesion_scores(LesionCounts(truth=3, prediction=2, found=0, false=2))
    assert [missed[f"lesion_{name}"] for name in ("recall", "precision", "f1")] == [(0.0, "")] * 3


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_beyond_the_whole_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="minimal_share"):
        lesion_counts(np.ones((2, 2), bool), np.ones((2, 2), bool), minimal_share=share)


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected the same"):
        lesion_counts(np.ones((2, 2), bool), np.ones((2, 3), bool))
