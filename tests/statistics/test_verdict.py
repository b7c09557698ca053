"""The verdict says what the data carry, and nothing louder."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unifocal.statistics import Verdict, analyse

MakeScores = Callable[..., pd.DataFrame]
RNG = np.random.default_rng(7)
BASE = RNG.beta(5, 3, 30)
NOISE = RNG.normal(0, 0.04, (4, 30))


def verdict_of(make_scores: MakeScores, losses: dict[str, np.ndarray]) -> Verdict:
    return analyse(make_scores(losses), resamples=200).verdict


def test_better_than_all_others(make_scores: MakeScores) -> None:
    losses = {"bce": BASE - 0.2, "focal": BASE - 0.1 + NOISE[0], "unified": BASE + NOISE[1]}
    verdict = verdict_of(make_scores, losses)
    assert verdict.best == "unified"
    assert verdict.told_apart == ("focal", "bce")
    assert verdict.not_told_apart == ()
    assert verdict.sentence.startswith(f"unified did best: mean Dice {losses['unified'].mean():.2f} (")
    assert "better than focal and bce on these 30 patients; this holds for these trained networks" in verdict.sentence
    assert "bce (p < 0.001)" in verdict.explanation
    assert "Holm's correction over 3 pairs" in verdict.explanation


def test_better_than_some(make_scores: MakeScores) -> None:
    losses = {"bce": BASE - 0.2, "focal": BASE + NOISE[0], "unified": BASE + NOISE[1] + 0.001}
    verdict = analyse(make_scores(losses), resamples=200, margin=0.001).verdict
    first, second = sorted(("focal", "unified"), key=lambda name: -losses[name].mean())
    assert verdict.best == first
    assert verdict.told_apart == ("bce",)
    assert verdict.not_told_apart == (second,)
    assert f"cannot be told apart from {second} on these 30 patients" in verdict.sentence
    assert "; it did better than bce; this holds for these trained networks" in verdict.sentence
    assert verdict.equivalent == ()
    assert verdict.margin == 0.001


def test_practically_as_good(make_scores: MakeScores) -> None:
    losses = {"bce": BASE - 0.2, "focal": BASE + NOISE[0], "unified": BASE + NOISE[1] + 0.001, "wild": BASE - 0.03}
    losses["wild"] += np.where(np.arange(30) % 2, 0.25, -0.25)
    verdict = analyse(make_scores(losses), resamples=200, margin=0.03).verdict
    first, second = sorted(("focal", "unified"), key=lambda name: -losses[name].mean())
    assert verdict.best == first
    assert verdict.equivalent == (second,)
    assert verdict.not_told_apart == (second, "wild")
    assert f"on these 30 patients; {second} is practically as good (within 0.03); {first} cannot be told" in (
        verdict.sentence
    )
    assert "cannot be told apart from wild" in verdict.sentence
    assert "90 % interval of the difference lies within 0.03" in verdict.explanation


def test_a_difference_that_hardly_matters(make_scores: MakeScores) -> None:
    steps = np.linspace(0.001, 0.004, 30)
    verdict = verdict_of(make_scores, {"a": BASE + steps, "b": BASE, "c": BASE - 0.2})
    assert verdict.told_apart == ("b", "c")
    assert verdict.equivalent == ()
    assert "better than b and c (than b by a difference that hardly matters, within 0.02)" in verdict.sentence


def test_methods_are_no_networks_trained_here(make_scores: MakeScores) -> None:
    scores = make_scores({"nnunet": BASE, "manual": BASE - 0.1})
    verdict = analyse(scores, resamples=50, noun="method").verdict
    assert verdict.sentence.endswith("better than manual on these 30 patients.")
    assert "loss" not in verdict.sentence + verdict.explanation + verdict.why
    assert "trained" not in verdict.sentence + verdict.explanation
    nothing = analyse(make_scores({"a": [np.nan], "b": [np.nan]}), resamples=20, noun="method").verdict
    assert nothing.sentence.startswith("No method could be scored")
    few = analyse(make_scores({"a": BASE[:2], "b": BASE[:2]}), resamples=20, noun="method").verdict
    assert few.sentence.startswith("Too few patients to tell methods apart")


def test_the_test_and_why(make_scores: MakeScores) -> None:
    many, few = (verdict_of(make_scores, {"a": BASE[:n], "b": BASE[:n] - 0.1, "c": BASE[:n]}) for n in (30, 9))
    assert many.test == "sign-flip permutation of mean and signed ranks (Monte Carlo)"
    assert "99,999 were drawn at random" in many.why
    assert few.test == "sign-flip permutation of mean and signed ranks (exact)"
    assert "p is exact" in few.why
    alone = verdict_of(make_scores, {"a": BASE})
    assert (alone.test, alone.why) == ("", "")


def test_noise_cannot_be_told_apart(make_scores: MakeScores) -> None:
    verdict = verdict_of(make_scores, {f"loss{i}": BASE + NOISE[i] for i in range(3)})
    assert verdict.sentence.startswith("These losses cannot be told apart on these 30 patients; ")
    assert "had the highest mean Dice" in verdict.sentence
    assert verdict.told_apart == ()


def test_identical_results_cannot_be_told_apart(make_scores: MakeScores) -> None:
    verdict = verdict_of(make_scores, {"b": BASE, "a": BASE, "c": BASE})
    assert verdict.sentence.startswith("These losses cannot be told apart on these 30 patients: all")
    assert verdict.told_apart == ()
    assert verdict.not_told_apart == ("b", "c")


def test_a_tie_at_the_top_is_shared(make_scores: MakeScores) -> None:
    verdict = verdict_of(make_scores, {"b": BASE, "a": BASE, "c": BASE - 0.3})
    assert verdict.sentence.startswith("a and b share the highest mean Dice")
    assert "; a did better than c; this holds" in verdict.sentence


def test_one_loss_has_nothing_to_be_compared_with(make_scores: MakeScores) -> None:
    verdict = verdict_of(make_scores, {"bce": BASE})
    assert verdict.sentence.startswith("There was nothing to compare bce with")
    assert f"mean Dice is {BASE.mean():.2f} (95 % interval" in verdict.sentence
    assert "permutation" not in verdict.explanation


@pytest.mark.parametrize(
    ("n_losses", "n_patients", "enough"),
    [(2, 5, False), (2, 6, True), (3, 6, False), (3, 7, True), (4, 7, False), (4, 8, True)],
)
def test_too_few_patients_for_the_test_to_reach_significance(
    make_scores: MakeScores, n_losses: int, n_patients: int, enough: bool
) -> None:
    """The clearest data there can be: every patient ranks the losses the same."""
    steps = 1 + np.arange(n_patients) / 100
    losses = {f"loss{i}": i * steps / 10 for i in range(n_losses)}
    verdict = verdict_of(make_scores, losses)
    assert verdict.best == f"loss{n_losses - 1}"
    assert ("Too few patients" in verdict.sentence) == (not enough)
    assert ("did best" in verdict.sentence) == enough
    assert (len(verdict.told_apart) == n_losses - 1) == enough


@pytest.mark.parametrize("n", [1, 2])
def test_hardly_any_patients(make_scores: MakeScores, n: int) -> None:
    verdict = verdict_of(make_scores, {"a": BASE[:n], "b": BASE[:n] / 2})
    assert "Too few patients" in verdict.sentence
    assert ("on this one patient" if n == 1 else "on these 2 patients") in verdict.sentence
    assert "nan" not in verdict.sentence + verdict.explanation


def test_nothing_scored(make_scores: MakeScores) -> None:
    analysis = analyse(make_scores({"a": [np.nan] * 3, "b": [np.nan] * 3}), resamples=20)
    assert analysis.verdict.best is None
    assert analysis.verdict.sentence.startswith("No loss could be scored")
    assert analysis.ranking.empty


def test_mean_and_ranks_that_contradict_each_other(make_scores: MakeScores) -> None:
    """One patient lifts a's mean; on all the others b is better."""
    b = np.full(30, 0.5) + np.arange(30) / 1000
    a = b - 0.01 - np.arange(30) / 10_000
    a[0] += 0.5
    verdict = verdict_of(make_scores, {"a": a, "b": b})
    assert verdict.best == "a"
    assert verdict.told_apart == ()
    assert "did best" not in verdict.sentence
    assert "b did better on most patients" in verdict.explanation


