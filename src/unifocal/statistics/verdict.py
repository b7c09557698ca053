"""The verdict: which loss did best, said no louder than the tests allow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unifocal.metrics import Metric
from unifocal.statistics.bootstrap import is_best
from unifocal.statistics.paired import smallest_p
from unifocal.statistics.result import Verdict

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on.

    Attributes:
        metric: The primary metric.
        label: The primary label.
        unit: Of the metric's values.
        ranking: As in `Analysis`.
        comparison: As in `Analysis`, for this metric and label.
        n: The number of patients behind the ranking.
        population: What is counted: `patients`, or `cases` where every case is its own patient.
        notes: Further sentences for the explanation.
    """

    metric: Metric
    label: int
    unit: str
    ranking: pd.DataFrame
    comparison: pd.DataFrame
    n: int
    population: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Standing:
    """How the loss with the best mean stands against the others, best first."""

    leaders: tuple[str, ...]
    told_apart: tuple[str, ...]
    not_told_apart: tuple[str, ...]
    contradicted: tuple[str, ...]
    adjusted: dict[str, float]

    @property
    def best(self) -> str:
        return self.leaders[0]

    @property
    def trailing(self) -> tuple[str, ...]:
        """Losses with a worse mean that the best cannot be told apart from."""
        return tuple(loss for loss in self.not_told_apart if loss not in self.leaders)


def reach_verdict(evidence: Evidence) -> Verdict:
    """Say which loss did best on the primary metric, and whether the data can tell.

    A loss counts as better than another when Holm's adjusted p of the paired test is below 0.05 and
    the mean and the ranks both favour it.
    """
    if evidence.ranking.empty:
        title = evidence.metric.title
        sentence = f"No loss could be scored: {title} of label {evidence.label} is never defined."
        return _verdict(evidence, sentence, None)
    standing = _standing(evidence)
    return _verdict(evidence, _sentence(evidence, standing), standing)


def _verdict(evidence: Evidence, sentence: str, standing: _Standing | None) -> Verdict:
    return Verdict(
        sentence=sentence,
        explanation=" ".join([*_method(evidence, standing), *evidence.notes]),
        metric=evidence.metric.name,
        label=evidence.label,
        best=standing.best if standing else None,
        told_apart=standing.told_apart if standing else (),
        not_told_apart=standing.not_told_apart if standing else (),
    )


def _standing(evidence: Evidence) -> _Standing:
    sign = 1 if evidence.metric.direction == "higher" else -1
    losses = list(evidence.ranking["loss"])
    best = losses[0]
    tied = is_best(sign * evidence.ranking["mean"].to_numpy(dtype=float))
    told: list[str] = []
    contradicted: list[str] = []
    adjusted: dict[str, float] = {}
    for row in evidence.comparison.to_dict("records"):
        if best not in (row["loss_a"], row["loss_b"]):
            continue
        other, side = (row["loss_b"], 1) if row["loss_a"] == best else (row["loss_a"], -1)
        if other not in losses:
            continue
        adjusted[other] = row["p_adjusted"]
        favours = [side * sign * row[name] > 0 for name in ("difference", "effect_size")]
        if row["p_adjusted"] < SIGNIFICANCE:
            (told if all(favours) else contradicted).append(other)
    return _Standing(
        leaders=tuple(loss for loss, first in zip(losses, tied, strict=True) if first),
        told_apart=tuple(loss for loss in losses[1:] if loss in told),
        not_told_apart=tuple(loss for loss in losses[1:] if loss not in told),
        contradicted=tuple(contradicted),
        adjusted={loss: adjusted[loss] for loss in losses[1:]},
    )


