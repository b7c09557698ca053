"""What each setting did, as figures: dots of a search, the line of a sweep."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from unifocal.metrics import METRICS
from unifocal.reporting.drawn import Drawing, Words, finish
from unifocal.reporting.figure import MUTED, new_figure, panels
from unifocal.reporting.plots_sweep import Sweep, SweepLine, draw_sweep
from unifocal.reporting.plots_tuning import draw_choices, draw_response, legend, mark
from unifocal.reporting.search import Dimension, TuningView
from unifocal.reporting.tables import direction, metric_title
from unifocal.reporting.tuned import said
from unifocal.reporting.wording import count, enumeration
from unifocal.statistics.bootstrap import resample

RESAMPLES = 2_000
MARKS = "Diamond: the settings as given (trial 0); ring: the chosen trial."


def title_of(metric: str) -> str:
    """An objective as an axis says it."""
    return f"{metric_title(metric)}\n(inner folds)"


def values_of(view: TuningView, metric: str) -> pd.DataFrame:
    """The trials that went through, with an objective in the column `value`."""
    return view.done.assign(value=view.done[metric])


def best_of(trials: pd.DataFrame, column: str, metric: str) -> dict[Hashable, Any]:
    """The trial that is best by a column of an objective's values."""
    values = trials[column].to_numpy(np.float64)
    place = int(np.argmin(values) if direction(metric) == "lower" else np.argmax(values))
    return trials.to_dict("records")[place]


def response(view: TuningView) -> Drawing | None:
    """Every trial against each setting; None for a sweep, which has a line instead."""
    if view.is_sweep and len(view.done) > 1:
        return None
    pairs = [
        (dimension, metric)
        for metric in view.objectives
        for dimension in view.space
        if len(_points(view, dimension, metric))
    ]
    if not pairs:
        return None
    whole, all_axes = panels(len(pairs), 3.1, 2.75)
    parts = []
    for (dimension, metric), axes in zip(pairs, all_axes, strict=True):
        alone = new_figure(3.1, 2.75)
        for target in (axes, alone.subplots()):
            _draw_one(target, view, dimension, metric)
        parts.append(("", alone))
    words = Words(
        title="What each setting did",
        caption=(
            f"Each trial's mean over the patients of the inner folds against each setting (n = "
            f"{count(len(view.done), 'trial')} that went through). The other settings vary too, so a slope is a hint, "
            f"not an effect. Dashed: a parabola fitted by least squares; bars: means of a choice. {MARKS}"
        ),
        alt=" ".join(_response_in_words(view, dimension, metric) for dimension, metric in pairs),
        section="settings",
    )
    return finish("response", words, whole, parts)


def _points(view: TuningView, dimension: Dimension, metric: str) -> pd.DataFrame:
    trials = values_of(view, metric)
    if dimension.choices:
        return trials.assign(choice=[_choice(text) for text in trials[dimension.name]]).dropna(subset="value")
    return trials.assign(x=view.values(dimension.name)).dropna(subset=["value", "x"])


def _choice(text: str) -> str:
    return text or "none"


def _choices(dimension: Dimension, points: pd.DataFrame) -> list[str]:
    """The choices that were tried, in the order in which they were declared."""
    declared = [str(choice) if choice is not None else "none" for choice in dimension.choices]
    tried = list(dict.fromkeys(points["choice"]))
    return [choice for choice in declared if choice in tried] + sorted(set(tried) - set(declared))


def _draw_one(axes: Axes, view: TuningView, dimension: Dimension, metric: str) -> None:
    points = _points(view, dimension, metric)
    if dimension.choices:
        draw_choices(axes, points, dimension.name, title_of(metric), _choices(dimension, points))
    else:
        draw_response(axes, points, dimension.name, title_of(metric), log=dimension.log)


