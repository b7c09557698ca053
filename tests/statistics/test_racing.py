"""A race keeps its error over all looks, and what it says of a loss is so."""

from collections.abc import Callable
from itertools import product
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from unifocal.statistics import analyse
from unifocal.statistics.racing import Race, decide
from unifocal.statistics.result import Departure

Floats = NDArray[np.float64]
MakeScores = Callable[..., pd.DataFrame]
FOLDS = 5


def rounds_of(values: Floats, folds: int = FOLDS, seeds: int = 1) -> list[pd.DataFrame]:
    """Scores (patients, losses) or (patients, seeds, losses), patients dealt to rounds in turn."""
    values = values if values.ndim == 3 else np.repeat(values[:, None], seeds, axis=1)
    patient, seed, loss = (index.ravel() for index in np.indices(values.shape))
    table = pd.DataFrame(
        {
            "loss": [f"loss{i}" for i in loss],
            "fold": patient % folds,
            "seed": seed,
            "case": [f"c{i:03d}" for i in patient],
            "patient": [f"c{i:03d}" for i in patient],
            "label": 1,
            "metric": "dice",
            "value": values.ravel(),
            "unit": "",
        }
    )
    return [table[table["fold"] == fold] for fold in range(folds)]


def left(values: Floats, folds: int = FOLDS, error: float = 0.05, flips: int = 1999, **more: int) -> list[Departure]:
    losses = [f"loss{i}" for i in range(values.shape[-1])]
    rounds = rounds_of(values, folds, more.get("seeds", 1))
    return list(decide(rounds, losses, rounds=folds, metric="dice", error=error, flips=flips, **more))


def alike(rng: np.random.Generator, patients: int, losses: int) -> Floats:
    return np.clip(rng.beta(5, 3, (patients, 1)) + rng.normal(0, 0.1, (patients, losses)), 0, 1)


@pytest.mark.parametrize(("losses", "patients", "error"), [(2, 20, 0.1), (4, 30, 0.1)])
def test_without_a_difference_hardly_anybody_leaves(losses: int, patients: int, error: float) -> None:
    studies = 100
    lost = sum(
        bool(left(alike(np.random.default_rng((1, study, losses)), patients, losses), error=error))
        for study in range(studies)
    )
    assert lost <= studies * error + 2 * np.sqrt(studies * error * (1 - error))


def test_looking_often_costs_nothing() -> None:
    """Nine looks at a test without correction would lose a loss in a fifth of all studies and more."""
    studies, error = 80, 0.1
    lost = sum(bool(left(alike(np.random.default_rng((2, s)), 40, 2), folds=10, error=error)) for s in range(studies))
    assert lost <= studies * error + 2 * np.sqrt(studies * error * (1 - error))


def test_a_clearly_worse_loss_leaves_and_what_is_said_of_it_is_so() -> None:
    rng = np.random.default_rng(3)
    values = alike(rng, 60, 3)
    values[:, 1] -= 0.3
    (found,) = left(values)
    assert found.loss == "loss1"
    seen = np.arange(60) % FOLDS <= found.round
    assert found.patients == seen.sum()
    other = int(found.against.removeprefix("loss"))
    assert found.difference == pytest.approx((values[seen, 1] - values[seen, other]).mean())
    assert other == max((0, 2), key=lambda loss: values[seen, loss].mean())
    assert found.p <= found.threshold <= 0.05 / comb(3, 2)
    assert found.rounds == FOLDS


def test_the_first_look_at_which_anything_can_pass_is_taken_with_all_that_was_not_spent() -> None:
    """Two losses, every patient prefers the first: p is 2 ** (1 - n) exactly, so the round follows by hand."""
    for patients, error in product((10, 15, 25, 40), (0.02, 0.05, 0.2)):
        values = np.column_stack([np.full(patients, 0.9), 0.5 + 0.001 * np.arange(patients)])
        expected = None
        for look in range(FOLDS - 1):
            n = int((np.arange(patients) % FOLDS <= look).sum())
            p = 2.0 ** (1 - n) if n <= 14 else 1 / 2000
            if p <= error * (look + 1) / (FOLDS - 1):
                expected = look
                break
        found = left(values, error=error)
        assert [each.round for each in found] == ([] if expected is None else [expected])


