"""A race: which losses are already clearly worse after each round, with a stated error over all looks together."""

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unifocal.statistics.components import Trainings, separate
from unifocal.statistics.paired import signed_rank
from unifocal.statistics.result import Departure
from unifocal.statistics.retraining import retrained
from unifocal.statistics.sheets import Sheet, build_sheets, column_means, pair_differences, rarest_label
from unifocal.statistics.sign_flips import FLIPS, MOST_EXACT, flip_tests

Floats = NDArray[np.float64]


class Race:
    """The losses still in question, and those that left.

    A look after every round but the last compares each pair of losses that still race on the patients that both were
    scored on, by the test that the verdict rests on (`flip_tests`, and over several seeds `retrained` too). A loss
    leaves when it differs from another one and both the means and the ranks favour that one.

    The error is that of a family: in at most a share `error` of all studies does any two losses' difference pass at
    any look although there is none. Each look may spend its equal part of it (Bonferroni over looks). One at which the
    patients are too few for any p to pass spends nothing: its part goes to the next look. Whether they are depends on
    the design alone, not on the scores. Within a look Holm's correction counts all pairs that the race began with.

    Args:
        losses: All of the study.
        rounds: How many there are to be.
        metric: A name in `METRICS` that has a direction.
        label: Which label counts. When None, the one with the fewest elements in the truth of the first round.
        error: The share of races that may lose a loss without a difference.
        seeds: How many trainings of each fold the study makes; with several a loss leaves only if repeated trainings do
            not explain the difference.
        flips: As in `flip_tests`.
    """

    def __init__(
        self,
        losses: Sequence[str],
        *,
        rounds: int,
        metric: str,
        label: int | None = None,
        error: float = 0.05,
        seeds: int = 1,
        flips: int = FLIPS,
    ) -> None:
        self.racing = tuple(losses)
        self.left: tuple[Departure, ...] = ()
        self._rounds, self._metric, self._label = rounds, metric, label
        self._error, self._seeds, self._flips = error, seeds, flips
        self._pairs = comb(len(self.racing), 2)
        self._looks, self._spare = 0, 0.0

    @property
    def is_decided(self) -> bool:
        """Whether one loss at most is left."""
        return len(self.racing) < 2

    def look(self, scores: pd.DataFrame) -> tuple[Departure, ...]:
        """Look at all scores so far, after one more round; those who leave do so for good.

        Args:
            scores: As for `analyse`; rows of losses that left before do not count.

        Returns:
            Those who leave now, in the order of the losses.
        """
        self._looks += 1
        if self._looks >= self._rounds or self.is_decided:
            return ()
        self._spare += self._error / (self._rounds - 1)
        own = scores[scores["loss"].isin(self.racing)]
        sheet = self._sheet(own)
        if sheet is None or self._lowest(sheet) * self._pairs > self._spare:
            return ()
        p = self._test(sheet, separate(own[self._chosen(own)], sheet.losses) if self._seeds > 1 else {})
        if not np.isfinite(p).any():
            return ()
        now = self._departures(sheet, p)
        self._spare = 0.0
        self.left += now
        self.racing = tuple(loss for loss in self.racing if loss not in {each.loss for each in now})
        return now

    def _chosen(self, scores: pd.DataFrame) -> "pd.Series[bool]":
        return (scores["metric"] == self._metric) & (scores["label"] == self._label)

    def _sheet(self, scores: pd.DataFrame) -> Sheet | None:
        if self._label is None and len(labels := scores.loc[scores["metric"] == self._metric, "label"].unique()):
            self._label = rarest_label(scores, [int(label) for label in labels])
        sheets = build_sheets(scores[self._chosen(scores)], self.racing)
        return sheets[0] if sheets else None

    def _lowest(self, sheet: Sheet) -> float:
        n = len(sheet.patients)
        return 2.0 ** (1 - n) if n <= MOST_EXACT else 1 / (self._flips + 1)

    def _test(self, sheet: Sheet, trainings: dict[tuple[int, str], Trainings]) -> Floats:
        """P of each pair; NaN where it cannot be tested."""
        pairs = list(combinations(range(len(sheet.losses)), 2))
        differences = pair_differences(sheet, pairs)
        p = flip_tests(differences, 0, self._flips).either
        if self._seeds > 1:
            apart = trainings[sheet.label, sheet.metric]
            again = [
                retrained(column[np.isfinite(column)], apart.values[:, :, a] - apart.values[:, :, b], apart.folds).p
                for column, (a, b) in zip(differences.T, pairs, strict=True)
            ]
            p = np.maximum(p, np.array(again))
        return p

    def _departures(self, sheet: Sheet, p: Floats) -> tuple[Departure, ...]:
        pairs = list(combinations(range(len(sheet.losses)), 2))
        differences = pair_differences(sheet, pairs)
        means = sheet.sign * column_means(sheet.values)
        worse: dict[int, list[tuple[float, Departure]]] = {}
        for place, threshold in _passed(p, self._spare, self._pairs):
            column = differences[np.isfinite(differences[:, place]), place]
            side = sheet.sign * float(np.mean(column))
            if side * sheet.sign * signed_rank(column).effect_size <= 0:
                continue
            better, loser = pairs[place] if side > 0 else pairs[place][::-1]
            departure = Departure(
                loss=sheet.losses[loser],
                round=self._looks - 1,
                rounds=self._rounds,
                against=sheet.losses[better],
                difference=-sheet.sign * abs(side),
                p=float(p[place]),
                threshold=threshold,
                patients=len(column),
                label=sheet.label,
            )
            worse.setdefault(loser, []).append((float(means[better]), departure))
        # With gaps in the scores pairs may go round in a circle, but somebody stays.
        worse.pop(int(np.nanargmax(means)), None)
        return tuple(max(worse[loser], key=lambda found: found[0])[1] for loser in sorted(worse))


def _passed(p: Floats, level: float, pairs: int) -> list[tuple[int, float]]:
    """The places of the p-values that Holm's steps let pass, each with its threshold."""
    found = []
    for step, place in enumerate(np.argsort(p, kind="stable")):
        threshold = level / (pairs - step)
        if not p[place] <= threshold:
            break
        found.append((int(place), threshold))
    return found


def decide(
    scores_by_round: Sequence[pd.DataFrame],
    losses: Sequence[str],
    *,
    rounds: int,
    metric: str,
    label: int | None = None,
    error: float = 0.05,
    seeds: int = 1,
    flips: int = FLIPS,
) -> tuple[Departure, ...]:
    """Who left the race, from the scores alone: the same scores always give the same answer.

    Args:
        scores_by_round: The scores of each round that is done.
        losses: All of the study.
        rounds: How many there are to be.
        metric: As in `Race`.
        label: As in `Race`.
        error: As in `Race`.
        seeds: As in `Race`.
        flips: As in `Race`.
    """
    race = Race(losses, rounds=rounds, metric=metric, label=label, error=error, seeds=seeds, flips=flips)
    for number in range(len(scores_by_round)):
        race.look(pd.concat(scores_by_round[: number + 1], ignore_index=True))
    return race.left