def _sentence(evidence: Evidence, standing: _Standing) -> str:
    extreme = "highest" if evidence.metric.direction == "higher" else "lowest"
    title, best = evidence.metric.title, standing.best
    mean, interval = _mean_and_interval(evidence)
    everyone = f"{'this' if evidence.n == 1 else 'these'} {_counted(evidence)}"
    shown = f"{mean}, {interval}" if interval else mean
    had = f"{best} had the {extreme} mean {title} ({shown})"
    if len(evidence.ranking) == 1:
        bracket = f" ({interval})" if interval else ""
        return f"There was nothing to compare {best} with: its mean {title} is {mean}{bracket} on {everyone}."
    if _too_few(evidence):
        return f"Too few {evidence.population} to tell losses apart: {had} on {everyone}."
    if len(standing.leaders) > 1:
        return _tie(evidence, standing, f"the {extreme} mean {title} ({shown})", everyone)
    if not standing.not_told_apart:
        return (
            f"{best} did best: mean {title} {mean} ({interval}), better than "
            f"{_join(standing.told_apart)} on {everyone}."
        )
    if not (evidence.comparison["p_adjusted"] < SIGNIFICANCE).any():
        return f"These losses cannot be told apart on {everyone}; {had}."
    but = f"{had}, but it cannot be told apart from {_join(standing.trailing, 'or')} on {everyone}"
    return f"{but}{_better_than('it', standing)}."


def _tie(evidence: Evidence, standing: _Standing, what: str, everyone: str) -> str:
    if len(standing.leaders) == len(evidence.ranking):
        return f"These losses cannot be told apart on {everyone}: all have the same mean, {what}."
    nor = f", nor from {_join(standing.trailing, 'or')}," if standing.trailing else ""
    shared = f"{_join(standing.leaders)} share {what} and cannot be told apart{nor} on {everyone}"
    return f"{shared}{_better_than(standing.best, standing)}."


def _better_than(subject: str, standing: _Standing) -> str:
    return f"; {subject} did better than {_join(standing.told_apart)}" if standing.told_apart else ""


def _method(evidence: Evidence, standing: _Standing | None) -> list[str]:
    words = []
    if evidence.population == "patients":
        words.append("A patient counts once, with the mean over that patient's cases.")
    if standing is None:
        return words
    if evidence.n > 1:
        words.append(f"Intervals are 95 % bootstrap intervals over the {evidence.population}.")
    if len(evidence.ranking) == 1:
        return words
    n_pairs = int(evidence.comparison["p"].notna().sum())
    correction = f", with Holm's correction over {n_pairs} pairs of losses" if n_pairs > 1 else ""
    words.append(
        f"Losses were compared on the same {evidence.population} by Wilcoxon's signed-rank test"
        f"{correction}; an adjusted p below {SIGNIFICANCE} counts as told apart."
    )
    if _too_few(evidence):
        lowest = smallest_p(_most_pairs(evidence), n_pairs)
        words.append(
            f"With {_counted(evidence)} the adjusted p cannot fall below {lowest:.2g}, whatever the losses do."
        )
    against = ", ".join(f"{loss} ({_p(p)})" for loss, p in standing.adjusted.items())
    words.append(f"Adjusted p of {standing.best} against the others: {against}.")
    words += [
        f"{standing.best} has the better mean, but {loss} did better on most {evidence.population}: "
        "neither is called better."
        for loss in standing.contradicted
    ]
    return words


def _too_few(evidence: Evidence) -> bool:
    n_pairs = int(evidence.comparison["p"].notna().sum())
    return smallest_p(_most_pairs(evidence), n_pairs) >= SIGNIFICANCE


def _most_pairs(evidence: Evidence) -> int:
    return int(evidence.comparison["n_patients"].max())


def _mean_and_interval(evidence: Evidence) -> tuple[str, str]:
    first = evidence.ranking.iloc[0]
    unit = f" {evidence.unit}" if evidence.unit else ""
    mean = f"{_number(first['mean'])}{unit}"
    if not np.isfinite(first["lower"]):
        return mean, ""
    return mean, f"95 % interval {_number(first['lower'])}-{_number(first['upper'])}{unit}"


def _number(value: float) -> str:
    return f"{value:.2g}" if 0 < abs(value) < 0.1 else f"{value:.2f}"


def _p(p: float) -> str:
    if not np.isfinite(p):
        return "no common scores"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _counted(evidence: Evidence) -> str:
    noun = evidence.population if evidence.n != 1 else evidence.population.removesuffix("s")
    return f"{evidence.n} {noun}" if evidence.n != 1 else f"one {noun}"


def _join(names: Sequence[str], word: str = "and") -> str:
    return " ".join([", ".join(names[:-1]), word, names[-1]]) if len(names) > 1 else "".join(names)