@given(seed=st.integers(0, 10**6), losses=st.integers(2, 4), small=st.floats(0, 0.3), more=st.floats(0.01, 0.3))
@settings(max_examples=25)
def test_a_worse_loss_leaves_no_later(seed: int, losses: int, small: float, more: float) -> None:
    values = alike(np.random.default_rng(seed), 30, losses)
    rounds = []
    for shift in (small, small + more):
        lowered = values.copy()
        lowered[:, 0] -= shift
        rounds.append(next((each.round for each in left(lowered, flips=499, error=0.2) if each.loss == "loss0"), FOLDS))
    assert rounds[1] <= rounds[0]


@given(seed=st.integers(0, 10**6), shift=st.floats(0.05, 0.4))
@settings(max_examples=15)
def test_names_order_and_direction_do_not_matter(seed: int, shift: float) -> None:
    values = alike(np.random.default_rng(seed), 30, 3)
    values[:, 2] -= shift
    plain = {(each.loss, each.round, each.patients) for each in left(values, error=0.2)}
    order = [2, 0, 1]
    turned = {
        (f"loss{order[int(each.loss[-1])]}", each.round, each.patients) for each in left(values[:, order], error=0.2)
    }
    assert turned == plain
    assert plain == {(each.loss, each.round, each.patients) for each in left(values, error=0.2)}


def test_where_lower_is_better_the_higher_one_leaves() -> None:
    values = 10 * alike(np.random.default_rng(4), 40, 2)
    values[:, 0] += 9
    rounds = [table.assign(metric="hd95", unit="mm") for table in rounds_of(values)]
    (found,) = decide(rounds, ["loss0", "loss1"], rounds=FOLDS, metric="hd95", flips=1999)
    assert (found.loss, found.against) == ("loss0", "loss1")
    assert found.difference > 5


def test_who_left_is_seen_no_more_and_the_last_round_is_not_looked_at() -> None:
    values = alike(np.random.default_rng(5), 40, 3)
    values[:, 0] -= 0.4
    losses = ["loss0", "loss1", "loss2"]
    race = Race(losses, rounds=FOLDS, metric="dice", flips=1999)
    rounds = rounds_of(values)
    departed = None
    for number in range(FOLDS):
        scores = pd.concat(rounds[: number + 1])
        if departed is not None:
            scores = scores[scores["loss"] != "loss0"]
        for each in race.look(scores):
            departed = number
            assert each.loss == "loss0"
    assert departed is not None
    assert race.racing == ("loss1", "loss2")
    assert race.left == decide(rounds, losses, rounds=FOLDS, metric="dice", flips=1999)
    only_last = np.where(np.arange(40)[:, None] % FOLDS == 4, values[:, 1:] - [0.9, 0], values[:, 1:2])
    assert left(only_last, error=0.9) == []


def test_a_gap_a_missing_run_and_a_loss_without_scores_do_no_harm() -> None:
    values = alike(np.random.default_rng(6), 40, 4)
    values[:, 0] -= 0.4
    values[:, 3] = np.nan
    values[::3, 1] = np.nan
    rounds = rounds_of(values)
    rounds[0] = rounds[0][rounds[0]["loss"] != "loss2"]
    found = decide(rounds, [f"loss{i}" for i in range(4)], rounds=FOLDS, metric="dice", flips=1999)
    assert [each.loss for each in found] == ["loss0"]
    nothing = [table.iloc[:0] for table in rounds]
    assert decide(nothing, ["loss0", "loss1"], rounds=FOLDS, metric="dice") == ()


def test_somebody_stays() -> None:
    for seed in range(5):
        values = np.cumsum(np.full((30, 5), 0.15), axis=1) + np.random.default_rng(seed).normal(0, 0.01, (30, 5))
        found = left(values, error=0.5)
        assert sorted(each.loss for each in found) == ["loss0", "loss1", "loss2", "loss3"]
        assert {each.against for each in found} == {"loss4"}


def test_with_several_seeds_the_luck_of_training_is_no_reason_to_leave() -> None:
    """Networks of one fold and seed share their luck: without the trainings' test most such studies lose a loss."""
    lost = {True: 0, False: 0}
    for study in range(30):
        rng = np.random.default_rng((7, study))
        luck = rng.normal(0, 0.1, (FOLDS, 2, 2))[np.arange(60) % FOLDS]
        values = rng.beta(5, 3, (60, 1, 1)) + luck + rng.normal(0, 0.02, (60, 2, 2))
        lost[True] += bool(left(values, seeds=2))
        lost[False] += bool(left(values.mean(axis=1)))
    assert lost[True] <= 4
    assert lost[False] >= 15


