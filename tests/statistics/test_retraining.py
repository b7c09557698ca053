"""What repeated trainings say of a difference."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from unifocal.statistics import analyse
from unifocal.statistics.retraining import Retrained, retrained

MakeScores = Callable[..., pd.DataFrame]
NAN = np.nan


def difference(
    rng: np.random.Generator, n: int, folds: int, seeds: int, between: float
) -> tuple[np.ndarray, np.ndarray]:
    where = np.arange(n) % folds
    lucky = between * rng.normal(size=(folds, seeds))[where]
    return 0.05 * rng.normal(size=(n, 1)) + 0.02 * rng.normal(size=(n, seeds)) + lucky, where


def test_trainings_that_do_not_vary_leave_the_paired_t_test() -> None:
    values = np.random.default_rng(0).normal(0.02, 0.05, 20)
    found = retrained(values, np.tile(values[:, None], 3), np.arange(20) % 5)
    oracle = stats.ttest_1samp(values, 0)
    assert found.p == pytest.approx(oracle.pvalue)
    assert (found.lower, found.upper) == pytest.approx(tuple(oracle.confidence_interval()))
    assert (found.lower_90, found.upper_90) == pytest.approx(tuple(oracle.confidence_interval(0.9)))


def test_many_patients_leave_the_t_test_over_trainings() -> None:
    """One fold, patients all alike: each training is one observation."""
    luck = np.random.default_rng(1).normal(0.03, 0.02, 5)
    apart = np.tile(luck, (40, 1))
    found = retrained(apart.mean(axis=1), apart, np.zeros(40, dtype=int))
    oracle = stats.ttest_1samp(luck, 0)
    assert found.p == pytest.approx(oracle.pvalue)
    assert (found.lower, found.upper) == pytest.approx(tuple(oracle.confidence_interval()))


@pytest.mark.parametrize(("folds", "seeds"), [(5, 2), (5, 3), (1, 3), (1, 5)])
@pytest.mark.parametrize("between", [0.0, 0.02])
def test_the_level_is_kept_whatever_the_luck(folds: int, seeds: int, between: float) -> None:
    rng = np.random.default_rng(2)
    p = []
    for _ in range(600):
        apart, where = difference(rng, 30, folds, seeds, between)
        p.append(retrained(apart.mean(axis=1), apart, where).p)
    assert np.mean(np.array(p) < 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)
    assert np.mean(np.array(p) < 0.05) > 0.01


def test_patients_alone_would_claim_too_much() -> None:
    rng = np.random.default_rng(3)
    claims = 0
    for _ in range(200):
        apart, _ = difference(rng, 30, 1, 3, 0.03)
        claims += stats.ttest_1samp(apart.mean(axis=1), 0).pvalue < 0.05
    assert claims > 60


@pytest.mark.parametrize(
    ("apart", "folds"),
    [
        (np.ones((4, 1)), np.zeros(4, dtype=int)),
        (np.array([[1.0, 2.0], [2.0, 4.0], [5.0, 3.0]]), np.zeros(3, dtype=int)),
        (np.array([[1.0, NAN], [NAN, 4.0], [5.0, NAN]]), np.array([0, 1, 2])),
        (np.zeros((3, 4)), np.zeros(3, dtype=int)),
    ],
)
def test_too_few_trainings_say_nothing(apart: np.ndarray, folds: np.ndarray) -> None:
    found = retrained(np.nanmean(apart, axis=1), apart, folds)
    assert np.isnan(found.p)
    assert found.is_within(0.001)


def test_within_a_margin() -> None:
    found = Retrained(p=0.5, lower=-0.03, upper=0.02, lower_90=-0.02, upper_90=0.01)
    assert found.is_within(0.02)
    assert not found.is_within(0.019)
    assert not found.is_within(NAN)


def repeated(make_scores: MakeScores, luck: list[float]) -> pd.DataFrame:
    """Loss a is better by `luck` in each training; patients scatter little."""
    rng = np.random.default_rng(4)
    base = rng.beta(5, 2, 40)
    frames = []
    for seed, lead in enumerate(luck):
        losses = {"a": base + lead + 0.01 * rng.normal(size=40), "b": base + 0.01 * rng.normal(size=40)}
        frames.append(make_scores(losses, seed=seed).assign(fold=0))
    return pd.concat(frames)


def test_a_verdict_needs_more_than_lucky_networks(make_scores: MakeScores) -> None:
    lucky = analyse(repeated(make_scores, [0.1, -0.01, -0.02]), resamples=200)
    pair = lucky.comparison.iloc[0]
    assert pair["p_flips"] < 0.001
    assert pair["p_retrained"] > 0.3
    assert pair["p"] == pair["p_retrained"]
    assert lucky.verdict.told_apart == ()
    assert "vary too much to expect it of new ones" in lucky.verdict.explanation
    assert "cannot be told apart" in lucky.verdict.sentence


def test_lucky_networks_are_spoken_of_once(make_scores: MakeScores) -> None:
    scores = repeated(make_scores, [0.1, -0.01, -0.02])
    third = scores[scores["loss"] == "b"].assign(loss="c")
    said = analyse(pd.concat([scores, third]), resamples=200).verdict.explanation
    assert "The trained networks of a did better than those of b and c, but repeated trainings" in said
    assert said.count("repeated trainings vary") == 1


def test_a_lasting_difference_needs_no_excuse(make_scores: MakeScores) -> None:
    steady = analyse(repeated(make_scores, [0.1, 0.11, 0.1]), resamples=200)
    assert steady.verdict.told_apart == ("b",)
    assert steady.verdict.sentence.endswith("better than b on these 40 patients.")
    assert "trainings' own variance" in steady.verdict.test
    once = analyse(repeated(make_scores, [0.1]), resamples=200).verdict
    assert once.sentence.endswith("this holds for these trained networks, and training again may change it.")


def test_equal_networks_are_equivalent_only_if_they_stay_so(make_scores: MakeScores) -> None:
    once = analyse(repeated(make_scores, [0.001]), resamples=200)
    assert once.verdict.equivalent != ()
    lucky = analyse(repeated(make_scores, [0.06, -0.05, -0.01]), resamples=200)
    assert lucky.verdict.equivalent == ()
