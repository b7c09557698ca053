"""How the loss with the best mean stands against the others."""

from collections import defaultdict
from collections.abc import Hashable
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
        return smallest_p(int(self.comparison["n_patients"].max()), self.n_pairs) if self.n_pairs else 1.0

    @property
    def is_too_small(self) -> bool:
        """Whether no difference, however clear, could be told apart."""
        return self.lowest_p >= SIGNIFICANCE


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
    flips = holm(evidence.comparison["p_flips"].to_numpy(dtype=float))
    for row in evidence.comparison.assign(p_flips_adjusted=flips).to_dict("records"):
        if best not in (row["loss_a"], row["loss_b"]):
            continue
        other, side = (row["loss_b"], 1) if row["loss_a"] == best else (row["loss_a"], -1)
        if other not in losses:
            continue
        adjusted[other] = row["p_adjusted"]
        for name in _remarks(row, side * evidence.sign):
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