def test_a_repeatable_difference_passes_both_tests() -> None:
    rng = np.random.default_rng(8)
    values = rng.beta(5, 3, (60, 1, 1)) + rng.normal(0, 0.02, (60, 2, 3))
    values[:, :, 1] -= 0.3
    (found,) = left(values, seeds=2)
    assert found.loss == "loss1"
    assert found.round >= 1, "one fold with two seeds tells nothing of how trainings vary"


def raced(make_scores: MakeScores, *, stay: int = 2) -> tuple[pd.DataFrame, tuple[Departure, ...]]:
    """`bad` left after 12 of 30 patients, which were easy: its mean is the highest."""
    rng = np.random.default_rng(9)
    base = np.where(np.arange(30) < 12, 0.8, 0.4) + rng.normal(0, 0.05, 30)
    losses = {"bad": base[:12] - 0.1 + rng.normal(0, 0.01, 12), "good": base}
    if stay == 2:
        losses["other"] = base + rng.normal(0, 0.05, 30)
    departure = Departure("bad", 1, 5, "good", -0.1, 0.0005, 0.004, 12, 1)
    return make_scores(losses), (departure,)


def test_one_that_left_is_reported_as_such_and_never_the_best(make_scores: MakeScores) -> None:
    scores, gone = raced(make_scores)
    found = analyse(scores, resamples=200, left=gone)
    means = found.summary[found.summary["metric"] == "dice"].set_index("loss")["mean"]
    assert means["bad"] == means.max()
    assert list(found.ranking["loss"]) == sorted(("good", "other"), key=lambda loss: -means[loss])
    assert found.ranking["mean"].max() == pytest.approx(means[["good", "other"]].max())
    verdict = found.verdict
    assert verdict.best in ("good", "other")
    assert verdict.left == ("bad",)
    assert "bad" not in (*verdict.told_apart, *verdict.not_told_apart)
    assert "; bad left the race after round 2 of 5, worse than good (p < 0.001)" in verdict.sentence
    assert "on these 30 patients" in verdict.sentence
    assert "these trained networks" in verdict.sentence
    assert "scored on fewer patients (bad 12)" in verdict.explanation
    assert "Without any defined score" not in verdict.explanation
    assert "runs are missing" not in verdict.explanation
    pair = found.comparison[(found.comparison["loss_a"] == "bad") & (found.comparison["loss_b"] == "good")].iloc[0]
    assert pair["n_patients"] == 12
    assert pair["difference"] == pytest.approx(-0.1, abs=0.01)
    assert "These losses cannot" not in verdict.sentence


def test_a_race_with_one_left_has_a_winner(make_scores: MakeScores) -> None:
    scores, gone = raced(make_scores, stay=1)
    found = analyse(scores, resamples=200, left=gone)
    assert found.verdict.sentence.startswith("good won the race: its mean Dice is ")
    assert "nothing to compare" not in found.verdict.sentence
    assert found.verdict.told_apart == ()
    assert list(found.ranking["loss"]) == ["good"]


def test_those_who_leave_together_are_named_together(make_scores: MakeScores) -> None:
    scores, (first,) = raced(make_scores)
    other = Departure("other", 1, 5, "good", -0.1, 0.003, 0.004, 12, 1)
    third = Departure("third", 2, 5, "good", -0.1, 0.003, 0.004, 18, 1)
    more = scores[scores["loss"] == "bad"].assign(loss="third")
    sentence = analyse(pd.concat([scores, more]), resamples=100, left=(first, other, third)).verdict.sentence
    assert "bad and other left the race after round 2 of 5, worse than good (p at most 0.003); third left" in sentence
    assert "after round 3 of 5, worse than good (p = 0.003)" in sentence


def test_a_study_without_a_race_reads_as_before(make_scores: MakeScores) -> None:
    scores, _ = raced(make_scores)
    found = analyse(scores, resamples=100)
    assert found.left == ()
    assert found.verdict.left == ()
    assert "race" not in found.verdict.sentence + found.verdict.explanation
