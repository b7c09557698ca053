"""How many patients a difference needs, against statsmodels and by trying."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from unifocal.statistics import analyse
from unifocal.statistics.power import patients_needed
from unifocal.statistics.sign_flips import flip_tests

MakeScores = Callable[..., pd.DataFrame]


@pytest.mark.parametrize("level", [0.05, 0.05 / 28])
@pytest.mark.parametrize("size", [0.2, 0.5, 1.0])
def test_it_is_nearly_that_of_the_noncentral_t(size: float, level: float) -> None:
    oracle = TTestPower().solve_power(effect_size=size, alpha=level, power=0.8)
    assert patients_needed(0.05 * size, 0.05, level) == pytest.approx(np.ceil(oracle), abs=1.01 + 0.01 * oracle)


@given(st.floats(0.001, 0.3), st.floats(0.001, 0.3))
def test_smaller_differences_need_more(difference: float, spread: float) -> None:
    n = patients_needed(difference, spread, 0.05)
    assert n >= 2
    assert patients_needed(-difference, spread, 0.05) == n
    assert patients_needed(difference / 2, spread, 0.05) >= n
    assert patients_needed(difference, spread, 0.01) >= n


def test_what_cannot_be_planned() -> None:
    assert patients_needed(0.0, 0.1, 0.05) == np.inf
    assert np.isnan(patients_needed(0.02, 0.0, 0.05))


def test_the_number_is_enough_for_the_verdicts_own_test() -> None:
    n = int(patients_needed(0.02, 0.05, 0.05))
    values = np.random.default_rng(0).normal(0.02, 0.05, (n, 1500))
    assert np.mean(flip_tests(values, 0, 1999).either < 0.05) == pytest.approx(0.8, abs=0.035)


def test_the_table(make_scores: MakeScores) -> None:
    rng = np.random.default_rng(1)
    base = rng.beta(5, 2, 30)
    losses = {name: base + shift + rng.normal(0, 0.04, 30) for name, shift in [("a", 0.0), ("b", 0.05), ("c", 0.02)]}
    table = analyse(make_scores(losses), resamples=20).power
    assert set(table["loss_a"]) == {"b"}
    assert table["loss_b"].tolist() == ["a"] * 4 + ["c"] * 4
    assert table["difference"].tolist()[:3] == [0.01, 0.02, 0.05]
    observed = table[table["is_observed"]].set_index("loss_b")
    for other in ("a", "c"):
        difference = losses["b"] - losses[other]
        assert observed.loc[other, "difference"] == pytest.approx(difference.mean())
        assert observed.loc[other, "sd_difference"] == pytest.approx(difference.std(ddof=1))
    assert table["level"].tolist() == pytest.approx([0.05 / 3] * 8)
    assert (table["power"] == 0.8).all()


def test_distances_are_asked_for_in_their_unit(make_scores: MakeScores) -> None:
    values = 10 * np.random.default_rng(2).random((2, 12))
    scores = make_scores(dict(zip("ab", values, strict=True)), "hd95", unit="mm")
    table = analyse(scores, metric="hd95", resamples=20).power
    assert table["difference"].tolist()[:3] == [1, 2, 5]


@pytest.mark.parametrize("values", [{"a": [0.1, 0.4]}, {"a": [0.1], "b": [0.2]}, {"a": [np.nan], "b": [np.nan]}])
def test_nothing_to_plan(make_scores: MakeScores, values: dict[str, list[float]]) -> None:
    assert analyse(make_scores(values), resamples=20).power.empty
