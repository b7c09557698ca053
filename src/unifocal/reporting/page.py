"""The page: everything that the template says, already in words and numbers."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import yaml

from unifocal.metrics import METRICS
from unifocal.reporting.cautions import cautions
from unifocal.reporting.drawings import measure_of
from unifocal.reporting.drawn import Drawing
from unifocal.reporting.figure import colours
from unifocal.reporting.method import method_passages
from unifocal.reporting.page_ranking import ranking
from unifocal.reporting.page_sections import (
    RANKING_DRAWINGS,
    RANKING_TABLES,
    definitions,
    drawings_of,
    page_sections,
)
from unifocal.reporting.panels import KEY, CasePanel
from unifocal.reporting.search import TuningView
from unifocal.reporting.sections import table_sections
from unifocal.reporting.study import StudyView
from unifocal.reporting.tables import labels_of
from unifocal.reporting.templating import template
from unifocal.reporting.viewer import PAGE_LIMIT, gather, scored_only, worst_first
from unifocal.reporting.wording import ABSENT, digits_for, number
from unifocal.statistics.result import Analysis

SCRIPTS = ("page.js", "viewer_data.js", "viewer_paint.js", "viewer.js", "cases.js")
STYLES = ("report.css", "cases.css")
# No name can contain it: in every name `<` is escaped.
DATA_PLACE = "<!-- data -->"
STATIC_CASES = 300


def render(
    study: StudyView,
    analysis: Analysis,
    drawings: Mapping[str, Drawing],
    shown: Sequence[CasePanel],
    limit: int = PAGE_LIMIT,
) -> str:
    """The report as one HTML file that loads nothing.

    Args:
        study: The study.
        analysis: Of its scores.
        drawings: The figures, by name.
        shown: The example cases.
        limit: How many characters the page may have; what is left of it goes to pictures of the cases.
    """
    page = template("report.html.j2").render(_context(study, analysis, drawings, shown))
    before, _, after = page.partition(DATA_PLACE)
    data = gather(scored_only(study), analysis, limit - len(page))
    scripts = [("case-index", data.index), *((f"case-{number}", text) for number, text in data.cases)]
    return "".join(
        [before, *(f'<script type="application/json" id="{name}">{text}</script>\n' for name, text in scripts), after]
    )


def _context(
    study: StudyView, analysis: Analysis, drawings: Mapping[str, Drawing], shown: Sequence[CasePanel]
) -> dict[str, Any]:
    tables = table_sections(study, analysis)
    measure = measure_of(analysis)
    low, high, ranked = ranking(analysis)
    explained = definitions(analysis)
    script = "\n".join(template_file(name) for name in SCRIPTS)
    scored = scored_only(study)
    number_of = {str(case): number for number, case in enumerate(scored.cases["case"])}
    return {
        "css": "\n".join(template_file(name) for name in STYLES),
        "script": script,
        "policy": content_policy(script),
        "name": study.setting("data", "name"),
        "created": study.setting("created"),
        "noun": study.noun,
        "nouns": study.nouns,
        "losses": study.losses,
        "facts": facts(study, analysis),
        "verdict": analysis.verdict,
        "cautions": cautions(study, analysis),
        "measure": measure,
        "higher": METRICS[measure.metric].direction == "higher" if measure.metric in METRICS else None,
        "axis": (low, high),
        "ranking": ranked,
        "colours": colours(study.losses),
        "ranking_tables": [part for name in RANKING_TABLES for part in tables if part.id == name],
        "ranking_drawings": drawings_of(drawings, RANKING_DRAWINGS),
        "sections": page_sections(study, tables, drawings),
        "panels": [(number_of[panel.choice.case], panel) for panel in shown],
        "key": KEY,
        "categories": study.categories,
        "static_cases": static_cases(scored, analysis),
        "case_count": len(scored.cases),
        "definitions": explained,
        "defined": {each.key for each in explained},
        "method": method_passages(study, analysis),
        "environment": environment(study),
        "config": as_yaml(study.setting("config")),
        "version": study.setting("unifocal"),
        "citations": _citations(study),
    }


def template_file(name: str) -> str:
    """The text of a file of the folder `templates`."""
    return files("unifocal.reporting").joinpath("templates", name).read_text("utf-8")


def content_policy(script: str) -> str:
    """What the browser may do: run this very script, show what is embedded, and load nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def static_cases(study: StudyView, analysis: Analysis) -> list[tuple[str, str, list[str]]]:
    """Case, patient and each loss's value in print, worst first; for readers without scripts."""
    measure = measure_of(analysis)
    values = study.values(measure.metric, measure.label).set_index(["case", "loss"])["value"].to_dict()
    digits = digits_for(measure.unit, 0.0)
    names, patients = list(study.cases["case"]), list(study.cases["patient"])
    return [
        (
            names[place],
            patients[place],
            [number(float(values[names[place], loss]), digits) if (names[place], loss) in values else ABSENT
             for loss in study.losses],
        )
        for place in worst_first(study, analysis)[:STATIC_CASES]
    ]  # fmt: skip


def facts(study: StudyView, analysis: Analysis) -> list[tuple[str, str]]:
    """The study in numbers."""
    foreground = study.setting("data", "foreground_percent")
    trained = study.kind == "study"
    pairs = [
        (study.nouns, f"{len(study.losses)}"),
        ("patients", f"{study.cases['patient'].nunique():,}"),
        ("volumes" if study.setting("data", "axes") == 3 else "images", f"{len(study.cases):,}"),
        ("folds", f"{study.scores['fold'].nunique()}" if trained else ""),
        ("seeds", f"{study.scores['seed'].nunique()}" if trained else ""),
        ("foreground", f"{float(foreground):.2g} %" if foreground is not None else ""),
        ("label of the verdict", _label(study, analysis)),
    ]
    singular = {"losses": "loss", "methods": "method"}
    return [
        (singular.get(name, name.removesuffix("s")) if value == "1" else name, value) for name, value in pairs if value
    ]


def _label(study: StudyView, analysis: Analysis) -> str:
    """The label that the verdict rests on, with its name; empty where there is one only."""
    if len(labels_of(analysis)) < 2:
        return ""
    return study.name_of(analysis.verdict.label).removeprefix("label ")


def environment(study: StudyView | TuningView) -> str:
    """Versions, machine and command as plain lines."""
    lines = [f"unifocal {study.setting('unifocal') or ABSENT}"]
    for section in ("versions", "machine"):
        values = study.setting(section)
        if isinstance(values, Mapping):
            lines += [f"{key} {value}" for key, value in values.items()]
    command = study.setting("command")
    return "\n".join([*lines, *(["", f"$ {command}"] if command else [])])


def as_yaml(value: Any) -> str:
    """Settings as they are shown; nothing for none."""
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
