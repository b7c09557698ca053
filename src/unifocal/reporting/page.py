"""The page: everything that the template says, already in words and numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from unifocal.metrics import METRICS
from unifocal.reporting.cautions import cautions
from unifocal.reporting.drawings import Drawing, measure_of
from unifocal.reporting.figure import colours
from unifocal.reporting.method import method_passages
from unifocal.reporting.panels import KEY, CasePanel
from unifocal.reporting.study import StudyView
from unifocal.reporting.tables import (
    category_table,
    compared_metrics,
    comparison_table,
    labels_of,
    pooled_table,
    results_table,
)
from unifocal.reporting.templating import template
from unifocal.reporting.wording import ABSENT, digits_for, interval, number
from unifocal.statistics.result import Analysis


@dataclass(frozen=True)
class RankedLoss:
    """A row of the ranking.

    Attributes:
        loss: Its label.
        mean: In print.
        interval: In print.
        probability: Of being the best, in percent, in print.
        share: The same between 0 and 1, for the bar.
        rank: The mean rank over patients, in print.
        left: Where the interval starts on the common axis, in percent.
        width: How wide it is there.
        centre: Where the mean lies.
    """

    loss: str
    mean: str
    interval: str
    probability: str
    share: float
    rank: str
    left: float
    width: float
    centre: float


def render(
    study: StudyView,
    analysis: Analysis,
    drawings: Mapping[str, Drawing],
    shown: Sequence[CasePanel],
) -> str:
    """The report as one HTML file that loads nothing."""
    losses = study.losses
    labels = labels_of(analysis)
    metrics = compared_metrics(analysis, analysis.verdict.label)
    measure = measure_of(analysis)
    low, high, ranked = ranking(analysis)
    context: dict[str, Any] = {
        "css": files("unifocal.reporting").joinpath("templates/report.css").read_text("utf-8"),
        "name": study.setting("data", "name"),
        "created": study.setting("created"),
        "facts": facts(study, analysis),
        "verdict": analysis.verdict,
        "cautions": cautions(study, analysis),
        "measure": measure,
        "higher": METRICS[measure.metric].direction == "higher" if measure.metric in METRICS else None,
        "axis": (low, high),
        "ranking": ranked,
        "colours": colours(losses),
        "results": [results_table(analysis, losses, label) for label in labels],
        "pooled": [pooled_table(analysis, losses, label) for label in labels],
        "comparisons": [
            (METRICS[metric].title, comparison_table(analysis, metric, analysis.verdict.label)) for metric in metrics
        ],
        "drawings": drawings,
        "panels": shown,
        "key": KEY,
        "categories": [category_table(study, analysis, column) for column in study.categories],
        "failed": study.failed_runs,
        "method": method_passages(study, analysis),
        "environment": environment(study),
        "config": _as_yaml(study.setting("config")),
        "version": study.setting("unifocal"),
        "citations": _citations(study),
    }
    return template("report.html.j2").render(context)


def ranking(analysis: Analysis) -> tuple[str, str, list[RankedLoss]]:
    """The two ends of the common axis in print, and the losses, best first."""
    table = analysis.ranking
    measure = measure_of(analysis)
    ends = [value for name in ("mean", "lower", "upper") for value in table[name].astype(float) if math.isfinite(value)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    room = 0.08 * (high - low) or 0.01
    low, high = low - room, high + room
    digits = digits_for(measure.unit, float(table["mean"].min()) if len(table) else 0.0)

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2) if math.isfinite(value) else 0.0

    rows = []
    for row in table.to_dict("records"):
        mean, lower, upper = (float(row[name]) for name in ("mean", "lower", "upper"))
        share = float(row["probability_best"])
        known = math.isfinite(share)
        width = place(upper) - place(lower) if math.isfinite(upper - lower) else 0.0
        rows.append(
            RankedLoss(
                loss=str(row["loss"]),
                mean=number(mean, digits),
                interval=interval(lower, upper, digits),
                probability=_percent(share),
                share=share if known else 0.0,
                rank=number(float(row["mean_rank"]), 2),
                left=place(lower),
                width=round(width, 2),
                centre=place(mean),
            )
        )
    return number(low, 2), number(high, 2), rows


def _percent(share: float) -> str:
    if not math.isfinite(share):
        return ABSENT
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def facts(study: StudyView, analysis: Analysis) -> list[tuple[str, str]]:
    """The study in numbers."""
    foreground = study.setting("data", "foreground_percent")
    pairs = [
        ("losses", f"{len(study.losses)}"),
        ("patients", f"{study.cases['patient'].nunique():,}"),
        ("images", f"{len(study.cases):,}"),
        ("folds", f"{study.scores['fold'].nunique()}"),
        ("seeds", f"{study.scores['seed'].nunique()}"),
        ("foreground", f"{float(foreground):.2g} %" if foreground is not None else ""),
        ("label", f"{analysis.verdict.label}" if len(labels_of(analysis)) > 1 else ""),
    ]
    return [
        (name.removesuffix("s") if value == "1" and name != "losses" else name, value) for name, value in pairs if value
    ]


def environment(study: StudyView) -> str:
    """Versions, machine and command as plain lines."""
    lines = [f"unifocal {study.setting('unifocal') or ABSENT}"]
    for section in ("versions", "machine"):
        values = study.setting(section)
        if isinstance(values, Mapping):
            lines += [f"{key} {value}" for key, value in values.items()]
    command = study.setting("command")
    return "\n".join([*lines, *(["", f"$ {command}"] if command else [])])


def _as_yaml(value: Any) -> str:
    if not value:
        return ""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=None, width=88)


def _citations(study: StudyView) -> list[str]:
    entries = study.setting("losses")
    given = [
        str(entry["citation"])
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping) and entry.get("citation")
    ]
    return list(dict.fromkeys(given))
