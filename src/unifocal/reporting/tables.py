"""What the tables share: titles, units, decimals, cells of numbers."""

import math
from collections.abc import Iterable

import pandas as pd

from unifocal.metrics import METRICS
from unifocal.reporting.table import Cell
from unifocal.reporting.wording import ABSENT, digits_for, in_print, number, p_value
from unifocal.statistics.result import Analysis

SIGNIFICANT = 0.05
ARROWS = {"higher": "↑", "lower": "↓"}


def metric_title(metric: str) -> str:
    """A metric's name in print; the plain name of one that is not in the catalogue."""
    return METRICS[metric].title if metric in METRICS else metric


def direction(metric: str) -> str | None:
    """Whether `higher` or `lower` is better; None for a count or an area."""
    return METRICS[metric].direction if metric in METRICS else None


def heading(metric: str, unit: str) -> str:
    """A metric's title with its unit and an arrow towards the better values."""
    title = with_unit(metric_title(metric), unit)
    arrow = ARROWS.get(str(direction(metric)))
    return f"{title}\N{NO-BREAK SPACE}{arrow}" if arrow else title


def with_unit(title: str, unit: str) -> str:
    """A title with its unit in brackets, if it has one."""
    return f"{title} ({in_print(unit)})" if unit else title


def judged_metrics(metrics: Iterable[str]) -> list[str]:
    """Those of the metrics that have a better direction, in the catalogue's order."""
    given = set(metrics)
    return [name for name in METRICS if name in given and direction(name) is not None]


def labels_of(analysis: Analysis) -> list[int]:
    """The labels that were scored, the verdict's first."""
    first = analysis.verdict.label
    return sorted(analysis.summary["label"].unique(), key=lambda label: (label != first, label))


def label_words(analysis: Analysis, label: int) -> str:
    """`, label 2`; nothing where there is one label only."""
    return f", label {label}" if len(labels_of(analysis)) > 1 else ""


def label_title(analysis: Analysis, label: int) -> str:
    """`Label 2`; nothing where there is one label only."""
    return f"Label {label}" if len(labels_of(analysis)) > 1 else ""


def unit_of(table: pd.DataFrame, metric: str) -> str:
    """The unit in which a metric's rows are given."""
    units = [str(unit) for unit in table.loc[table["metric"] == metric, "unit"].dropna().unique()]
    return " or ".join(unit for unit in units if unit)


def number_cell(value: float, digits: int) -> Cell:
    """A number alone."""
    return Cell(number(value, digits), numbers=(value,))


def count_cell(value: float) -> Cell:
    """A whole number; a dash where there is none."""
    if not math.isfinite(value):
        return Cell(ABSENT, numbers=(math.nan,))
    return Cell(f"{int(value):,}", numbers=(int(value),))


def p_cell(value: float, *, strong: bool = False) -> Cell:
    """A p value."""
    return Cell(p_value(value), strong=strong, numbers=(float(value),))


def decimals(metric: str, unit: str, values: Iterable[float]) -> int:
    """How many decimals values of a metric need beside each other."""
    finite = [abs(value) for value in values if math.isfinite(value)]
    if not finite:
        return digits_for(unit, 0.0)
    is_small_error = not unit and direction(metric) == "lower" and max(finite) < 0.1
    return 4 if is_small_error else digits_for(unit, min(finite))
