"""A search as tables: the chosen settings, every trial, what mattered."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

from unifocal.reporting.search import TuningView
from unifocal.reporting.table import Cell, Table
from unifocal.reporting.tables import heading
from unifocal.reporting.tuned import digits_of, said
from unifocal.reporting.wording import ABSENT, duration, number

SEARCH_TABLES = ("chosen", "trials", "importance")


def search_tables(view: TuningView) -> dict[str, Table]:
    """Every table that the search has the numbers for, by name."""
    tables = (_chosen(view), _trials(view), _importance(view))
    return {table.name: table for table in tables if table.rows}


def _digits(view: TuningView, metric: str) -> int:
    return digits_of(metric, view.trials[metric])


def _chosen(view: TuningView) -> Table:
    given = view.trials[view.trials["trial"] == 0].to_dict("records")
    chosen = view.chosen.to_dict("records")
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for dimension in view.space:
        as_given = _text(given[0][dimension.name]) if given else said(dimension.default)
        found = Cell(_text(chosen[0][dimension.name]), strong=True) if chosen else Cell(ABSENT)
        rows.append((dimension.name, (Cell(dimension.range), Cell(as_given), found)))
    for metric in view.objectives:
        digits = _digits(view, metric)
        cells = [Cell(number(float(row[0][metric]), digits) if row else ABSENT) for row in (given, chosen)]
        rows.append((f"{heading(metric, '')}, inner folds", (Cell(""), *cells)))
    return Table(
        caption="What was searched, what was given (trial 0), and what the trial that was chosen had.",
        stub="Setting",
        columns=("Searched", "As given", "Chosen"),
        rows=tuple(rows),
        names=2,
        name="chosen",
    )


def _text(value: str) -> str:
    """A value of `trials.csv` in print: four digits where it is a fraction."""
    try:
        found = float(value)
    except ValueError:
        return value or "none"
    return said(int(found)) if found.is_integer() and "." not in value else said(found)


def _trials(view: TuningView) -> Table:
    digits = {metric: _digits(view, metric) for metric in view.objectives}
    has_front = len(view.objectives) > 1
    return Table(
        caption=(
            "Every trial, in order. Bold: chosen."
            + (" *: beaten by none in all objectives at once." if has_front else "")
            + " Trial 0 has the settings as given. A trial that failed or was stopped early counts as worst."
        ),
        stub="Trial",
        columns=(
            "Status",
            *(dimension.name for dimension in view.space),
            *(heading(metric, "") for metric in view.objectives),
            "Time",
        ),
        rows=tuple(
            (
                f"{row['trial']}{' *' if has_front and row['pareto'] else ''}",
                (
                    Cell(_status(row["status"], row["reason"])),
                    *(Cell(_text(row[each.name]), strong=row["best"]) for each in view.space),
                    *(_value(row, metric, digits[metric]) for metric in view.objectives),
                    Cell(duration(row["seconds"]) or ABSENT, numbers=(row["seconds"],)),
                ),
            )
            for row in view.trials.to_dict("records")
        ),
        names=2,
        name="trials",
    )


def _status(status: str, reason: str) -> str:
    return reason if reason.startswith(status) else ": ".join(part for part in (status, reason) if part)


def _value(row: Mapping[Hashable, Any], metric: str, digits: int) -> Cell:
    value = float(row[metric])
    return Cell(number(value, digits), strong=bool(row["best"]), numbers=(value,))


def _importance(view: TuningView) -> Table:
    ordered = view.importance.sort_values("importance", ascending=False, kind="stable", na_position="last")
    return Table(
        caption="How much of the objective's variation over the trials each setting explains, between 0 and 1.",
        stub="Setting",
        columns=("Importance", "Method"),
        rows=tuple(
            (
                str(row["dimension"]),
                (
                    Cell(number(row["importance"], 3), numbers=(row["importance"],)),
                    Cell(str(row["method"])),
                ),
            )
            for row in ordered.to_dict("records")
            if row["dimension"] or not math.isnan(row["importance"])
        ),
        name="importance",
    )
