"""What the verbs print at their end, on standard output."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from unifocal.metrics import METRICS
from unifocal.statistics import Analysis

if TYPE_CHECKING:
    from unifocal.experiments.conclude import StudyOutcome

_SHORT = ("dice", "iou", "precision", "recall", "hd95", "assd", "nsd", "lesion_recall", "lesion_precision", "lesion_f1")
_FEW_LABELS = 3
_SMALL_SHARE = 1.0


def show_study(outcome: "StudyOutcome") -> None:
    """The ranking (of one method alone its scores), the verdict, what failed, and where the results are."""
    console = Console(highlight=False)
    if outcome.noun == "method" and len(outcome.analysis.ranking) == 1:
        show_summary(console, outcome.analysis)
    else:
        show_analysis(console, outcome.analysis, noun=outcome.noun)
    if outcome.failed:
        console.print(f"[bold]{len(outcome.failed)} runs failed[/bold]; the same command tries them again:")
        for record in outcome.failed:
            text = f"  {record['loss']}, fold {record['fold']}, seed {record['seed']}: {record['reason']}"
            console.print(text, markup=False, soft_wrap=True)
    places = {"Report": outcome.report, "Scores": outcome.folder / "scores.csv"}
    show_places(console, places | {"Summary": outcome.folder / "summary.csv"})


def show_analysis(console: Console, analysis: Analysis, *, noun: str = "loss") -> None:
    """The ranking and the verdict."""
    verdict = analysis.verdict
    several = analysis.summary["label"].nunique() > 1
    measured = f"{verdict.metric} of label {verdict.label}" if several else verdict.metric
    table = Table(title=f"{measured}, mean over patients", title_justify="left", title_style="bold")
    table.add_column(noun)
    for heading in ("mean", "95 % interval", "probability of being best"):
        table.add_column(heading, justify="right")
    for row in analysis.ranking.to_dict("records"):
        table.add_row(
            Text(str(row["loss"])),
            _number(row["mean"]),
            _interval(row["lower"], row["upper"]),
            f"{row['probability_best']:.0%}",
        )
    console.print(table)
    console.print(verdict.sentence, style="bold", markup=False)


def show_times(folder: Path) -> None:
    """Where a study's time went: the stages that took a share worth knowing, and the others together."""
    from unifocal.reporting.time_spent import by_time, read_time_spent

    stages = [each for each in by_time(read_time_spent(folder / "profile.csv")) if each.share is not None]
    rows = [(each.stage, each.place, each.seconds, each.share or 0.0) for each in stages]
    small = [row for row in rows if row[3] < _SMALL_SHARE]
    table = Table(title="where the time went, all processes together", title_justify="left", title_style="bold")
    for heading in ("stage", "where"):
        table.add_column(heading)
    for heading in ("seconds", "share"):
        table.add_column(heading, justify="right")
    for name, place, seconds, share in rows[: len(rows) - len(small)]:
        table.add_row(Text(name), place, f"{seconds:.1f}", f"{share:.0f} %")
    if small:
        seconds, share = sum(row[2] for row in small), sum(row[3] for row in small)
        table.add_row(f"{len(small)} others", "", f"{seconds:.1f}", f"{share:.0f} %")
    console = Console(highlight=False)
    console.print(table)
    show_places(console, {"Profile": folder / "profile.csv"})


def show_summary(console: Console, analysis: Analysis) -> None:
    """Mean and interval of one method's main metrics; with many labels, of the verdict's metric alone."""
    rows = analysis.summary
    labels = rows["label"].nunique()
    metrics = (*_SHORT, analysis.verdict.metric) if labels <= _FEW_LABELS else (analysis.verdict.metric,)
    table = Table(title="mean over patients", title_justify="left", title_style="bold")
    for heading in ("label", "metric"):
        table.add_column(heading)
    for heading in ("mean", "95 % interval", "cases", "undefined"):
        table.add_column(heading, justify="right")
    for row in rows[rows["metric"].isin(metrics)].to_dict("records"):
        name, unit = METRICS[str(row["metric"])].name, str(row["unit"])
        table.add_row(
            str(row["label"]),
            f"{name} ({unit})" if unit else name,
            _number(row["mean"]),
            _interval(row["lower"], row["upper"]),
            str(row["n_cases"]),
            str(row["n_undefined"]),
        )
    console.print(table)


def show_places(console: Console, places: dict[str, Path]) -> None:
    """Where results are, one per line and never wrapped."""
    for name, path in places.items():
        console.print(f"{name}: {path}", soft_wrap=True, markup=False)


def _interval(lower: float, upper: float) -> str:
    return "-" if pd.isna(lower) else f"{_number(lower)} to {_number(upper)}"


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.3f}"
