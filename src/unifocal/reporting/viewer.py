"""What the page's viewer works on: every score, and as many cases with pictures as fit."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unifocal.data.case import Source
from unifocal.metrics import METRICS
from unifocal.reporting.figure import colours
from unifocal.reporting.study import StudyView
from unifocal.reporting.tables import labels_of
from unifocal.reporting.viewer_case import LoadedCase, load_case
from unifocal.reporting.viewer_encode import Detail, encode_case, pixels_of
from unifocal.reporting.viewer_scores import score_sheets
from unifocal.reporting.viewer_stack import overlap
from unifocal.statistics.result import Analysis

PAGE_LIMIT = 24_000_000
CASES_LIMIT = 18_000_000
FAIR_SHARE = 48_000
LADDER = (
    Detail(side=512, quality=82, slices=32, others=24, every_seed=True),
    Detail(side=448, quality=75, slices=24, others=16, every_seed=False),
    Detail(side=352, quality=70, slices=16, others=10, every_seed=False),
    Detail(side=256, quality=60, slices=8, others=6, every_seed=False),
)
# No picture of a scan compresses to less, nor to less than half at a lower quality: spares trying what cannot fit.
LEAST_PER_PIXEL, LEAST_KEPT = 0.02, 0.5
DOES_NOT_FIT = "The page would become too large; this case did not fit"


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
    embedded, refused = _encoded(study, labels, order, min(room - len(_as_json(nothing)), CASES_LIMIT))
    known = index | {
        "embedded": list(embedded),
        "refused": refused,
        "files": {number: files[number] for number in refused},
    }
    return ViewerData(_as_json(known), tuple(embedded.items()))


def _encoded(
    study: StudyView, labels: Sequence[int], order: Sequence[int], room: int
) -> tuple[dict[int, str], dict[int, str]]:
    """The texts of cases by their numbers, and why others have none; both in the order given."""
    rows = study.cases.to_dict("records")
    seeds = [] if study.kind == "evaluation" else sorted({run.seed for run in study.runs})
    embedded: dict[int, str] = {}
    refused: dict[int, str] = {}
    waiting: dict[int, str] = {}
    fair = room // max(len(order), 1)
    smallest = 1
    for position, number in enumerate(order):
        if room < smallest:
            refused[number] = DOES_NOT_FIT
            continue
        loaded = load_case(study, {str(key): value for key, value in rows[number].items()}, labels, seeds)
        if isinstance(loaded, str):
            refused[number] = loaded
            continue
        share = room // (len(order) - position)
        # Once a case waits for its planes, a better one may not take them from what others left over.
        text, larger = _fitted(loaded, labels, share, min(fair, share) if waiting else share)
        if len(text) > room:
            smallest = max(smallest, len(text) // 4)
            refused[number] = DOES_NOT_FIT
            continue
        room -= len(text)
        embedded[number] = text
        if larger:
            waiting[number] = larger
    for number, text in waiting.items():
        more = len(text) - len(embedded[number])
        if more <= room:
            room -= more
            embedded[number] = text
    return embedded, refused


def _fitted(loaded: LoadedCase, labels: Sequence[int], share: int, planes_share: int) -> tuple[str, str]:
    """A case in the most detail that fits, or in the least.

    Args:
        loaded: The case.
        labels: Its labels.
        share: Its part of the room. A volume with three planes keeps to it, so that no case makes way for planes.
        planes_share: What it may take with all three.

    Returns:
        Its text; and where that has one plane of several, the smallest text tried with all, else nothing.
    """
    has_planes = len(loaded.views) > 1
    plain = [replace(detail, others=0) for detail in LADDER]
    text, larger, per_pixel = "", "", LEAST_PER_PIXEL if loaded.base is not None else 0.0
    for detail in [*LADDER, *plain] if has_planes else plain:
        most = planes_share if detail.others else share if has_planes else max(share, FAIR_SHARE)
        pixels = pixels_of(loaded, detail)
        if detail is not plain[-1] and pixels * per_pixel > most:
            continue
        text = _as_json(encode_case(loaded, detail, labels))
        if len(text) <= most:
            return text, "" if detail.others else larger
        larger = text if detail.others else larger
        if not detail.every_seed or len(loaded.seeds) < 2:
            per_pixel = len(text) / pixels * LEAST_KEPT
    return text, larger


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
