"""Lesions of all cases together."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

from unifocal.statistics import analyse

MakeScores = Callable[..., pd.DataFrame]
COUNTS = ("lesions_truth", "lesions_found", "lesions_prediction", "lesions_false")


def pooled_lesions(make_scores: MakeScores, counts: Mapping[str, list[float]]) -> dict[str, float]:
    n = len(next(iter(counts.values())))
    frames = [make_scores({"a": values}, name) for name, values in counts.items()]
    table = analyse(pd.concat([make_scores({"a": [0.5] * n}), *frames]), resamples=20).pooled
    return dict(zip(table["metric"], table["value"], strict=True))


def test_lesions_are_counted_over_all_cases(make_scores: MakeScores) -> None:
    found = pooled_lesions(make_scores, dict(zip(COUNTS, ([1, 9], [1, 3], [2, 4], [0, 3]), strict=True)))
    recall, precision = 4 / 10, 3 / 6
    assert found["lesion_recall"] == pytest.approx(recall)
    assert found["lesion_precision"] == pytest.approx(precision)
    assert found["lesion_f1"] == pytest.approx(2 / (1 / recall + 1 / precision))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((0, 0, 0, 0), (np.nan, np.nan, np.nan)),
        ((0, 0, 2, 2), (np.nan, 0, 0)),
        ((2, 0, 0, 0), (0, 0, 0)),
        ((2, 0, 3, 3), (0, 0, 0)),
    ],
)
def test_empty_sides(make_scores: MakeScores, counts: tuple[float, ...], expected: tuple[float, ...]) -> None:
    found = pooled_lesions(make_scores, dict(zip(COUNTS, ([count] for count in counts), strict=True)))
    values = [found[f"lesion_{name}"] for name in ("recall", "precision", "f1")]
    np.testing.assert_allclose(values, expected)


def test_half_a_set_of_counts_is_left_out(make_scores: MakeScores) -> None:
    assert pooled_lesions(make_scores, {"lesions_truth": [1, 2], "lesions_found": [1, 1]}) == {}
