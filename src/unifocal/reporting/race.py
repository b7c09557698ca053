"""Who left the race, and what that spared, as `race.csv` tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unifocal.problems import Problem
from unifocal.reporting.reading import as_numbers, read_table

COLUMNS = ("loss", "against", "difference", "p", "threshold", "patients", "round", "rounds")
RunKey = tuple[str, int, int]
"""A loss, a fold and a seed."""


@dataclass(frozen=True)
class EarlyExit:
    """A loss that was clearly worse before all of its runs were done.

    Attributes:
        loss: Its label.
        round: The last round that it took part in, from 0: a fold with all seeds, or of a single fold a seed.
        rounds: How many there were to be.
        against: The loss that it was worse than.
        difference: Of the means over the patients that both were scored on, itself minus the other.
        p: Of the test that it left by.
        threshold: What p had to stay below at that look.
        patients: That both were scored on.
    """

    loss: str
    round: int
    rounds: int
    against: str
    difference: float
    p: float
    threshold: float
    patients: int


def read_exits(path: Path, problems: list[Problem]) -> tuple[EarlyExit, ...]:
    """Everyone who left, in the file's order; nobody where there is no file."""
    if not path.is_file():
        return ()
    known = len(problems)
    table = read_table(path, COLUMNS, problems)
    if len(problems) == known:
        whole, real = ("round", "rounds", "patients"), ("difference", "p", "threshold")
        table = as_numbers(path, table, problems, whole=whole, real=real)
    if len(problems) > known:
        return ()
    return tuple(
        EarlyExit(
            loss=str(row["loss"]),
            round=int(row["round"]),
            rounds=int(row["rounds"]),
            against=str(row["against"]),
            difference=float(row["difference"]),
            p=float(row["p"]),
            threshold=float(row["threshold"]),
            patients=int(row["patients"]),
        )
        for row in table.to_dict("records")
    )


def last_rounds(exits: Sequence[EarlyExit], losses: Sequence[str]) -> dict[str, int]:
    """The last round of every loss, from 0; empty without exits. A race with one loss left is over."""
    if not exits:
        return {}
    left = {each.loss: each.round for each in exits}
    is_decided = len(set(losses) - set(left)) < 2
    end = max(left.values()) if is_decided else exits[0].rounds - 1
    return {loss: left.get(loss, end) for loss in losses}


def spared_by(exits: Sequence[EarlyExit], losses: Sequence[str], folds: int, seeds: Sequence[int]) -> set[RunKey]:
    """The runs of the rounds that a loss did not take part in.

    Args:
        exits: Who left.
        losses: All of the study.
        folds: How many were planned.
        seeds: Likewise, in the order of training.
    """
    last = last_rounds(exits, losses)
    return {
        (loss, fold, seed)
        for loss, end in last.items()
        for fold in range(folds)
        for place, seed in enumerate(seeds)
        if (fold if folds > 1 else place) > end
    }
