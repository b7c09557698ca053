"""Losses are compared on the same cases, whatever runs are missing, and sentences say on which."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unifocal.reporting.tables_results import EQUIVALENT, WORSE, marks_against
from unifocal.statistics import analyse
from unifocal.statistics.racing import Race

MakeScores = Callable[..., pd.DataFrame]
HARD, EASY = 0.35, 0.8


def row(loss: str, fold: int, case: str, patient: str, value: float, **others: Any) -> dict[str, Any]:
    known = {"loss": loss, "fold": fold, "seed": 0, "case": case, "patient": patient, "label": 1, "metric": "dice"}
    return known | {"value": value, "unit": ""} | others


def images_of_patients(gap: float = 0.0) -> Iterator[dict[str, Any]]:
    """Fifteen patients with an image in each of three folds; the first fold is hard, and `b` failed there."""
    random = np.random.default_rng(3)
    for patient in range(15):
        for fold in range(3):
            value = (EASY if fold else HARD) + random.normal(0, 0.02)
            yield row("a", fold, f"{patient}-{fold}", f"p{patient}", value)
            if fold:
                yield row("b", fold, f"{patient}-{fold}", f"p{patient}", value - gap)


def test_a_failed_run_does_not_make_the_same_scores_differ() -> None:
    found = analyse(pd.DataFrame(images_of_patients()), resamples=200, order=["a", "b"])
    (pair,) = found.comparison.to_dict("records")
    assert pair["n_patients"] == 15
    assert pair["difference"] == 0
    assert found.verdict.told_apart == ()
    assert found.ranking["mean"].nunique() == 1
    assert "Of 15 of 15 patients not every loss was scored on the same cases (runs are missing)" in (
        found.verdict.explanation
    )


def test_what_both_were_scored_on_is_what_differs() -> None:
    scores = pd.DataFrame(images_of_patients(0.05))
    found = analyse(scores, resamples=200)
    (pair,) = found.comparison.to_dict("records")
    common = scores[scores["fold"] > 0].groupby(["patient", "loss"])["value"].mean().unstack()
    assert pair["difference"] == pytest.approx(float((common["a"] - common["b"]).mean()))
    assert found.ranking.set_index("loss")["mean"].to_dict() == pytest.approx(common.mean().to_dict())
    assert found.verdict.told_apart == ("b",)


def test_a_loss_that_is_missing_where_a_third_is_not_changes_no_other_pair() -> None:
    both = [each for each in images_of_patients() if each["loss"] == "a"]
    third = [each | {"loss": "c", "value": each["value"] - 0.1} for each in both]
    missing = [each for each in images_of_patients() if each["loss"] == "b"]
    comparison = analyse(pd.DataFrame([*both, *third, *missing]), resamples=200).comparison
    by_pair = {(each["loss_a"], each["loss_b"]): each["difference"] for each in comparison.to_dict("records")}
    assert by_pair["a", "c"] == pytest.approx(0.1)
    assert by_pair["a", "b"] == 0
    assert by_pair["c", "b"] == pytest.approx(-0.1)


def test_one_missing_training_of_several_leaves_the_cases_the_same() -> None:
    rows = [each | {"seed": seed} for seed in range(2) for each in images_of_patients() if each["fold"]]
    rows = [each for each in rows if (each["loss"], each["seed"], each["fold"]) != ("b", 1, 2)]
    assert "not every loss was scored on the same cases" not in analyse(pd.DataFrame(rows)).verdict.explanation


def race_rows(fold: int, sizes: tuple[int, int], better: str) -> Iterator[dict[str, Any]]:
    """Two labels of the given sizes; on the first `a` is better, on the second `b`."""
    random = np.random.default_rng(fold)
    for patient in range(12):
        for label, size in enumerate(sizes, start=1):
            for loss in "ab":
                dice = EASY - 0.3 * (loss != better[label - 1]) + random.normal(0, 0.01)
                where = (loss, fold, f"{fold}-{patient}", f"{fold}-{patient}")
                yield row(*where, dice, label=label)
                yield row(*where, 0.8 * size, label=label, metric="true_positives", unit="px")
                yield row(*where, 0.2 * size, label=label, metric="false_negatives", unit="px")


def test_the_verdict_of_a_race_rests_on_the_label_that_decided_it() -> None:
    race = Race(["a", "b"], rounds=2, metric="dice")
    first = pd.DataFrame(race_rows(0, (100, 1000), "ab"))
    (gone,) = race.look(first)
    assert (gone.loss, gone.label) == ("b", 1)
    second = pd.DataFrame(race_rows(1, (9000, 1000), "ab"))  # over both rounds label 2 is the rarer one
    scores = pd.concat([first, second[second["loss"] == "a"]])
    verdict = analyse(scores, left=[gone], order=["a", "b"], resamples=200).verdict
    assert verdict.label == 1
    assert "a won the race: its mean Dice of label 1" in verdict.sentence
    assert "truth of the race's first round, by which losses left it" in verdict.explanation
    asked = analyse(scores, left=[gone], order=["a", "b"], resamples=200, label=2).verdict
    assert "worse than a on label 1 (p" in asked.sentence


def test_p_is_called_exact_only_where_it_is(make_scores: MakeScores) -> None:
    values = np.random.default_rng(1).normal(0.7, 0.1, (2, 20))
    values[:, 12:] = np.nan
    verdict = analyse(make_scores(dict(zip("ab", values, strict=True))), resamples=200).verdict
    assert "Monte Carlo" in verdict.test
    assert "drawn at random" in verdict.why
    small = analyse(make_scores(dict(zip("ab", values[:, :12], strict=True))), resamples=200).verdict
    assert "so p is exact" in small.why


def test_means_next_to_1_do_not_all_read_alike(make_scores: MakeScores) -> None:
    base = 0.999 + np.random.default_rng(0).normal(0, 0.0002, 20)
    scores = make_scores({"a": base, "b": base - 0.003}, "specificity")
    sentence = analyse(scores, metric="specificity", resamples=200).verdict.sentence
    assert f"mean Specificity {base.mean():.4f} (95 % interval 0.99" in sentence
    assert "1.00" not in sentence


def test_losses_trained_once_are_excepted_by_name() -> None:
    random = np.random.default_rng(0)
    rows = []
    for seed in range(3):
        for patient in range(30):
            base = 0.8 + random.normal(0, 0.01)
            for loss, worse in {"a": 0.0, "b": 0.1, "c": 0.2}.items():
                if loss != "c" or seed == 0:
                    value = base - worse + random.normal(0, 0.01)
                    rows.append(row(loss, patient % 5, f"p{patient}", f"p{patient}", value, seed=seed))
    explanation = analyse(pd.DataFrame(rows), resamples=200).verdict.explanation
    assert "explain together (but for c, whose trainings were not repeated enough)." in explanation


def test_losses_without_a_common_patient_are_not_compared() -> None:
    random = np.random.default_rng(0)
    rows = [
        row("a" if patient < 10 else "b", 0, f"p{patient}", f"p{patient}", random.normal(0.8, 0.02))
        for patient in range(20)
    ]
    verdict = analyse(pd.DataFrame(rows), resamples=200).verdict
    assert verdict.sentence.startswith("No two losses were scored on the same cases, so they cannot be compared:")
    assert "adjusted p cannot fall" not in verdict.explanation


@pytest.mark.parametrize("secondary", ["dice", "iou"])
def test_a_metric_is_marked_as_the_verdict_would_speak_of_it(make_scores: MakeScores, secondary: str) -> None:
    """The mean is clearly better though most patients are slightly worse."""
    random = np.random.default_rng(1)
    base, many = random.normal(0.7, 0.03, 40), np.arange(40) < 10
    ahead = np.where(many, 0.15 + random.normal(0, 0.01, 40), -0.012 + random.normal(0, 0.001, 40))
    primary = "iou" if secondary == "dice" else "dice"
    scores = pd.concat(
        [make_scores({"a": base + ahead, "b": base}, secondary), make_scores({"a": base, "b": base}, primary)]
    )
    judged = analyse(scores, metric=secondary, resamples=2000)
    assert judged.verdict.told_apart == ("b",)
    beside = analyse(scores, metric=primary, resamples=2000)
    assert marks_against(beside, "a", secondary, 1) == {"b": WORSE} == marks_against(judged, "a", secondary, 1)


def test_too_few_patients_are_never_marked_as_alike(make_scores: MakeScores) -> None:
    values = np.random.default_rng(5).normal(0.7, 0.001, (3, 6))
    losses = dict(zip("abc", values, strict=True))
    analysis = analyse(pd.concat([make_scores(losses), make_scores(losses, "iou")]), resamples=200)
    best = analysis.verdict.best
    assert analysis.verdict.sentence.startswith("Too few")
    assert marks_against(analysis, best, "dice", 1) == {} == marks_against(analysis, best, "iou", 1)
    assert EQUIVALENT not in marks_against(analysis, best, "iou", 1).values()


@pytest.mark.parametrize(("patients", "losses"), [(2, 3), (3, 3), (4, 4)])
def test_when_all_rank_alike_the_p_of_friedman_is_exact(make_scores: MakeScores, patients: int, losses: int) -> None:
    values = np.random.default_rng(0).random((patients, 1)) / 10 + np.arange(losses) / 10
    found = analyse(make_scores(dict(zip("abcd", values.T, strict=False))), resamples=50).omnibus
    assert found is not None
    assert found.p == pytest.approx({3: 6.0, 4: 24.0}[losses] ** (1 - patients))


def test_the_ranking_counts_the_patients_that_it_rests_on(make_scores: MakeScores) -> None:
    values = np.random.default_rng(0).normal(0.7, 0.1, (2, 30))
    scores = make_scores(dict(zip("ab", values, strict=True)))
    scores = scores[(scores["loss"] != "b") | (scores["fold"] != 4)]
    found = analyse(scores, resamples=50)
    assert found.n_ranked == 24
    assert found.summary["n_patients"].max() == 30
