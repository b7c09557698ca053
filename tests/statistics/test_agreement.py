"""Bias and limits of agreement against Bland and Altman's data and against what was drawn."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from unifocal.statistics import analyse
from unifocal.statistics.agreement import limits_of_agreement

MakeScores = Callable[..., pd.DataFrame]

# Bland and Altman 1986: peak expiratory flow by two meters, l/min, first measurements.
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_bland_and_altmans_example() -> None:
    differences = np.array(LARGE, dtype=float) - MINI
    bias, low, high, lower, lower_low, lower_high, upper, upper_low, upper_high = limits_of_agreement(
        differences, np.arange(17)
    )
    assert bias == pytest.approx(-2.1, abs=0.05)
    # They take two standard deviations of 38.8.
    assert (upper - bias) / 1.959964 == pytest.approx(38.8, abs=0.05)
    assert lower == pytest.approx(2 * bias - upper)
    assert (low, high) == pytest.approx(tuple(stats.ttest_1samp(differences, 0).confidence_interval()))
    # Theirs are -114.3 to -45.1 and 40.9 to 110.1, symmetric, about limits of two standard deviations.
    assert (lower_low, lower_high) == pytest.approx((-114.3, -45.1), abs=13)
    assert (upper_low, upper_high) == pytest.approx((40.9, 110.1), abs=13)


@pytest.mark.parametrize("cases", [(1, 1), (1, 5), (4, 4)])
def test_the_limits_are_covered(cases: tuple[int, int]) -> None:
    """Cases of a patient are alike; the limits are those of a single case."""
    rng = np.random.default_rng(0)
    truth = 3 + 1.959964 * np.sqrt(2**2 + 1**2)
    covered = {"bias": 0, "limit": 0}
    for _ in range(400):
        patients = np.repeat(np.arange(25), rng.integers(cases[0], cases[1] + 1, 25))
        differences = 3 + 2 * rng.normal(size=25)[patients] + rng.normal(size=len(patients))
        _, low, high, *_, upper_low, upper_high = limits_of_agreement(differences, patients)
        covered["bias"] += low <= 3 <= high
        covered["limit"] += upper_low <= truth <= upper_high
    for name, hits in covered.items():
        assert 0.92 <= hits / 400 <= 0.985, name


def test_repeated_cases_do_not_pass_for_more_patients() -> None:
    rng = np.random.default_rng(1)
    differences = rng.normal(size=10)
    once = limits_of_agreement(differences, np.arange(10))
    copied = limits_of_agreement(np.repeat(differences, 8), np.repeat(np.arange(10), 8))
    assert copied == pytest.approx(once)


def test_one_patient_has_a_bias_and_no_more() -> None:
    bias, *others = limits_of_agreement(np.array([1.0, 3.0]), np.array([0, 0]))
    assert bias == 2
    assert np.isnan(others).all()


def test_the_table_takes_prediction_minus_truth(make_scores: MakeScores) -> None:
    truth, predicted = [100.0, 200.0, 300.0, np.nan], {"b": [110.0, 205.0, 330.0, 7.0], "a": [90.0, 190.0, 290.0, 7.0]}
    frames = [make_scores({"b": [0.5] * 4, "a": [0.4] * 4})]
    frames += [make_scores(dict.fromkeys(predicted, truth), "area_truth", unit="mm2")]
    frames += [make_scores(predicted, "area_prediction", unit="mm2")]
    found = analyse(pd.concat(frames), resamples=20).agreement
    assert found["loss"].tolist() == ["b", "a"]
    assert found["metric"].tolist() == ["area"] * 2
    assert found["unit"].tolist() == ["mm2"] * 2
    assert found["n_cases"].tolist() == found["n_patients"].tolist() == [3, 3]
    assert found["bias"].tolist() == pytest.approx([15, -10])
    assert found["limit_upper"][1] == found["limit_lower"][1] == pytest.approx(-10)
    assert analyse(frames[0], resamples=20).agreement.empty
    assert analyse(pd.concat(frames[:2]), resamples=20).agreement.empty
