"""Runs that were not done or did not succeed: losses that left the race, and failed runs."""

import math

from unifocal.reporting.study import StudyView
from unifocal.reporting.table import Cell, Table
from unifocal.reporting.tables import count_cell
from unifocal.reporting.wording import count, duration, share, signed


def race_table(study: StudyView, metric: str) -> Table | None:
    """When each loss left, against whom, by which test, and how many runs that spared; None where nobody left."""
    if not study.exits:
        return None
    spared = study.spared
    rows = tuple(
        (
            each.loss,
            (
                Cell(each.against),
                Cell(f"{each.round + 1} of {each.rounds}", numbers=(each.round + 1,)),
                count_cell(each.patients),
                Cell(signed(each.difference, 3), numbers=(each.difference,)),
                _small(each.p),
                _small(each.threshold),
                count_cell(spared.get(each.loss, 0)),
            ),
        )
        for each in study.exits
    )
    return Table(
        caption=(
            f"Who left, in the order of leaving. Difference: of mean {metric}, itself minus the loss that it was worse "
            "than, over the patients that both had been scored on. A loss leaves where p is at most the threshold of "
            "that look."
        ),
        stub="Loss",
        columns=("Worse than", "After round", "Patients", "Difference", "p", "Threshold", "Runs spared"),
        rows=rows,
        names=2,
        name="race",
    )


def _small(value: float) -> Cell:
    """A p value or its threshold, which both may be far below 0.001 and must show which is smaller."""
    return Cell(f"{value:.2g}" if value >= 0.0001 else f"{value:.1e}", numbers=(value,))


def race_intro(study: StudyView) -> str:
    """What the rule was, and what it spared."""
    error = study.setting("config", "race_error")
    stated = (
        "; the thresholds are such that, over all looks and losses together, at most "
        f"{share(float(error))} of studies send away a loss that is not worse"
        if isinstance(error, int | float) and not isinstance(error, bool)
        else ""
    )
    rule = f"After each round, every loss was tested against the others on the patients scored so far{stated}."
    spared = sum(study.spared.values())
    folds, seeds = study.planned
    whole = len(study.losses) * folds * len(seeds)
    if not spared:
        return f"{rule} No run was spared."
    saved = _time_of(study)
    return f"{rule} {spared} of {count(whole, 'run')} ({share(spared / whole)}) were not needed{saved}."


def _time_of(study: StudyView) -> str:
    """`, about 2.5 hours of training`, by what the same loss's own runs took; nothing where that is not known."""
    total = 0.0
    for loss, number_of in study.spared.items():
        took = [run.seconds for run in study.runs if run.loss == loss and run.seconds is not None]
        if number_of and not took:
            return ""
        total += number_of * sum(took) / max(len(took), 1)
    return f", about {duration(total)} of training" if total > 0 else ""


def failed_table(study: StudyView) -> Table | None:
    """Every run that failed, with its reason; None where none did."""
    if not study.failed_runs:
        return None
    return Table(
        caption="Runs that have no scores, each with what it ended of. The same command tries them again.",
        stub="Loss",
        columns=("Reason", "Fold", "Seed", "Epochs"),
        rows=tuple(
            (
                run.loss,
                (
                    Cell(run.reason or "not recorded"),
                    count_cell(run.fold if run.fold >= 0 else math.nan),
                    count_cell(run.seed if run.seed >= 0 else math.nan),
                    count_cell(0 if run.history is None else len(run.history)),
                ),
            )
            for run in study.failed_runs
        ),
        names=2,
        name="failed_runs",
    )


def notes_table(study: StudyView) -> Table | None:
    """Runs that succeeded although something went wrong on their way; None where none did."""
    noted = [run for run in study.runs if run.notes and run.status == "done"]
    if not noted:
        return None
    return Table(
        caption="Runs that succeeded although something went wrong on their way.",
        stub="Loss",
        columns=("What happened", "Fold", "Seed"),
        rows=tuple(
            (run.loss, (Cell(" ".join(run.notes)), count_cell(run.fold), count_cell(run.seed))) for run in noted
        ),
        names=2,
        name="run_notes",
    )
