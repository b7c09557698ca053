"""Nested tuning as tables: what each fold chose, what that changed on inner folds, every trial."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from unifocal.reporting.study import StudyView
from unifocal.reporting.table import Cell, Table
from unifocal.reporting.tables import count_cell, direction, heading, metric_title
from unifocal.reporting.tuned import chosen_and_given, digits_of, names_of, objectives_in, said, settings_in_words
from unifocal.reporting.wording import ABSENT, number, signed

DONE = "done"
FLATTERED = "The same inner folds chose the trial, so what it seems to gain is flattered."


def chosen_table(study: StudyView) -> Table | None:
    """The values that each fold chose, a row per loss and setting; None where nothing was tuned."""
    choices = chosen_and_given(study.tuning) if len(study.tuning) else []
    if not choices:
        return None
    folds = sorted({fold for _, fold, _, _ in choices})
    rows = []
    for loss in _losses(study):
        mine = {fold: (chosen, given) for label, fold, chosen, given in choices if label == loss}
        for name in names_of([chosen["values"] for chosen, _ in mine.values()]):
            given = next(iter(mine.values()))[1]["values"]
            cells = [
                Cell(said(mine[fold][0]["values"].get(name, ABSENT)) if fold in mine else ABSENT) for fold in folds
            ]
            rows.append((loss, (Cell(name), Cell(said(given.get(name, ABSENT))), *cells)))
    return Table(
        caption=(
            "The value of each setting that was searched: as given (trial 0), and as chosen inside each fold without "
            "its test patients. Values that differ from fold to fold say that the data hardly decide them."
        ),
        stub="Loss",
        columns=("Setting", "As given", *(f"Fold {fold}" for fold in folds)),
        rows=tuple(rows),
        names=2,
        name="tuned",
    )


def gain_tables(study: StudyView) -> tuple[Table, ...]:
    """Per objective: the chosen trial minus the settings as given, a row per loss and a column per fold."""
    choices = chosen_and_given(study.tuning) if len(study.tuning) else []
    folds = sorted({fold for _, fold, _, _ in choices})
    tables = []
    for metric in objectives_in(study.tuning) if choices else ():
        digits = digits_of(metric, study.tuning[metric])
        rows = []
        for loss in _losses(study):
            pairs = {fold: (given[metric], best[metric]) for label, fold, best, given in choices if label == loss}
            gains = [after - before for before, after in pairs.values() if math.isfinite(after - before)]
            mean = sum(gains) / len(gains) if gains else math.nan
            cells = [_gain_cell(pairs.get(fold), digits) for fold in folds]
            rows.append((loss, (*cells, Cell(signed(mean, digits), numbers=(mean,)))))
        tables.append(
            Table(
                caption=(
                    f"{heading(metric, '')}: the chosen trial minus the settings as given, and both values, each the "
                    f"mean over the patients of the inner folds. {FLATTERED}"
                ),
                stub="Loss",
                columns=(*(f"Fold {fold}" for fold in folds), "Mean"),
                rows=tuple(rows),
                name="tuning_gain",
                title=metric_title(metric),
                about=(("metric", metric),),
            )
        )
    return tuple(tables)


def _gain_cell(pair: tuple[float, float] | None, digits: int) -> Cell:
    before, after = pair or (math.nan, math.nan)
    gain = after - before
    note = f"{number(before, digits)} → {number(after, digits)}" if math.isfinite(gain) else ""
    return Cell(signed(gain, digits), note, numbers=(gain,))


def trial_tables(study: StudyView) -> tuple[Table, ...]:
    """Every trial inside every fold, a table per loss."""
    trials = study.tuning
    return tuple(_trials_of(trials[trials["loss"] == loss], loss) for loss in _losses(study)) if len(trials) else ()


def _trials_of(trials: pd.DataFrame, loss: str) -> Table:
    metrics = objectives_in(trials)
    ordered = trials.sort_values(["fold", "trial"], kind="stable").to_dict("records")
    digits = {metric: digits_of(metric, trials[metric]) for metric in metrics}
    return Table(
        caption=f"Every trial of {loss}, by fold. Bold: chosen. Trial 0 has the settings as given.",
        stub="Loss",
        columns=("Settings", "Fold", "Trial", *(heading(metric, "") for metric in metrics)),
        rows=tuple(
            (
                loss,
                (
                    Cell(
                        settings_in_words(row["values"]) or "as given",
                        remark=str(row.get("reason") or ""),
                        strong=bool(row["chosen"]),
                    ),
                    count_cell(row["fold"]),
                    count_cell(row["trial"]),
                    *(_objective_cell(row, metric, digits[metric]) for metric in metrics),
                ),
            )
            for row in ordered
        ),
        names=2,
        name="tuning_trials",
        title=loss,
    )


def _objective_cell(row: Mapping[Any, Any], metric: str, digits: int) -> Cell:
    value = float(row[metric])
    status = str(row["status"])
    strong = bool(row["chosen"]) and direction(metric) is not None
    return Cell(number(value, digits), remark="" if status == DONE else status, strong=strong, numbers=(value,))


def _losses(study: StudyView) -> list[str]:
    """Those that were tuned, in the study's order."""
    tuned = list(dict.fromkeys(str(loss) for loss in study.tuning["loss"]))
    return [loss for loss in study.losses if loss in tuned] + [loss for loss in tuned if loss not in study.losses]
