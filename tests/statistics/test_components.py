"""Variance components against statsmodels' analysis of variance and against what was drawn."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from unifocal.statistics import analyse
from unifocal.statistics.components import mean_squares, separate, variance_components

MakeScores = Callable[..., pd.DataFrame]
NAN = np.nan


def drawn(rng: np.random.Generator, n: int, folds: int, seeds: int, sds: dict[str, float]) -> tuple[np.ndarray, ...]:
    where = np.arange(n) % folds
    values = (
        0.7
        + sds["fold"] * rng.normal(size=(folds, 1))[where]
        + sds["patient"] * rng.normal(size=(n, 1))
        + sds["seed"] * rng.normal(size=(folds, seeds))[where]
        + sds["rest"] * rng.normal(size=(n, seeds))
    )
    return values, where


def test_one_fold_is_the_two_way_analysis_of_variance() -> None:
    values, folds = drawn(np.random.default_rng(0), 12, 1, 4, {"fold": 0, "patient": 0.1, "seed": 0.05, "rest": 0.02})
    long = pd.DataFrame(values).reset_index().melt("index", var_name="seed")
    table = anova_lm(ols("value ~ C(index) + C(seed)", long).fit())
    patient, seed, rest = table["mean_sq"]
    found = {name: variance for name, (variance, _) in variance_components(values, folds).items()}
    assert found["rest"] == pytest.approx(rest)
    assert found["patient"] == pytest.approx((patient - rest) / 4)
    assert found["seed"] == pytest.approx((seed - rest) / 12)
    assert np.isnan(found["fold"])


def test_what_was_drawn_is_found_on_average() -> None:
    rng = np.random.default_rng(1)
    sds = {"fold": 0.06, "patient": 0.1, "seed": 0.04, "rest": 0.03}
    found = [variance_components(*drawn(rng, 40, 5, 3, sds)) for _ in range(300)]
    for name, sd in sds.items():
        average = np.mean([each[name][0] for each in found])
        assert average == pytest.approx(sd**2, rel=0.12), name


def test_one_training_leaves_its_luck_in_the_folds() -> None:
    rng = np.random.default_rng(2)
    sds = {"fold": 0.0, "patient": 0.1, "seed": 0.06, "rest": 0.05}
    found = [variance_components(*drawn(rng, 50, 5, 1, sds)) for _ in range(400)]
    assert np.isnan([each["seed"][0] for each in found]).all()
    assert np.isnan([each["rest"][0] for each in found]).all()
    assert np.mean([each["fold"][0] for each in found]) == pytest.approx(0.06**2, rel=0.2)
    assert np.mean([each["patient"][0] for each in found]) == pytest.approx(0.1**2 + 0.05**2, rel=0.1)
    notes = {name: note for name, (_, note) in found[0].items()}
    assert notes == {
        "patient": "includes the rest",
        "fold": "includes what another training changes",
        "seed": "each network was trained once",
        "rest": "each patient was scored once per loss",
    }


def test_gaps_are_left_out() -> None:
    values, folds = drawn(np.random.default_rng(3), 10, 2, 3, {"fold": 0, "patient": 1, "seed": 1, "rest": 1})
    values[0, 1] = NAN
    values[1::2, 2] = NAN
    found = mean_squares(values, folds)
    assert found.n.tolist() == [4, 5]
    assert found.s.tolist() == [3, 2]
    assert (found.training_freedom, found.rest_freedom) == (3, 3 * 2 + 4 * 1)
    second = values[1::2, :2]
    assert found.trainings[1] == pytest.approx(((second.mean(axis=0) - second.mean()) ** 2).sum())
    assert found.patients[1] == pytest.approx(((second.mean(axis=1) - second.mean()) ** 2).sum())


def test_nothing_negative() -> None:
    values = np.array([[0.1, 0.2], [0.2, 0.1], [0.1, 0.2], [0.2, 0.1]])
    found = variance_components(values, np.array([0, 0, 1, 1]))
    assert [found[name][0] for name in ("patient", "fold", "seed")] == [0, 0, 0]
    assert found["rest"][0] > 0


def test_trainings_are_kept_apart_and_cases_averaged(make_scores: MakeScores) -> None:
    first, second = make_scores({"a": [0.2, 0.4], "b": [0.6, NAN]}), make_scores({"a": [0.4, 0.4]}, seed=1)
    again = make_scores({"a": [0.6, 0.6]}, cases="again")
    found = separate(pd.concat([second, again, first]), ("b", "a"))[1, "dice"]
    assert found.folds.tolist() == [0, 1]
    np.testing.assert_allclose(found.values[:, :, 0], [[0.6, NAN], [NAN, NAN]])
    np.testing.assert_allclose(found.values[:, :, 1], [[0.4, 0.4], [0.5, 0.4]])


def test_the_table_has_every_loss_and_the_best_two(make_scores: MakeScores) -> None:
    rng = np.random.default_rng(4)
    base = rng.beta(5, 2, 30)
    frames = [
        make_scores({name: base + shift + 0.03 * rng.normal(size=30) for name, shift in shifts.items()}, seed=seed)
        for seed in range(3)
        for shifts in [{"a": 0.0, "b": 0.1, "c": 0.2}]
    ]
    table = analyse(pd.concat(frames), resamples=50).variance
    assert table["loss"].unique().tolist() == ["a", "b", "c", "c - b"]
    assert table["component"].tolist() == ["patient", "fold", "seed", "rest"] * 4
    assert (table["note"] == "").all()
    np.testing.assert_allclose(table.groupby("loss")["share"].sum(), 1)
    of_a = table[table["loss"] == "a"].set_index("component")
    assert of_a.loc["patient", "sd"] == pytest.approx(base.std(ddof=1), rel=0.15)
    assert of_a.loc["rest", "sd"] == pytest.approx(0.03, rel=0.25)
    difference = table[table["loss"] == "c - b"].set_index("component")
    assert difference.loc["rest", "share"] > 0.7
