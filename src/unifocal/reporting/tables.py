"""The tables of a report, built from the analysis."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from unifocal.metrics import METRICS
from unifocal.reporting.study import StudyView
from unifocal.reporting.table import Cell, Table
from unifocal.reporting.wording import count, digits_for, enumeration, interval, number, p_value, signed
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
    title = " ".join([metric_title(metric), *([f"({unit})"] if unit else [])])
    arrow = ARROWS.get(str(direction(metric)))
    return f"{title}\N{NO-BREAK SPACE}{arrow}" if arrow else title


def judged_metrics(metrics: Iterable[str]) -> list[str]:
    """Those of the metrics that have a better direction, in the catalogue's order."""
    given = set(metrics)
    return [name for name in METRICS if name in given and direction(name) is not None]


def labels_of(analysis: Analysis) -> list[int]:
    """The labels that were scored, the verdict's first."""
    first = analysis.verdict.label
    return sorted(analysis.summary["label"].unique(), key=lambda label: (label != first, label))


def _best(values: Sequence[float], metric: str) -> float:
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return math.nan
    return max(finite) if direction(metric) == "higher" else min(finite)


def _label_words(analysis: Analysis, label: int) -> str:
    return f", label {label}" if len(labels_of(analysis)) > 1 else ""


def _row_of(table: pd.DataFrame, loss: str) -> dict[Any, Any] | None:
    chosen = table[table["loss"] == loss]
    return None if chosen.empty else chosen.iloc[0].to_dict()


def results_table(analysis: Analysis, losses: Sequence[str], label: int) -> Table:
    """Every judged metric of every loss: mean, interval and number of undefined values."""
    summary = analysis.summary[analysis.summary["label"] == label]
    patients = int(summary["n_patients"].max()) if len(summary) else 0
    rows = [
        (
            heading(metric, _unit(summary, metric)),
            _summary_cells(summary[summary["metric"] == metric], metric, losses),
        )
        for metric in judged_metrics(summary["metric"])
    ]
    return Table(
        caption=(
            f"Mean over {count(patients, 'patient')} with its 95 % interval{_label_words(analysis, label)}. Bold: "
            "the best mean of its row, which alone does not make it distinguishably better. "
            "↑ higher is better, ↓ lower is better."
        ),
        stub="Metric",
        columns=tuple(losses),
        rows=tuple(rows),
    )


def _unit(table: pd.DataFrame, metric: str) -> str:
    units = [str(unit) for unit in table.loc[table["metric"] == metric, "unit"].dropna().unique()]
    return " or ".join(unit for unit in units if unit)


def _summary_cells(chosen: pd.DataFrame, metric: str, losses: Sequence[str]) -> tuple[Cell, ...]:
    best = _best(list(chosen["mean"]), metric)
    digits = digits_for(_unit(chosen, metric), float(chosen["mean"].min()))
    cells = []
    for loss in losses:
        row = _row_of(chosen, loss)
        if row is None:
            cells.append(Cell(text=number(math.nan, digits)))
            continue
        undefined = int(row["n_undefined"])
        cells.append(
            Cell(
                text=number(row["mean"], digits),
                note=interval(row["lower"], row["upper"], digits),
                remark=f"{undefined} undefined" if undefined else "",
                strong=row["mean"] == best,
            )
        )
    return tuple(cells)


def pooled_table(analysis: Analysis, losses: Sequence[str], label: int) -> Table:
    """Overlap from the pixels of all cases together: large lesions weigh most."""
    pooled = analysis.pooled[analysis.pooled["label"] == label]
    rows = []
    for metric in judged_metrics(pooled["metric"]):
        chosen = pooled[pooled["metric"] == metric]
        digits = digits_for("", float(chosen["value"].min()))
        best = _best(list(chosen["value"]), metric)
        values = [(_row_of(chosen, loss) or {"value": math.nan})["value"] for loss in losses]
        cells = tuple(Cell(number(value, digits), strong=value == best) for value in values)
        rows.append((heading(metric, ""), cells))
    cases = int(pooled["n_cases"].max()) if len(pooled) else 0
    return Table(
        caption=(
            f"Pooled pixels of {count(cases, 'case')}{_label_words(analysis, label)}: the metric of all cases' pixels "
            "taken as one large image, so large lesions dominate. No interval and no test belongs to these figures."
        ),
        stub="Pooled pixels",
        columns=tuple(losses),
        rows=tuple(rows),
    )


