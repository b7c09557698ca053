"""Tables of what every loss scored: results, the papers' form of them, pooled counts, undefined values, groups."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from unifocal.reporting.study import StudyView
from unifocal.reporting.table import Cell, Table
from unifocal.reporting.tables import (
    SIGNIFICANT,
    count_cell,
    decimals,
    direction,
    heading,
    judged_metrics,
    label_title,
    label_words,
    metric_title,
    number_cell,
    unit_of,
    with_unit,
)
from unifocal.reporting.wording import ABSENT, capital, count, enumeration, interval, number
from unifocal.statistics.result import Analysis
from unifocal.statistics.standing import judge

WORSE, EQUIVALENT = "†", "‡"
PAPER_METRICS = ("dice", "iou", "precision", "recall", "hd95", "nsd")


def results_table(analysis: Analysis, losses: Sequence[str], label: int) -> Table:
    """Every judged metric of every loss: mean, interval, marks of the comparison with the best, undefined values."""
    summary = analysis.summary[analysis.summary["label"] == label]
    metrics = judged_metrics(summary["metric"])
    rows = []
    for metric in metrics:
        chosen = summary[summary["metric"] == metric]
        rows.append((heading(metric, unit_of(chosen, metric)), _summary_cells(analysis, chosen, metric, label, losses)))
    return Table(
        caption=(
            f"Mean over {_patients(summary, analysis)} with its 95 % interval{label_words(analysis, label)}. "
            f"{_legend([cell for _, cells in rows for cell in cells], 'row')}{_left(analysis, losses)}"
            "↑ higher is better, ↓ lower is better."
        ),
        stub="Metric",
        columns=tuple(losses),
        rows=tuple(rows),
        row_metrics=tuple(metrics),
        name="results",
        title=label_title(analysis, label),
        about=(("label", str(label)),),
    )


def paper_table(analysis: Analysis, losses: Sequence[str], label: int, noun: str = "loss") -> Table:
    """The main metrics as papers print them: one row per loss, one column per metric."""
    summary = analysis.summary[analysis.summary["label"] == label]
    wanted = {*PAPER_METRICS, analysis.verdict.metric}
    metrics = [metric for metric in judged_metrics(summary["metric"]) if metric in wanted]
    columns = []
    for metric in metrics:
        chosen = summary[summary["metric"] == metric]
        columns.append(_summary_cells(analysis, chosen, metric, label, losses))
    rows = tuple((loss, tuple(column[place] for column in columns)) for place, loss in enumerate(losses))
    return Table(
        caption=(
            f"Mean over {_patients(summary, analysis)} with its 95 % interval{label_words(analysis, label)}. "
            f"{_legend([cell for column in columns for cell in column], 'column')}{_left(analysis, losses)}"
            "↑ higher is better, ↓ lower is better."
        ),
        stub=capital(noun),
        columns=tuple(heading(metric, unit_of(summary, metric)) for metric in metrics),
        rows=rows,
        name="paper",
        title=label_title(analysis, label),
        about=(("label", str(label)),),
    )


def _patients(summary: pd.DataFrame, analysis: Analysis) -> str:
    summary = _stayed(summary, analysis)
    counts = summary.loc[summary["metric"].isin(judged_metrics(summary["metric"])), "n_patients"]
    if counts.empty:
        return count(0, "patient")
    most = count(int(counts.max()), "patient")
    return most if counts.nunique() == 1 else f"at most {most}, those whose value is defined,"


def _stayed(table: pd.DataFrame, analysis: Analysis) -> pd.DataFrame:
    """Without the losses that left the race: they were scored on other patients."""
    return table[~table["loss"].isin([each.loss for each in analysis.left])]


def _left(analysis: Analysis, losses: Sequence[str]) -> str:
    gone = [each.loss for each in analysis.left if each.loss in losses]
    if not gone:
        return ""
    their = "its" if len(gone) == 1 else "their"
    return f"{enumeration(gone)} left the race: {their} means are over fewer patients, never bold and without marks. "


def _legend(cells: Sequence[Cell], line: str) -> str:
    texts = [cell.text for cell in cells]
    worse, equivalent = (any(mark in text for text in texts) for mark in (WORSE, EQUIVALENT))
    parts = []
    if any(cell.strong for cell in cells):
        parts.append(f"Bold: the best mean of its {line}, which alone does not make it distinguishably better.")
    if worse:
        parts.append(f"{WORSE} distinguishably worse than that best (paired test, Holm-corrected p < {SIGNIFICANT}).")
    if equivalent:
        parts.append(f"{EQUIVALENT} shown to be practically as good as it, within the margin that the method names.")
    if worse or equivalent:
        parts.append("No mark: cannot be told apart from it on these data.")
    return "".join(f"{part} " for part in parts)


def _best(chosen: pd.DataFrame, metric: str) -> str | None:
    """The loss with the best mean; None where fewer than two have one."""
    means = chosen.set_index("loss")["mean"].dropna()
    if len(means) < 2:
        return None
    return str(means.idxmax() if direction(metric) == "higher" else means.idxmin())


def _summary_cells(
    analysis: Analysis, chosen: pd.DataFrame, metric: str, label: int, losses: Sequence[str]
) -> tuple[Cell, ...]:
    best = _best(_stayed(chosen, analysis), metric)
    gone = {each.loss for each in analysis.left}
    digits = decimals(metric, unit_of(chosen, metric), chosen["mean"])
    by_loss = {row["loss"]: row for row in chosen.to_dict("records")}
    highest = by_loss[best]["mean"] if best is not None else math.nan
    marks = marks_against(analysis, best, metric, label)
    cells = []
    for loss in losses:
        row = by_loss.get(loss)
        if row is None:
            cells.append(Cell(ABSENT, numbers=(math.nan,)))
            continue
        undefined = int(row["n_undefined"])
        cells.append(
            Cell(
                text=number(row["mean"], digits) + ("" if loss in gone else marks.get(loss, "")),
                note=interval(row["lower"], row["upper"], digits),
                remark=", ".join(
                    [
                        *([f"{count(int(row['n_patients']), 'patient')}"] if loss in gone else []),
                        *([f"{undefined} undefined"] if undefined else []),
                    ]
                ),
                strong=loss not in gone and row["mean"] == highest,
                numbers=(float(row["mean"]), float(row["lower"]), float(row["upper"])),
            )
        )
    return tuple(cells)


def marks_against(analysis: Analysis, best: str | None, metric: str, label: int) -> dict[str, str]:
    """For each loss that was compared with the best: distinguishably worse, practically equivalent, or neither."""
    verdict, table = analysis.verdict, analysis.comparison
    if best is None:
        return {}
    if (best, metric, label) == (verdict.best, verdict.metric, verdict.label):
        return dict.fromkeys(verdict.equivalent, EQUIVALENT) | dict.fromkeys(verdict.told_apart, WORSE)
    chosen = table[(table["metric"] == metric) & (table["label"] == label)]
    worse, equivalent = judge(chosen, best, 1 if direction(metric) == "higher" else -1)
    return dict.fromkeys(equivalent, EQUIVALENT) | dict.fromkeys(worse, WORSE)


def pooled_table(analysis: Analysis, losses: Sequence[str], label: int) -> Table:
    """Metrics from the elements of all cases together: large lesions weigh most."""
    pooled = analysis.pooled[analysis.pooled["label"] == label]
    metrics = judged_metrics(pooled["metric"])
    gone = {each.loss for each in analysis.left}
    rows = []
    for metric in metrics:
        values = pooled[pooled["metric"] == metric].set_index("loss")["value"].astype(float)
        digits = decimals(metric, "", values)
        finite = values[[loss not in gone for loss in values.index]].dropna()
        best = (finite.max() if direction(metric) == "higher" else finite.min()) if len(finite) > 1 else math.nan
        found = [float(values.get(loss, math.nan)) for loss in losses]
        cells = tuple(
            Cell(number(value, digits), strong=value == best and loss not in gone, numbers=(value,))
            for loss, value in zip(losses, found, strict=True)
        )
        rows.append((heading(metric, ""), cells))
    cases = int(pooled["n_cases"].max()) if len(pooled) else 0
    return Table(
        caption=(
            f"Pooled over {count(cases, 'case')}{label_words(analysis, label)}: each metric from all cases' counts "
            "added up (elements, or lesions for lesion metrics), so large and many-lesioned cases dominate. No "
            f"interval and no test belongs to these figures. {_left(analysis, losses)}".rstrip()
        ),
        stub="Metric, pooled",
        columns=tuple(losses),
        rows=tuple(rows),
        row_metrics=tuple(metrics),
        name="pooled",
        title=label_title(analysis, label),
        about=(("label", str(label)),),
    )


def undefined_table(analysis: Analysis, losses: Sequence[str], label: int) -> Table:
    """How many scores are undefined, and why, for the metrics that have a direction."""
    table = analysis.undefined
    chosen = table[table["label"] == label] if len(table) else pd.DataFrame(columns=["metric"])
    rows, metrics = [], []
    for metric in judged_metrics(chosen["metric"]):
        of_metric = chosen[chosen["metric"] == metric]
        for reason in sorted(of_metric["reason"].unique()):
            found = of_metric[of_metric["reason"] == reason].set_index("loss")
            rows.append((metric_title(metric), (Cell(reason or "no reason given"), *_counts(found, losses))))
            metrics.append(metric)
    return Table(
        caption=(
            f"Scores that are undefined{label_words(analysis, label)}, with their reason: how many, and of how many "
            "patients. They count in no mean; a loss is neither rewarded nor punished for them."
        ),
        stub="Metric",
        columns=("Reason", *losses),
        rows=tuple(rows),
        names=2,
        row_metrics=tuple(metrics),
        name="undefined",
        title=label_title(analysis, label),
        about=(("label", str(label)),),
    )


def _counts(found: pd.DataFrame, losses: Sequence[str]) -> list[Cell]:
    by_loss = found.to_dict("index")
    cells = []
    for loss in losses:
        scores, patients = (int(by_loss.get(loss, {}).get(name, 0)) for name in ("n_scores", "n_patients"))
        cells.append(Cell(f"{scores}", note=f"of {count(patients, 'patient')}" if scores else "", numbers=(scores,)))
    return cells


def category_table(study: StudyView, analysis: Analysis, column: str) -> Table:
    """The primary metric of every loss within each value of one column of `cases.csv`."""
    metric, label = analysis.verdict.metric, analysis.verdict.label
    group_of = study.cases.set_index("case")[column]
    # Under a name of its own: the user's column may be called like one of ours.
    values = study.values(metric, label).assign(_group=lambda table: table["case"].map(group_of))
    by_patient = values.groupby(["loss", "_group", "patient"])["value"].mean()
    means = by_patient.groupby(["loss", "_group"]).mean()
    unit = unit_of(analysis.summary, metric)
    digits = decimals(metric, unit, means)
    sizes = values.groupby("_group")["patient"].nunique().to_dict()
    rows = tuple((group, _group_cells(means, group, study.losses, sizes, digits)) for group in study.categories[column])
    return Table(
        caption=(
            f"{with_unit(metric_title(metric), unit)} by {column}: mean over the patients of each group. "
            f"These groups were not tested; read them as hints. {_left(analysis, study.losses)}".rstrip()
        ),
        stub="Group",
        columns=("Patients", *study.losses),
        rows=rows,
        name="groups",
        title=f"By {column}",
        about=(("column", column),),
    )


def _group_cells(
    means: "pd.Series[float]", group: str, losses: Sequence[str], sizes: Mapping[Any, int], digits: int
) -> tuple[Cell, ...]:
    patients = int(sizes.get(group, 0))
    found = [float(means.get((loss, group), math.nan)) for loss in losses]
    return (
        count_cell(patients),
        *(number_cell(value, digits) for value in found),
    )
