"""Where a study's time went, as a table."""

import math

from unifocal.reporting.study import StudyView
from unifocal.reporting.table import Cell, Table
from unifocal.reporting.tables import count_cell, number_cell
from unifocal.reporting.time_spent import StageTime, by_time, known_runs, wall_seconds, work_seconds
from unifocal.reporting.wording import ABSENT, count, duration


def time_table(study: StudyView) -> Table | None:
    """Every stage with its time, the longest first; None where nothing was measured."""
    stages = study.time_spent
    if not stages:
        return None
    return Table(
        caption=_caption(study, stages),
        stub="Stage",
        columns=("Where", "Share (%)", "Seconds", "Runs", "Seconds per run", "Calls", "Processor seconds"),
        rows=tuple((each.stage, _cells(each)) for each in by_time(stages)),
        names=2,
        name="time",
    )


def _cells(each: StageTime) -> tuple[Cell, ...]:
    per_run = each.seconds / each.runs if each.runs else math.nan
    return (
        Cell(each.place),
        Cell(ABSENT, numbers=(math.nan,)) if each.share is None else number_cell(each.share, 1),
        number_cell(each.seconds, 1),
        count_cell(math.nan if each.runs is None else each.runs),
        number_cell(per_run, 2),
        count_cell(each.calls),
        number_cell(each.cpu_seconds, 1),
    )


def _caption(study: StudyView, stages: tuple[StageTime, ...]) -> str:
    wall, work = duration(wall_seconds(stages)), duration(work_seconds(stages))
    waited = sum(each.seconds for each in stages if each.share is None)
    whole = count(len(study.runs), "run")
    return (
        f"The study's own process took {wall} (wall time), {duration(waited)} of it waiting for runs. Shares are of "
        f"the {work} that all processes took together: runs that go on at once are added up, waiting for them is not "
        "counted again, and a stage inside another one counts once. Between runs: what processes for runs took to "
        f"start, and were idle. Measured in {known_runs(stages)} of {whole}, over all attempts with --profile; writing "
        "this page is counted in profile.csv once it is done. Processor time is of each process itself, without those "
        "that read and prepare files for it. Where a GPU works, time counts in the stage that waits for it."
    )