def test_a_clear_mean_wins_over_most_patients(make_scores: MakeScores) -> None:
    """A quarter of the patients gains much, the others lose a little."""
    rng = np.random.default_rng(5)
    b = rng.beta(5, 3, 60)
    verdict = verdict_of(make_scores, {"a": b + np.where(np.arange(60) % 4, -0.01, 0.3), "b": b})
    assert verdict.told_apart == ("b",)
    assert "a has the clearly better mean, although b did better on most patients." in verdict.explanation


def test_better_by_ranks_alone_is_said_so(make_scores: MakeScores) -> None:
    """Most patients gain a little; two are lost or gain a lot, so that the mean tells nothing."""
    rng = np.random.default_rng(6)
    b = rng.beta(5, 3, 40)
    a = b + 0.02 + 0.005 * rng.random(40)
    a[:3] += [-0.5, -0.4, 0.45]
    verdict = verdict_of(make_scores, {"a": a, "b": b})
    assert verdict.told_apart == ("b",)
    assert "(on most patients, while the difference of the means may be chance)" in verdict.sentence


def test_cases_without_known_patients_are_called_cases(make_scores: MakeScores) -> None:
    scores = make_scores({"a": BASE, "b": BASE - 0.1})
    verdict = analyse(scores.assign(patient=scores["case"]), resamples=50).verdict
    assert "on these 30 cases" in verdict.sentence
    assert "patient" not in verdict.sentence + verdict.explanation + verdict.why


