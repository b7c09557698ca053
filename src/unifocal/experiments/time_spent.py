"""Where a study's time went: each run notes its stages in its folder, and the study's own process adds all up."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from unifocal.clock import OTHER, Clock, Moment, Spent, measuring, noted, now, running
from unifocal.experiments.folder import write_text

NAME = "profile.csv"
START = "starting Python and its libraries"
WAITING = "waiting for runs"
IDLE = "starting processes and idle"
_RUN_COLUMNS = ("stage", "calls", "seconds", "cpu_seconds")
_STUDY_COLUMNS = ("stage", "where", "runs", *_RUN_COLUMNS[1:], "share_percent", "seconds_per_run")
_OWN = ("study", "processes")

Stages = Mapping[str, Spent]


@contextmanager
def timed_run(folder: Path, *, is_on: bool) -> Iterator[None]:
    """Measure what a run does, into its folder; what earlier attempts took is kept and added to."""
    if not is_on:
        yield
        return
    with measuring(Clock(read_stages(folder / NAME), partial(_write_run, folder))), noted():
        yield


@contextmanager
def timed_study(folder: Path, *, is_on: bool, started: Moment | None) -> Iterator[None]:
    """Measure what a study's own process does. Only `note` writes, as nothing may be written before all is checked.

    Args:
        folder: The study folder; what earlier attempts took is added to.
        is_on: Whether that is asked for.
        started: When the process began, where it does nothing else.
    """
    if not is_on:
        yield
        return
    clock = Clock(read_stages(folder / NAME), partial(_write_study, folder))
    if started is not None:
        clock.add(START, Spent.since(started))
    with measuring(clock):
        yield


@contextmanager
def waiting(study: Path, processes: int) -> Iterator[None]:
    """Measure how long the study's own process waits for runs, and how much of that time their processes did nothing.

    Args:
        study: The study folder.
        processes: How many work at once; 0 where that is not known.
    """
    clock = running()
    if clock is None:
        yield
        return
    before, begun = _total_of_runs(study), now()
    with clock.stage(WAITING):
        yield
    if processes:
        seconds = processes * (now().wall - begun.wall) - (_total_of_runs(study) - before)
        clock.add(IDLE, Spent(1, max(0.0, seconds)))


def read_stages(path: Path) -> dict[str, Spent]:
    """The stages of a run, or those of a study's own process; none where there is no file that can be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {
                row["stage"]: Spent(int(row["calls"]), float(row["seconds"]), float(row["cpu_seconds"]))
                for row in csv.DictReader(file)
                if row.get("where", "study") in _OWN
            }
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return {}


def _total_of_runs(study: Path) -> float:
    found = (each for some in _runs(study).values() for each in some)
    return sum(spent.seconds for stages in found for spent in stages.values())


def _runs(study: Path) -> dict[str, list[Stages]]:
    """What each run of a study took that was measured: the runs inside trials of nested tuning, and its own."""
    files = {"tuning": (study / "tuning").rglob(NAME), "runs": study.glob(f"runs/*/*/{NAME}")}
    return {where: [read_stages(path) for path in sorted(paths)] for where, paths in files.items()}


def _write_run(folder: Path, stages: Stages) -> None:
    _write(folder / NAME, _RUN_COLUMNS, ((name, *_numbers(stages[name])) for name in _in_order([stages])))


def _write_study(folder: Path, own: Stages) -> None:
    parts: dict[str, list[Stages]] = {"study": [own], **_runs(folder)}
    every = (each for some in parts.values() for each in some)
    total = sum(spent.seconds for stages in every for name, spent in stages.items() if _counts(name))
    rows = [row for where, some in parts.items() for row in _study_rows(where, some, total)]
    _write(folder / NAME, _STUDY_COLUMNS, rows)


def _study_rows(where: str, some: Sequence[Stages], total: float) -> Iterator[tuple[Any, ...]]:
    for name in _in_order(some):
        known = [stages[name] for stages in some if name in stages]
        spent = sum(known, Spent())
        place = "processes" if name == IDLE else where
        share = round(100 * spent.seconds / total, 3) if total and _counts(name) else ""
        of_runs = where != "study"
        each = round(spent.seconds / len(known), 3) if of_runs else ""
        yield name, place, len(known) if of_runs else "", *_numbers(spent), share, each


def _counts(name: str) -> bool:
    """Whether a stage is work, so that it has a share; what others do while it lasts is counted where they do it."""
    return name != WAITING


def _in_order(some: Sequence[Stages]) -> list[str]:
    """The stages' names as they first occur, the rest last."""
    names = dict.fromkeys(name for stages in some for name in stages)
    return sorted(names, key=lambda name: name == OTHER)


def _numbers(spent: Spent) -> tuple[int, float, float]:
    return spent.calls, round(spent.seconds, 4), round(spent.cpu_seconds, 4)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    with suppress(OSError):  # nothing fails for want of its profile
        write_text(path, text.getvalue())