def comparison_table(analysis: Analysis, metric: str, label: int) -> Table:
    """Every pair of losses in one metric."""
    table = analysis.comparison
    chosen = table[(table["metric"] == metric) & (table["label"] == label)]
    unit = _unit(analysis.summary, metric)
    digits = digits_for(unit, 0.0)
    rows = [(str(row["loss_a"]), _pair_cells(row, digits)) for row in chosen.to_dict("records")]
    tests = enumeration([str(test) for test in chosen["test"].dropna().unique()])
    better = {"higher": "above", "lower": "below"}.get(str(direction(metric)), "away from")
    return Table(
        caption=(
            f"{metric_title(metric)}{_label_words(analysis, label)}: A minus B over patients with its 95 % interval "
            f"({better} zero: A is better). p: {tests or 'not tested'}. p (Holm): corrected for the number of pairs, "
            "bold below 0.05. p (rank sum): the unpaired, uncorrected test that many papers report."
        ),
        stub="A",
        columns=("B", _with_unit("Difference", unit), "p", "p (Holm)", "Effect size", "p (rank sum)", "Patients"),
        rows=tuple(rows),
        names=2,
    )


def _pair_cells(row: Mapping[Any, Any], digits: int) -> tuple[Cell, ...]:
    significant = bool(row["p_adjusted"] < SIGNIFICANT)
    return (
        Cell(str(row["loss_b"])),
        Cell(
            signed(row["difference"], digits),
            note=interval(row["lower"], row["upper"], digits),
            strong=significant,
        ),
        Cell(p_value(row["p"])),
        Cell(p_value(row["p_adjusted"]), strong=significant),
        Cell(signed(row["effect_size"], 2)),
        Cell(p_value(row.get("p_rank_sum", math.nan))),
        Cell(str(int(row["n_patients"]))),
    )


def _with_unit(title: str, unit: str) -> str:
    return f"{title} ({unit})" if unit else title


def compared_metrics(analysis: Analysis, label: int) -> list[str]:
    """The metrics in which losses were compared, the verdict's first."""
    table = analysis.comparison
    metrics = judged_metrics(table.loc[table["label"] == label, "metric"])
    return sorted(metrics, key=lambda metric: metric != analysis.verdict.metric)


def category_table(study: StudyView, analysis: Analysis, column: str) -> Table:
    """The primary metric of every loss within each value of one column of `cases.csv`."""
    metric, label = analysis.verdict.metric, analysis.verdict.label
    group_of = study.cases.set_index("case")[column]
    # Under a name of its own: the user's column may be called like one of ours.
    values = study.values(metric, label).assign(_group=lambda table: table["case"].map(group_of))
    by_patient = values.groupby(["loss", "_group", "patient"])["value"].mean()
    means = by_patient.groupby(["loss", "_group"]).mean()
    unit = _unit(analysis.summary, metric)
    digits = digits_for(unit, 0.0)
    categories = study.categories[column]
    sizes = [
        f"{category} (n = {values.loc[values['_group'] == category, 'patient'].nunique()})" for category in categories
    ]
    rows = []
    for loss in study.losses:
        found = [float(means.get((loss, category), math.nan)) for category in categories]
        rows.append((loss, tuple(Cell(number(value, digits)) for value in found)))
    return Table(
        caption=(
            f"{_with_unit(metric_title(metric), unit)} by {column}: mean over the n patients of each group. "
            "These groups were not tested; read them as hints."
        ),
        stub="Loss",
        columns=tuple(sizes),
        rows=tuple(rows),
    )