def test_a_single_training_is_owned_up_to(make_scores: MakeScores) -> None:
    once = make_scores({"a": BASE, "b": BASE - 0.1})
    assert "trained once" in analyse(once, resamples=50).verdict.explanation
    twice = once.assign(seed=[i % 2 for i in range(len(once))])
    assert "trained once" not in analyse(twice, resamples=50).verdict.explanation


def test_the_order_of_the_losses_does_not_change_the_verdict(make_scores: MakeScores) -> None:
    losses = {"bce": BASE - 0.1, "focal": BASE + NOISE[0], "same": BASE + NOISE[0]}
    found = set()
    for order in permutations(losses):
        scores = make_scores({name: losses[name] for name in order})
        found.add(analyse(scores, resamples=50).verdict)
        found.add(analyse(scores, resamples=50, order=order[::-1]).verdict)
    assert len(found) == 1


@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_best_and_the_others_are_all_the_losses(make_scores: MakeScores, n_losses: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((n_losses, n)) < 0.2, np.nan, rng.random((n_losses, n)).round(1))
    losses = {f"loss{i}": values[i] for i in range(n_losses)}
    verdict = analyse(make_scores(losses), resamples=30).verdict
    scored = sorted(name for name, column in losses.items() if np.isfinite(column).any())
    named = [verdict.best, *verdict.told_apart, *verdict.not_told_apart] if verdict.best else []
    assert sorted(named) == scored
    assert "nan" not in verdict.sentence + verdict.explanation
    assert verdict.sentence.endswith(".")


def test_no_difference_is_rarely_claimed(make_scores: MakeScores) -> None:
    """100 studies of three equal losses: at most 5 % may claim one, give or take 3 errors."""
    rng = np.random.default_rng(3)
    claims = 0
    for _ in range(100):
        patients = rng.beta(5, 3, 20)
        losses = {name: patients + rng.normal(0, 0.1, 20) for name in "abc"}
        claims += bool(analyse(make_scores(losses), resamples=20).verdict.told_apart)
    assert claims <= 100 * 0.05 + 3 * np.sqrt(100 * 0.05 * 0.95)


def test_a_clear_difference_is_usually_found(make_scores: MakeScores) -> None:
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(20):
        patients = rng.beta(5, 3, 30)
        losses = {name: patients + rng.normal(0, 0.1, 30) for name in "abc"}
        losses["c"] += 0.12
        found += "c did best" in analyse(make_scores(losses), resamples=20).verdict.sentence
    assert found >= 17


def test_few_patients_show_nothing_to_be_alike(make_scores: MakeScores) -> None:
    for patients, is_shown in ((2, False), (5, False), (6, True)):
        same = np.full(patients, 0.7)
        found = analyse(make_scores({"a": same, "b": same}), resamples=100)
        assert found.comparison["is_equivalent"].tolist() == [is_shown]


def test_means_of_other_patients_are_never_practically_as_good(make_scores: MakeScores) -> None:
    """`a` is undefined (both masks empty) where `b` invents a lesion; where both are defined they agree."""
    a = np.where(np.arange(16) < 8, 0.9, np.nan)
    b = np.where(np.arange(16) < 8, 0.9, 0.0)
    found = analyse(make_scores({"a": a, "b": b}), resamples=100)
    assert found.verdict.best == "a"
    assert not found.comparison["is_equivalent"].any()
    assert found.verdict.equivalent == ()
    assert "practically as good" not in found.verdict.sentence
    assert "On 8 of 16 patients only some were defined" in found.verdict.explanation


def test_one_label_of_several_is_named(make_scores: MakeScores) -> None:
    first, second = (make_scores({"a": BASE, "b": BASE - 0.2}, label=label) for label in (1, 2))
    assert "label" not in analyse(first, resamples=100).verdict.sentence
    both = analyse(pd.concat([first, second], ignore_index=True), resamples=100, label=2).verdict
    assert "mean Dice of label 2 " in both.sentence
