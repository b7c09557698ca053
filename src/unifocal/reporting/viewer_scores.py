"""Every score of every case as the page's table and viewer hold them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd

from unifocal.metrics import METRICS
from unifocal.reporting.study import StudyView
from unifocal.reporting.wording import ABSENT

NOT_SCORED = "not scored"
MOST_VALUES = 700_000
ALL_RUNS = "all"


@dataclass(frozen=True)
class ScoreSheets:
    """Scores by view (all runs together, or one seed), label and metric.

    Attributes:
        views: `all`, then each seed where there are several.
        metrics: The metrics, in the catalogue's order.
        sheets: For each view, label and metric: one value per case and loss, in that order; None where it is undefined.
        reasons: The same keys: for each place in the sheet that is undefined, the number of its reason.
        texts: The reasons.
        left_out: Metrics that did not fit.
    """

    views: tuple[str, ...]
    metrics: tuple[str, ...]
    sheets: dict[str, dict[str, dict[str, list[float | None]]]]
    reasons: dict[str, dict[str, dict[str, dict[str, int]]]]
    texts: tuple[str, ...]
    left_out: tuple[str, ...]


def score_sheets(study: StudyView, labels: Sequence[int], primary: str) -> ScoreSheets:
    """Lay out a study's scores; the primary metric comes first, and the last metrics give way to a limit of size."""
    scores = study.scores[study.scores["label"].isin(labels)]
    known = set(scores["metric"].unique())
    metrics = [name for name in METRICS if name in known] + sorted(known - set(METRICS))
    seeds = sorted(scores["seed"].unique().tolist())
    views = (ALL_RUNS, *(str(seed) for seed in seeds if len(seeds) > 1))
    size = len(study.cases) * len(study.losses) * len(labels) * len(views)
    room = max(1, MOST_VALUES // max(size, 1))
    first = sorted(metrics, key=lambda name: (name != primary, _is_secondary(name)))[:room]
    kept = tuple(name for name in metrics if name in first)
    texts: dict[str, int] = {}
    sheets: dict[str, dict[str, dict[str, list[float | None]]]] = {}
    reasons: dict[str, dict[str, dict[str, dict[str, int]]]] = {}
    places = list(product(study.cases["case"], study.losses))
    for view in views:
        seen = scores if view == ALL_RUNS else scores[scores["seed"] == int(view)]
        sheets[view] = {str(label): {} for label in labels}
        reasons[view] = {str(label): {} for label in labels}
        for (label, metric), part in seen[seen["metric"].isin(kept)].groupby(["label", "metric"], sort=True):
            values, why = _sheet(part, places, texts)
            sheets[view][str(label)][str(metric)] = values
            reasons[view][str(label)][str(metric)] = why
    return ScoreSheets(views, kept, sheets, reasons, tuple(texts), tuple(name for name in metrics if name not in kept))


def _is_secondary(name: str) -> bool:
    return name not in METRICS or METRICS[name].direction is None


def _sheet(
    part: pd.DataFrame, places: Sequence[tuple[str, str]], texts: dict[str, int]
) -> tuple[list[float | None], dict[str, int]]:
    values = part.groupby(["case", "loss"])["value"].mean().reindex(pd.MultiIndex.from_tuples(places))
    said: dict[tuple[str, str], str] = {}
    if "reason" in part:
        undefined = part[part["value"].isna()]
        for case, loss, text in zip(undefined["case"], undefined["loss"], undefined["reason"].astype(str), strict=True):
            said.setdefault((case, loss), text if text != "nan" else "")
    why = {}
    for place in values.isna().to_numpy().nonzero()[0].tolist():
        text = said.get(places[place], NOT_SCORED) or ABSENT
        why[str(place)] = texts.setdefault(text, len(texts))
    return [None if pd.isna(value) else float(f"{value:.5g}") for value in values], why
