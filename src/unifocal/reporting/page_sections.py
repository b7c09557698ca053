"""The page's middle: tables and figures, each where a reader looks for them; and every metric's definition."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unifocal.metrics import METRICS
from unifocal.metrics.definitions import Metric
from unifocal.reporting.drawn import Drawing
from unifocal.reporting.sections import TableSection
from unifocal.reporting.study import StudyView
from unifocal.statistics.result import Analysis

RANKING_TABLES = ("omnibus", "stability")
RANKING_DRAWINGS = "ranking"
# Anchor, title, the same short; the tables and the figures in it.
LAYOUT = (
    ("metrics", "All metrics", "Metrics", ("results", "undefined", "pooled"), "scores"),
    ("comparison", "Pairwise comparison", "Comparison", ("comparison", "variance", "power"), ""),
    ("agreement", "Predicted against true size", "Size", ("agreement",), "agreement"),
    ("probabilities", "Probabilities", "Probabilities", (), "probabilities"),
    ("groups", "Groups of cases", "Groups", ("groups",), ""),
    ("race", "The race", "Race", ("race",), "race"),
    ("tuning", "Tuning inside each fold", "Tuning", ("tuned", "gain", "trials"), "tuning"),
    ("training", "Training", "Training", ("notes",), "training"),
    ("failed", "Failed runs", "Failed runs", ("failed",), ""),
    ("time", "Where the time went", "Time", ("time",), ""),
    ("further", "Further tables", "Further tables", (), ""),
)


@dataclass(frozen=True)
class PageSection:
    """A part of the page.

    Attributes:
        id: Its anchor.
        title: Its heading.
        short: Its name in the navigation.
        tables: Those of the report that stand here.
        drawings: Likewise; those for files alone are left out.
        instead: What to say where there is nothing.
    """

    id: str
    title: str
    short: str
    tables: tuple[TableSection, ...]
    drawings: tuple[Drawing, ...]
    instead: str = ""


@dataclass(frozen=True)
class Definition:
    """What a metric means, in words: a sentence, and terms with their meaning."""

    key: str
    title: str
    sentence: str
    entries: tuple[tuple[str, str], ...]


def page_sections(
    study: StudyView, tables: Sequence[TableSection], drawings: Mapping[str, Drawing]
) -> list[PageSection]:
    """All sections that have a table or a figure; a table of an unknown kind stands in the last."""
    placed = {name for _, _, _, names, _ in LAYOUT for name in names} | set(RANKING_TABLES)
    found = []
    for anchor, title, short, names, figures in LAYOUT:
        mine = tuple(part for part in tables if part.id in names)
        if anchor == "further":
            mine = tuple(part for part in tables if part.id not in placed)
        shown = drawings_of(drawings, figures)
        instead = ""
        if anchor == "comparison" and not any(part.id == "comparison" for part in mine):
            what = f"There is only one {study.noun}, so there is nothing to compare."
            instead = what if len(study.losses) == 1 else f"No two {study.nouns} could be compared."
        if anchor == "race" and not mine and study.setting("config", "race"):
            instead = "No loss was clearly worse before the end, so nobody left and every run was done."
        if mine or shown or instead:
            found.append(PageSection(anchor, title, short, mine, shown, instead))
    return found


def drawings_of(drawings: Mapping[str, Drawing], section: str) -> tuple[Drawing, ...]:
    """The figures of a section that have parts for the page."""
    return tuple(each for each in drawings.values() if section and each.section == section and each.parts)


def definitions(analysis: Analysis) -> list[Definition]:
    """Every metric that the analysis names, in the catalogue's order."""
    return definitions_of({*analysis.summary["metric"], *analysis.pooled["metric"], analysis.verdict.metric})


def definitions_of(named: Iterable[str]) -> list[Definition]:
    """Those metrics, in the catalogue's order; one that is not in it is left out."""
    wanted = set(named)
    return [_definition(metric) for name, metric in METRICS.items() if name in wanted]


def _definition(metric: Metric) -> Definition:
    unit = {"mm": "mm", "mm2": "mm²", "ml": "ml"}.get(metric.unit, metric.unit)
    spaced = f"{unit}; px where the spacing is not known" if metric.unit in ("mm", "mm2", "ml") else unit
    better = {"higher": "higher", "lower": "lower"}.get(str(metric.direction), "neither: a number to know, not a score")
    margin = "" if metric.margin is None else f"a difference of at most {metric.margin:g} (unless another is given)"
    entries = (
        ("Unit", spaced or "none"),
        ("Better", better),
        ("Range", _range_words(*metric.range)),
        ("Empty masks", metric.empty_policy or "the formula holds"),
        ("Practical equivalence", margin),
        ("Source", metric.source),
        ("In the tables", metric.name),
    )
    return Definition(metric.name, metric.title, metric.definition, tuple(entry for entry in entries if entry[1]))


def _range_words(low: float, high: float) -> str:
    if math.isfinite(high):
        return f"{low:g} to {high:g}".replace("-", "−")
    return f"{low:g} or more" if math.isfinite(low) else "any number"
