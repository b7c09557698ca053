"""What nested tuning tried and chose inside each fold, as `tuning.csv` tells it."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unifocal.metrics import METRICS
from unifocal.problems import Problem
from unifocal.reporting.reading import as_numbers, as_truth, read_table
from unifocal.reporting.tables import decimals
from unifocal.reporting.wording import MINUS

COLUMNS = ("loss", "fold", "trial", "status", "values", "chosen", "default")
NO_OBJECTIVE = frozenset({*COLUMNS, "reason", "epochs", "seconds", "pareto", "best"})


def read_tuned(path: Path, problems: list[Problem]) -> pd.DataFrame:
    """All trials: `loss, fold, trial, status, values (a mapping), chosen, default` and a column per objective.

    Empty where there is no file.
    """
    if not path.is_file():
        return pd.DataFrame()
    known = len(problems)
    table = read_table(path, COLUMNS, problems)
    if len(problems) == known:
        table = as_numbers(path, table, problems, whole=("fold", "trial"), real=objectives_in(table))
    if len(problems) > known:
        return pd.DataFrame()
    return table.assign(
        values=table["values"].map(values_in),
        chosen=as_truth(table["chosen"]),
        default=as_truth(table["default"]),
    )


def objectives_in(table: pd.DataFrame) -> tuple[str, ...]:
    """The metrics by which trials were judged, the first first."""
    return tuple(str(name) for name in table.columns if name not in NO_OBJECTIVE)


def values_in(text: str) -> Mapping[str, Any]:
    """A trial's settings; what is no JSON mapping is shown as it is."""
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if isinstance(values, dict):
        return values
    return {"values": text} if text else {}


def digits_of(metric: str, values: pd.Series) -> int:
    """How many decimals an objective's values need beside each other."""
    unit = METRICS[metric].unit if metric in METRICS else ""
    return decimals(metric, unit, values.dropna())


def said(value: Any) -> str:
    """A setting's value in print, with four digits where it is a fraction."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return (f"{value:g}" if isinstance(value, int) else f"{value:.4g}").replace("-", MINUS)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(said, value))}]"
    return str(value)


def settings_in_words(values: Mapping[str, Any]) -> str:
    """`gamma = 0.3, epochs = 20`."""
    return ", ".join(f"{name} = {said(value)}" for name, value in values.items())


def chosen_and_given(trials: pd.DataFrame) -> list[tuple[str, int, Mapping[str, Any], Mapping[str, Any]]]:
    """Of every loss and fold: the trial that was chosen, and the one with the settings as given.

    Left out where either is not there.
    """
    found = []
    for loss, fold in trials[["loss", "fold"]].drop_duplicates().itertuples(index=False):
        mine = trials[(trials["loss"] == loss) & (trials["fold"] == fold)]
        chosen, given = mine[mine["chosen"]], mine[mine["default"]]
        if len(chosen) and len(given):
            found.append((str(loss), int(fold), _first(chosen), _first(given)))
    return found


def _first(rows: pd.DataFrame) -> Mapping[str, Any]:
    return {str(name): value for name, value in rows.iloc[0].items()}


def names_of(values: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every setting that occurs, in the order of first mention."""
    return list(dict.fromkeys(name for each in values for name in each))
