"""What the page's viewer works on: every score, and as many cases with pictures as fit."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unifocal.data.case import Source
from unifocal.metrics import METRICS
from unifocal.reporting.figure import colours
from unifocal.reporting.study import StudyView
from unifocal.reporting.tables import labels_of
from unifocal.reporting.viewer_case import Detail, encode_case, load_case, overlap
from unifocal.reporting.viewer_scores import score_sheets
from unifocal.statistics.result import Analysis

PAGE_LIMIT = 24_000_000
CASES_LIMIT = 18_000_000
FAIR_SHARE = 48_000
LADDER = (
    Detail(side=512, quality=82, slices=32, every_seed=True),
    Detail(side=448, quality=75, slices=24, every_seed=False),
    Detail(side=352, quality=70, slices=16, every_seed=False),
    Detail(side=256, quality=60, slices=8, every_seed=False),
)
DOES_NOT_FIT = "The page would become too large; this case did not fit"
# No picture of a scan compresses to less; spares trying what cannot fit.
LEAST_BYTES_PER_PIXEL = 0.02


@dataclass(frozen=True)
class ViewerData:
    """JSON texts, safe inside a script element.

    Attributes:
        index: What is known of all cases.
        cases: Each embedded case's number in `cases.csv` and its text.
    """

    index: str
    cases: tuple[tuple[int, str], ...]


def scored_only(study: StudyView) -> StudyView:
    """The study without the cases that no one was scored on, such as the training part of an official split."""
    is_scored = study.cases["case"].isin(study.scores["case"].unique())
    return study if is_scored.all() else replace(study, cases=study.cases[is_scored].reset_index(drop=True))


def gather(study: StudyView, analysis: Analysis, room: int) -> ViewerData:
    """Embed scores, then cases, worst first, each in as much detail as its share of the room allows.

    Args:
        study: The study; each of its cases is listed, so that those without scores are better left out before.
        analysis: Of its scores.
        room: How many characters there are for all of it.
    """
    labels = [int(label) for label in labels_of(analysis)] or [analysis.verdict.label]
    order = worst_first(study, analysis)
    files = {number: _files(study, row) for number, row in enumerate(study.cases.to_dict("records"))}
    index = _index(study, analysis, labels) | {"order": order}
    nothing = index | {"embedded": [], "refused": dict.fromkeys(order, DOES_NOT_FIT), "files": files}
    embedded: list[tuple[int, str]] = []
    refused: dict[int, str] = {}
    for number, text, trouble in _encoded(study, labels, order, min(room - len(_as_json(nothing)), CASES_LIMIT)):
        if trouble:
            refused[number] = trouble
        else:
            embedded.append((number, text))
    known = index | {
        "embedded": [number for number, _ in embedded],
        "refused": refused,
        "files": {number: files[number] for number in refused},
    }
    return ViewerData(_as_json(known), tuple(embedded))


def _encoded(
    study: StudyView, labels: Sequence[int], order: Sequence[int], room: int
) -> Iterator[tuple[int, str, str]]:
    """Each case's number with its text, or with why there is none."""
    rows = study.cases.to_dict("records")
    seeds = [] if study.kind == "evaluation" else sorted({run.seed for run in study.runs})
    smallest = 1
    for position, number in enumerate(order):
        if room < smallest:
            yield number, "", DOES_NOT_FIT
            continue
        loaded = load_case(study, {str(key): value for key, value in rows[number].items()}, labels, seeds)
        if isinstance(loaded, str):
            yield number, "", loaded
            continue
        share = max(room // (len(order) - position), FAIR_SHARE)
        for detail in LADDER:
            slices = min(detail.slices, int(loaded.truth.held.sum()))
            if slices * detail.side**2 * LEAST_BYTES_PER_PIXEL > share and detail is not LADDER[-1]:
                continue
            text = _as_json(encode_case(loaded, detail, labels))
            if len(text) <= share:
                break
        if len(text) > room:
            smallest = max(smallest, len(text) // 4)
            yield number, "", DOES_NOT_FIT
            continue
        room -= len(text)
        yield number, text, ""


def worst_first(study: StudyView, analysis: Analysis) -> list[int]:
    """The cases' numbers by the primary metric's mean over the losses, then those without a value by name."""
    metric = analysis.verdict.metric
    means = study.values(metric, analysis.verdict.label).groupby("case")["value"].mean()
    sign = -1.0 if metric in METRICS and METRICS[metric].direction == "lower" else 1.0
    names = [str(name) for name in study.cases["case"]]

    def key(number: int) -> tuple[bool, float, str]:
        name = names[number]
        return name not in means.index, sign * float(means.get(name, 0.0)), name

    return sorted(range(len(names)), key=key)


def _index(study: StudyView, analysis: Analysis, labels: Sequence[int]) -> dict[str, Any]:
    sheets = score_sheets(study, labels, analysis.verdict.metric)
    units = study.scores.drop_duplicates("metric").set_index("metric") if "unit" in study.scores else None
    palette = colours(study.losses)
    return {
        "noun": study.noun,
        "nouns": study.nouns,
        "losses": list(study.losses),
        "colours": [palette[loss] for loss in study.losses],
        "labels": list(labels),
        "labelNames": [study.name_of(label) for label in labels],
        "overlap": overlap([study.values_of(label) for label in labels]),
        "primary": {"metric": analysis.verdict.metric, "label": int(analysis.verdict.label)},
        "metrics": {
            name: _metric(name, "" if units is None else str(units["unit"].get(name, ""))) for name in sheets.metrics
        },
        "leftOut": list(sheets.left_out),
        "cases": [_case(study, row) for row in study.cases.to_dict("records")],
        "categories": {name: list(values) for name, values in study.categories.items()},
        "views": list(sheets.views),
        "values": sheets.sheets,
        "reasons": sheets.reasons,
        "texts": list(sheets.texts),
    }


def _metric(name: str, unit: str) -> dict[str, Any]:
    known = METRICS.get(name)
    title, direction = (known.title, known.direction) if known else (name, None)
    is_share = known is not None and known.range == (0.0, 1.0)
    is_count = known is not None and direction is None and known.family in ("count", "lesion")
    digits = 3 if is_share else 0 if is_count else 2
    return {"title": title, "unit": unit, "direction": direction, "isShare": is_share, "digits": digits}


def _case(study: StudyView, row: Mapping[Any, Any]) -> dict[str, Any]:
    known = {
        "name": str(row["case"]),
        "patient": str(row["patient"]),
        "groups": [str(row[name]) for name in study.categories],
    }
    return {name: value for name, value in known.items() if value}


def _files(study: StudyView, row: Mapping[Any, Any]) -> list[str]:
    """A case's image and mask, said from the study or the data folder, or by name alone."""
    places = [study.folder.resolve(), Path(str(study.setting("data", "folder") or ".")).resolve()]
    found = []
    for cell in (str(row.get(column, "")) for column in ("image", "mask")):
        paths = Source.from_text(cell, Path()).paths if cell else ()
        for path in paths[:1]:
            inside = [path.relative_to(place) for place in places if path.is_relative_to(place)]
            found.append(str(inside[0] if inside else path.name if path.is_absolute() else path))
    return found


def _as_json(content: Any) -> str:
    """JSON that can stand inside a script element: no tag can begin or end in it."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
