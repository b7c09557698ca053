"""Which trials a search does: the same ones however it is run."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unifocal.experiments.tuning.best import best_of
from unifocal.experiments.tuning.importance import importance_table
from unifocal.experiments.tuning.search import GENERATION, RANDOM_FIRST, Search, Tried
from unifocal.experiments.tuning.space import Dimension, Space, grid_of

Values = dict[str, Any]
SPACE: Space = (
    Dimension("gamma", "float", 0.1, 0.9, default=0.5),
    Dimension("rate", "float", 1e-4, 1e-2, log=True, default=1e-3),
    Dimension("epochs", "int", 10, 60, default=60),
    Dimension("augmentation", "choice", choices=("none", "standard"), default="standard"),
)
SMALL: Space = (
    Dimension("gamma", "float", 0.1, 0.9, 0.1, default=0.5),
    Dimension("symmetric", "choice", choices=(False, True), default=False),
)


def good(values: Values) -> tuple[float, ...]:
    """Highest for gamma 0.3 and a rate of 3e-3, whatever the others."""
    return (1 - (values["gamma"] - 0.3) ** 2 - 0.1 * (np.log10(values["rate"]) + 2.5) ** 2,)


def run(search: Search, score: Callable[[Values], tuple[float, ...] | None] = good) -> list[Tried]:
    tried: list[Tried] = []
    while values := search.generation(tried):
        tried += [Tried(each, score(each)) for each in values]
    return tried


@pytest.mark.parametrize("method", ["optuna", "random", "grid"])
def test_trial_0_has_the_settings_as_given_and_nothing_is_tried_twice(method: Any) -> None:
    tried = [each.values for each in run(Search(SPACE, method, 30, ("higher",)))]
    assert tried[0] == {"gamma": 0.5, "rate": 1e-3, "epochs": 60, "augmentation": "standard"}
    assert len(tried) == 30
    assert len({repr(values) for values in tried}) == 30
    assert all(dimension.holds(values[dimension.name]) for values in tried for dimension in SPACE)


@pytest.mark.parametrize("method", ["optuna", "random"])
def test_the_seed_decides_and_more_trials_come_after_those_before(method: Any) -> None:
    first, again = (run(Search(SPACE, method, 14, ("higher",), seed=1)) for _ in range(2))
    assert first == again
    assert run(Search(SPACE, method, 22, ("higher",), seed=1))[:14] == first
    assert run(Search(SPACE, method, 14, ("higher",), seed=2))[1:] != first[1:]


def test_a_generation_knows_only_those_before_it() -> None:
    search = Search(SPACE, "optuna", 40, ("higher",))
    tried = run(search)
    assert len(search.generation(tried[:12])) == GENERATION
    later = [Tried(each.values, (0.0,)) for each in tried[12:]]
    assert [each.values for each in tried[12:16]] == search.generation(tried[:12])
    assert search.generation(tried[:12] + later[:4]) != [each.values for each in tried[16:20]]


@pytest.mark.parametrize("way", ["higher", "lower"])
def test_optuna_goes_where_it_is_good(way: Any) -> None:
    sign = 1 if way == "higher" else -1

    def mean_distance(method: Any) -> float:
        found = []
        for seed in range(3):
            search = Search(SPACE[:2], method, 40, (way,), seed)
            tried = run(search, lambda values: (sign * good(values)[0],))
            found += [abs(float(each.values["gamma"]) - 0.3) for each in tried[-16:]]
        return float(np.mean(found))

    assert mean_distance("optuna") < 0.7 * mean_distance("random")


def test_failed_trials_count_as_the_worst() -> None:
    def fails_above(values: Values) -> tuple[float, ...] | None:
        return None if values["gamma"] > 0.5 else (values["gamma"],)

    late = run(Search(SPACE[:1], "optuna", 40, ("higher",)), fails_above)[-20:]
    assert sum(each.values["gamma"] <= 0.5 for each in late) > 12
    assert len(run(Search(SPACE, "optuna", 20, ("higher",)), lambda _values: None)) == 20


def test_several_objectives_are_searched_together() -> None:
    def both(values: Values) -> tuple[float, ...]:
        return values["gamma"], (values["gamma"] - 0.3) ** 2

    late = run(Search(SPACE[:1], "optuna", 40, ("higher", "lower")), both)[-16:]
    assert np.mean([each.values["gamma"] >= 0.3 for each in late]) > 0.75


@pytest.mark.parametrize("method", ["optuna", "random", "grid"])
def test_a_small_space_is_searched_to_its_end_and_no_further(method: Any) -> None:
    tried = [each.values for each in run(Search(SMALL, method, 50, ("higher",)), lambda values: (values["gamma"],))]
    assert sorted(map(repr, tried)) == sorted(map(repr, grid_of(SMALL)))
    if method == "grid":
        assert tried[1:] == [values for values in grid_of(SMALL) if values != tried[0]]


def test_without_anything_to_search_there_is_one_trial() -> None:
    assert [each.values for each in run(Search((), "optuna", 20, ("higher",)), lambda _values: (0.5,))] == [{}]


def test_defaults_outside_of_the_range_are_tried_but_not_modelled() -> None:
    space = (Dimension("alpha", "float", 0.25, 0.95, default=None),)
    tried = run(Search(space, "optuna", RANDOM_FIRST + 8, ("higher",)), lambda values: (values["alpha"] or 0.0,))
    assert tried[0].values == {"alpha": None}
    assert len(tried) == RANDOM_FIRST + 8


def record(trial: int, objective: dict[str, float] | None) -> dict[str, Any]:
    return {"trial": trial, "status": "failed" if objective is None else "done", "objective": objective}


@settings(max_examples=60)
@given(st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 6), st.integers(0, 6))), min_size=1, max_size=12))
def test_the_best_is_on_the_front_that_nobody_beats(points: list[tuple[int, int] | None]) -> None:
    records = [record(k, p and {"dice": float(p[0]), "hd95": float(p[1])}) for k, p in enumerate(points)]
    found = best_of(records, ("dice", "hd95"), ("higher", "lower"))

    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one != other and one[0] >= other[0] and one[1] <= other[1]

    front = {k for k, p in enumerate(points) if p and not any(other and beats(other, p) for other in points)}
    assert set(found.pareto) == front
    assert (found.best in front) if front else found.best is None
    single = best_of(records, ("dice",), ("higher",))
    done = [p[0] for p in points if p]
    if done:
        assert single.best == next(k for k, p in enumerate(points) if p and p[0] == max(done))
        assert single.pareto == (single.best,)


def test_of_a_front_the_lowest_mean_rank_is_the_best() -> None:
    points = [(0.9, 30.0), (0.85, 11.0), (0.84, 10.9), (0.5, 10.8), (0.4, 50.0)]
    records = [record(k, {"dice": dice, "hd95": distance}) for k, (dice, distance) in enumerate(points)]
    found = best_of(records, ("dice", "hd95"), ("higher", "lower"))
    # Dice ranks 1 2 3 4 and hd95 4 3 2 1: all means on the front are 2.5, and the first stays.
    assert (found.pareto, found.best) == ((0, 1, 2, 3), 0)
    records.append(record(5, {"dice": 0.86, "hd95": 10.85}))
    assert best_of(records, ("dice", "hd95"), ("higher", "lower")).best == 5


def test_importance_finds_what_matters_or_says_why_not() -> None:
    tried = run(Search(SPACE, "random", 30, ("higher",)), lambda values: (values["gamma"],))
    table = importance_table(SPACE, [*tried, Tried({**tried[1].values}, None)], ("dice",), ("higher",))
    assert list(table.columns) == ["dimension", "importance", "method"]
    assert table.iloc[0]["dimension"] == "gamma"
    assert table.iloc[0]["importance"] > 0.8
    assert table["importance"].sum() == pytest.approx(1, abs=1e-4)
    for few, why in ((tried[:5], "5 usable trials"), ([Tried(t.values, (0.5,)) for t in tried], "same dice")):
        empty = importance_table(SPACE, few, ("dice",), ("higher",))
        assert empty["importance"].isna().all()
        assert empty["method"].str.contains(why).all()
    alone = tuple(dimension for dimension in SPACE if dimension.name == "gamma")
    swept = [Tried({"gamma": each.values["gamma"]}, each.objective) for each in tried]
    (row,) = importance_table(alone, swept, ("dice",), ("higher",)).to_dict("records")
    assert "single setting" in row["method"]
