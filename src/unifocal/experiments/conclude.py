"""What follows from the scores of a study or an evaluation: the analysis, its tables, the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

import pandas as pd

from unifocal.clock import stage
from unifocal.experiments.folder import write_table
from unifocal.experiments.race import read_departures
from unifocal.metrics import METRICS
from unifocal.problems import InputError, Problem, bad_input
from unifocal.reporting import write_report
from unifocal.statistics import Analysis, analyse
from unifocal.statistics.result import Departure

Noun = Literal["loss", "method"]


@dataclass(frozen=True)
class StudyOutcome:
    """What a study or an evaluation came to.

    Attributes:
        folder: Its folder.
        report: Its `report.html`.
        analysis: The verdict and its tables.
        failed: The records of failed runs.
        noun: What was compared.
    """

    folder: Path
    report: Path
    analysis: Analysis
    failed: tuple[dict[str, Any], ...] = ()
    noun: Noun = "loss"


@dataclass(frozen=True)
class Question:
    """What the scores are asked.

    Attributes:
        metric: What the verdict rests on.
        label: The label that it rests on; None: the rarest.
        resamples: Of the bootstrap.
        order: What was compared, in the order of tables.
        margin: The largest difference of means that counts as none; None: the metric's own.
        noun: What was compared.
    """

    metric: str
    label: int | None
    resamples: int
    order: tuple[str, ...]
    margin: float | None
    noun: Noun

    def answer(self, scores: pd.DataFrame, left: Sequence[Departure] = ()) -> Analysis:
        """Analyse scores.

        Args:
            scores: All of them.
            left: Who left the race.

        Raises:
            InputError: If the scores lack the metric or the label.
        """
        return analyse(
            scores,
            metric=self.metric,
            label=self.label,
            resamples=self.resamples,
            order=self.order,
            margin=self.margin,
            noun=self.noun,
            left=left,
        )


def conclude(folder: Path, question: Question, *, failed: Sequence[dict[str, Any]] = ()) -> StudyOutcome:
    """Analyse a folder's `scores.csv` and write what follows from it.

    Args:
        folder: Holds `study.yaml`, `cases.csv` and `scores.csv`; of a race also `race.csv`.
        question: What the scores are asked.
        failed: The records of failed runs.

    Raises:
        InputError: If the scores lack the metric or the label.
    """
    path = folder / "scores.csv"
    try:
        with stage("analysis"):
            analysis = question.answer(read_scores(path), read_departures(folder))
    except InputError as error:
        named = [replace(each, where=str(path)) if each.where == "the scores" else each for each in error.problems]
        raise InputError(named) from None
    return write_conclusions(folder, analysis, question.noun, failed)


def write_conclusions(
    folder: Path, analysis: Analysis, noun: Noun, failed: Sequence[dict[str, Any]] = ()
) -> StudyOutcome:
    """Write `summary.csv`, `pooled.csv`, `comparison.csv` and the report."""
    for name in ("summary", "pooled", "comparison"):
        write_table(folder / f"{name}.csv", getattr(analysis, name))
    return StudyOutcome(folder, write_report(folder, analysis), analysis, tuple(failed), noun)


def read_scores(source: Path | IO[str]) -> pd.DataFrame:
    """A `scores.csv`. A case may be called "NA": only an empty value is a missing one.

    Raises:
        InputError: If it is no table.
    """
    text = dict.fromkeys(("loss", "case", "patient", "metric", "unit", "reason"), str)
    try:
        return pd.read_csv(source, dtype=text, keep_default_na=False, na_values={"value": [""]})
    except ValueError as error:
        what = f"is damaged: {str(error).strip()}"
        raise bad_input("the scores", what, "Run the command that wrote the folder again.") from None


def metric_problems(metric: str, where: str, *, with_probabilities: bool = True) -> list[Problem]:
    """What is wrong with a metric that a verdict is to rest on."""
    known = {name: each for name, each in METRICS.items() if each.direction is not None}
    usable = [name for name, each in known.items() if with_probabilities or each.family != "probability"]
    if metric in usable:
        return []
    if metric in known:
        what, remedy = f"{metric} needs probabilities", f"Give --probabilities, or one of: {', '.join(usable)}."
    else:
        what, remedy = f"{metric!r} is no metric that a verdict can rest on", f"Known: {', '.join(usable)}."
    return [Problem(where, what, remedy)]


def noun_of(settings: Mapping[str, Any]) -> Noun:
    """What a folder's `study.yaml` compares."""
    return "method" if settings.get("kind") == "evaluation" else "loss"