def _response_in_words(view: TuningView, dimension: Dimension, metric: str) -> str:
    done = _points(view, dimension, metric)
    title = metric_title(metric)
    if dimension.choices:
        means = done.groupby("choice")["value"].mean()
        told = "; ".join(f"{choice} {float(means[choice]):.3f}" for choice in _choices(dimension, done))
        return f"Mean {title} by {dimension.name}: {told}."
    best = best_of(done, "value", metric)
    return (
        f"{title} by {dimension.name}, {said(float(done['x'].min()))} to {said(float(done['x'].max()))}: best "
        f"{float(best['value']):.3f} at {said(float(best['x']))}."
    )


def sweep(view: TuningView) -> Drawing | None:
    """The objective against the one setting that was swept, as in the Unified Focal loss's paper (its Figure 3)."""
    if not view.is_sweep or len(view.done) < 2:
        return None
    (dimension,) = view.space
    parts, told, has_intervals = [], [], False
    whole, all_axes = panels(len(view.objectives), 4.6, 3.1)
    for metric, axes in zip(view.objectives, all_axes, strict=True):
        points = _points(view, dimension, metric)
        points = points.sort_values("x", kind="stable")
        means = _intervals(view, points, metric)
        is_known = bool(means["lower"].notna().any())
        has_intervals |= is_known
        swept = points.drop_duplicates("x", keep="last")
        line = SweepLine(view.loss, tuple((float(row["x"]), str(row["trial"])) for row in swept.to_dict("records")))
        alone = new_figure(4.6, 3.1)
        for target in (axes, alone.subplots()):
            draw_sweep(target, Sweep(dimension.name, (line,)), means, None, title_of(metric))
            if is_known:
                _draw_folds(target, view, points, metric)
            mark(target, points)
            legend(target, 2)
        parts.append(("", alone))
        values = ", ".join(f"{said(row['x'])}: {row['value']:.3f}" for row in swept.to_dict("records"))
        told.append(f"{metric_title(metric)} by {dimension.name}: {values}.")
    words = Words(
        title=f"{enumeration([metric_title(metric) for metric in view.objectives])} against {dimension.name}",
        caption=(
            f"Mean over the patients of the inner folds at each value of {dimension.name} that was tried, everything "
            "else the same."
            + (
                " Vertical lines: 95 % intervals over patients; small dots: the mean of each inner fold."
                * has_intervals
            )
            + f" {MARKS} The best value was found on these very "
            "patients, so it is flattered."
        ),
        alt=" ".join(told),
        section="settings",
    )
    return finish("sweep", words, whole, parts)


def _intervals(view: TuningView, points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """`mean, lower, upper` by trial; no bounds where the inner runs' scores are gone or give another mean."""
    means = points.assign(label=points["trial"].astype(str), mean=points["value"], lower=np.nan, upper=np.nan)
    means = means.set_index("label")[["mean", "lower", "upper"]]
    if view.patients.empty:
        return means
    chosen = view.patients[view.patients["metric"] == metric]
    table = chosen.pivot_table(index="patient", columns="trial", values="value")
    possible = METRICS[metric].range if metric in METRICS else (-np.inf, np.inf)
    ranges = np.tile(np.asarray(possible, dtype=np.float64), (table.shape[1], 1))
    known = dict(zip(means.index, points["value"], strict=True))
    found = resample(table.to_numpy(np.float64), RESAMPLES, 0, np.full(table.shape[1], np.nan), ranges)
    for place, trial in enumerate(table.columns):
        label = str(trial)
        # Where an objective is made of the scores otherwise, an interval of another mean would mislead.
        if label in known and np.isclose(known[label], table[trial].mean(), atol=1e-4):
            means.loc[label, ["lower", "upper"]] = found.bounds.shown[place]
    return means


def _draw_folds(axes: Axes, view: TuningView, points: pd.DataFrame, metric: str) -> None:
    chosen = view.patients[view.patients["metric"] == metric]
    folds = chosen.groupby(["trial", "fold"])["value"].mean().reset_index()
    places = dict(zip(points["trial"], points["x"], strict=True))
    folds = folds[folds["trial"].isin(places)]
    x = [places[trial] for trial in folds["trial"]]
    axes.scatter(x, folds["value"], s=7, color=MUTED, alpha=0.8, linewidths=0, zorder=2, label="inner fold")
