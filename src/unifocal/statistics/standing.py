"""How the loss with the best mean stands against the others."""

from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from unifocal.metrics import Metric
from unifocal.statistics.bootstrap import is_best
from unifocal.statistics.paired import holm, smallest_p
from unifocal.statistics.result import Departure

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
        noun: What is compared: `loss` or `method`.
        margin: The largest difference of means that counts as none; NaN for no such number.
        n_labels: How many labels have scores.
        notes: Further sentences for the explanation.
        left: Who left the race, and so is in `comparison` but not in `ranking`.
    """

    metric: Metric
    label: int
    unit: str
    ranking: pd.DataFrame
    comparison: pd.DataFrame
    n: int
    population: str
    noun: str = "loss"
    margin: float = float("nan")
    n_labels: int = 1
    notes: tuple[str, ...] = ()
    left: tuple[Departure, ...] = ()

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return 1 if self.metric.direction == "higher" else -1

    @property
    def among_ranked(self) -> pd.DataFrame:
        """The part of the comparison that is of ranked losses alone."""
        ranked = set(self.ranking["loss"])
        return self.comparison[self.comparison["loss_a"].isin(ranked) & self.comparison["loss_b"].isin(ranked)]

    @property
    def left_once(self) -> bool:
        """Whether a loss left the race on single trainings."""
        pairs = {frozenset((each.loss, each.against)) for each in self.left}
        rows = self.comparison[["loss_a", "loss_b", "p_retrained"]].itertuples(index=False)
        return any(frozenset((a, b)) in pairs and np.isnan(p) for a, b, p in rows)

    @property
    def n_pairs(self) -> int:
        """The pairs that could be tested, over which p-values are corrected."""
        return int(self.comparison["p"].notna().sum())

    @property
    def lowest_p(self) -> float:
        """The smallest adjusted p that these patients allow, whatever the scores."""
        return lowest_p(self.comparison)

    @property
    def shares_nobody(self) -> bool:
        """Whether several losses were ranked of which no two have a patient in common."""
        return len(self.ranking) > 1 and not self.among_ranked["n_patients"].any()

    @property
    def is_too_small(self) -> bool:
        """Whether no difference, however clear, could be told apart."""
        return self.lowest_p >= SIGNIFICANCE


def lowest_p(comparison: pd.DataFrame) -> float:
    """The smallest adjusted p that the patients allow, whatever the scores, of one metric's and label's pairs."""
    n_pairs = int(comparison["p"].notna().sum())
    return smallest_p(int(comparison["n_patients"].max()), n_pairs) if n_pairs else 1.0


@dataclass(frozen=True)
class Standing:
    """How the loss with the best mean stands against the others, best first.

    Attributes:
        leaders: Those that share the best mean.
        told_apart: Those that the best did distinguishably better than.
        not_told_apart: All others.
        equivalent: Those of either that are practically as good.
        by_ranks: Those of `told_apart` with an interval of the mean difference that includes zero.
        against_ranks: Those of `told_apart` that did better on most patients all the same.
        contradicted: Those that differ, but mean and ranks disagree on the better one and neither prevails.
        unrepeatable: Those that only the networks as trained can be told apart from.
        once: Those that the best cannot be compared to over repeated trainings.
        adjusted: Holm's adjusted p against each other loss.
    """

    leaders: tuple[str, ...]
    told_apart: tuple[str, ...]
    not_told_apart: tuple[str, ...]
    equivalent: tuple[str, ...]
    by_ranks: tuple[str, ...]
    against_ranks: tuple[str, ...]
    contradicted: tuple[str, ...]
    unrepeatable: tuple[str, ...]
    once: tuple[str, ...]
    adjusted: dict[str, float]

    @property
    def best(self) -> str:
        """The first of the leaders."""
        return self.leaders[0]

    def open_to(self, *, equivalent: bool) -> tuple[str, ...]:
        """Losses with a worse mean that the best cannot be told apart from, practically as good or not."""
        behind = [loss for loss in self.not_told_apart if loss not in self.leaders]
        return tuple(loss for loss in behind if (loss in self.equivalent) == equivalent)


def stand(evidence: Evidence) -> Standing:
    """Compare the loss with the best mean to all others that were ranked."""
    losses = list(evidence.ranking["loss"])
    best = losses[0]
    tied = is_best(evidence.sign * evidence.ranking["mean"].to_numpy(dtype=float))
    found: dict[str, set[str]] = defaultdict(set)
    adjusted: dict[str, float] = {}
    for other, p, remarks in _against(evidence.comparison, best, evidence.sign):
        if other not in losses:
            continue
        adjusted[other] = p
        for name in remarks:
            found[name].add(other)

    def ordered(name: str) -> tuple[str, ...]:
        return tuple(loss for loss in losses[1:] if loss in found[name])

    return Standing(
        leaders=tuple(loss for loss, first in zip(losses, tied, strict=True) if first),
        told_apart=ordered("told"),
        not_told_apart=tuple(loss for loss in losses[1:] if loss not in found["told"]),
        equivalent=() if evidence.is_too_small else ordered("equivalent"),
        by_ranks=ordered("by_ranks"),
        against_ranks=ordered("against_ranks"),
        contradicted=ordered("contradicted"),
        unrepeatable=ordered("unrepeatable"),
        once=ordered("once"),
        adjusted={loss: adjusted[loss] for loss in losses[1:]},
    )


def judge(comparison: pd.DataFrame, best: str, sign: int) -> tuple[set[str], set[str]]:
    """By the verdict's own rules: whom the best did better than, and who of the others is practically as good.

    Args:
        comparison: The rows of `Analysis.comparison` of one metric and label.
        best: The loss with the best mean.
        sign: 1 where higher is better, -1 where lower is.
    """
    found = {other: remarks for other, _, remarks in _against(comparison, best, sign)}
    told = {other for other, remarks in found.items() if "told" in remarks}
    if lowest_p(comparison) >= SIGNIFICANCE:
        return told, set()
    return told, {other for other, remarks in found.items() if "equivalent" in remarks} - told


def _against(comparison: pd.DataFrame, best: str, sign: int) -> Iterator[tuple[str, float, list[str]]]:
    """Every other loss, its adjusted p against the best, and what its row says of the best."""
    flips = holm(comparison["p_flips"].to_numpy(dtype=float))
    for row in comparison.assign(p_flips_adjusted=flips).to_dict("records"):
        if best in (row["loss_a"], row["loss_b"]):
            other, side = (row["loss_b"], 1) if row["loss_a"] == best else (row["loss_a"], -1)
            yield other, row["p_adjusted"], _remarks(row, side * sign)


def _remarks(row: dict[Hashable, Any], sign: int) -> list[str]:
    """What one row of the comparison says of the best loss; `sign` turns its difference to the best's favour."""
    ranks_favour, mean_is_clear = sign * row["effect_size"] > 0, row["lower"] > 0 or row["upper"] < 0
    favours = sign * row["difference"] > 0 and (ranks_favour or mean_is_clear)
    remarks = []
    if row["p_adjusted"] < SIGNIFICANCE and favours:
        remarks += ["told", *(["by_ranks"] * (not mean_is_clear)), *(["against_ranks"] * (not ranks_favour))]
    elif row["p_adjusted"] < SIGNIFICANCE:
        remarks.append("contradicted")
    elif np.isfinite(row["p_retrained"]) and row["p_flips_adjusted"] < SIGNIFICANCE and favours:
        remarks.append("unrepeatable")
    if np.isnan(row["p_retrained"]):
        remarks.append("once")
    if row["is_equivalent"]:
        remarks.append("equivalent")
    return remarks
