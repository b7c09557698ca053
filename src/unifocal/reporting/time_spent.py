"""Where a study's time went, as its `profile.csv` tells it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PLACES = {"study": "study", "runs": "runs", "tuning": "runs of trials", "processes": "between runs"}


@dataclass(frozen=True)
class StageTime:
    """What a stage took.

    Attributes:
        stage: In words.
        where: `study` (the study's own process), `runs`, `tuning` (the runs inside trials), or `processes` (what no
            run took of the time that there were processes for them).
        runs: How many runs it is of; None where it is of none.
        calls: How often it was entered.
        seconds: All runs together.
        cpu_seconds: Processor time, likewise.
        share: Of all work, in percent; None where the study's own process waited for runs, which count themselves.
    """

    stage: str
    where: str
    runs: int | None
    calls: int
    seconds: float
    cpu_seconds: float
    share: float | None

    @property
    def place(self) -> str:
        """`where` in words."""
        return _PLACES.get(self.where, self.where)


def read_time_spent(path: Path) -> tuple[StageTime, ...]:
    """All stages, in the file's order; none where there is no file, or none that can be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(
                StageTime(
                    stage=row["stage"],
                    where=row["where"],
                    runs=int(row["runs"]) if row["runs"] else None,
                    calls=int(row["calls"]),
                    seconds=float(row["seconds"]),
                    cpu_seconds=float(row["cpu_seconds"]),
                    share=float(row["share_percent"]) if row["share_percent"] else None,
                )
                for row in csv.DictReader(file)
            )
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return ()


def by_time(stages: Sequence[StageTime]) -> list[StageTime]:
    """The longest first, those without a share last."""
    return sorted(stages, key=lambda each: (each.share is None, -each.seconds))


def known_runs(stages: Sequence[StageTime], where: str = "runs") -> int:
    """How many runs were measured."""
    return max((each.runs or 0 for each in stages if each.where == where), default=0)


def wall_seconds(stages: Sequence[StageTime]) -> float:
    """How long the study's own process took, attempts added up."""
    return sum(each.seconds for each in stages if each.where == "study")


def work_seconds(stages: Sequence[StageTime]) -> float:
    """All work of all processes: what the shares are of."""
    return sum(each.seconds for each in stages if each.share is not None)
