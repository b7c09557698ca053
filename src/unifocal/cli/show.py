"""What the verbs print at their end, on standard output."""

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from unifocal.experiments.compare import StudyOutcome
from unifocal.statistics import Analysis


def show_study(outcome: StudyOutcome) -> None:
    """The verdict, the ranking, what failed, and where the results are."""
    console = Console(highlight=False)
    show_analysis(console, outcome.analysis)
    if outcome.failed:
        console.print(f"[bold]{len(outcome.failed)} runs failed[/bold]; the same command tries them again:")
        for record in outcome.failed:
            text = f"  {record['loss']}, fold {record['fold']}, seed {record['seed']}: {record['reason']}"
            console.print(text, markup=False, soft_wrap=True)
    show_places(console, {"Report": outcome.report, "Scores": outcome.folder / "scores.csv"})


def show_analysis(console: Console, analysis: Analysis) -> None:
    """The ranking and the verdict."""
    verdict = analysis.verdict
    table = Table(title=f"{verdict.metric}, mean over patients", title_justify="left", title_style="bold")
    table.add_column("loss")
    for heading in ("mean", "95 % interval", "probability of being best"):
        table.add_column(heading, justify="right")
    for row in analysis.ranking.to_dict("records"):
        table.add_row(
            Text(str(row["loss"])),
            _number(row["mean"]),
            f"{_number(row['lower'])} to {_number(row['upper'])}",
            f"{row['probability_best']:.0%}",
        )
    console.print(table)
    console.print(verdict.sentence, style="bold", markup=False)


def show_places(console: Console, places: dict[str, Path]) -> None:
    """Where results are, one per line and never wrapped."""
    for name, path in places.items():
        console.print(f"{name}: {path}", soft_wrap=True, markup=False)


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.3f}"


def show_summary(console: Console, analysis: Analysis) -> None:
    """Mean and interval of every metric with a direction, per label."""
    table = Table("label", "metric", "unit", title="mean over patients", title_justify="left", title_style="bold")
    for heading in ("mean", "95 % interval", "cases", "undefined"):
        table.add_column(heading, justify="right")
    for row in analysis.summary.to_dict("records"):
        table.add_row(
            str(row["label"]),
            str(row["metric"]),
            str(row["unit"]),
            _number(row["mean"]),
            f"{_number(row['lower'])} to {_number(row['upper'])}",
            str(row["n_cases"]),
            str(row["n_undefined"]),
        )
    console.print(table)
