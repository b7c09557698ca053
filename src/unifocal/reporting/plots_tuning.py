"""Plots of a search: the objective trial by trial, what each setting did, what mattered, what two objectives trade."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from unifocal.reporting.figure import INK, MUTED, PALETTE, PAPER
from unifocal.reporting.plots import jitter
from unifocal.reporting.tuned import said
from unifocal.reporting.wording import shortened

Floats = NDArray[np.float64]
TRIAL, BEST, OTHER = PALETTE[0], PALETTE[1], PALETTE[5]
FEWEST_FOR_TREND = 6
LONGEST_CHOICE = 16


def draw_progress(axes: Axes, trials: pd.DataFrame, title: str, *, higher: bool) -> None:
    """Every trial's value, and the best of all until then.

    Args:
        axes: Where to draw.
        trials: `trial, value, status, best`, by trial; NaN where there is no value.
        title: Of the objective.
        higher: Whether higher values are better.
    """
    done = trials[(trials["status"] == "done") & trials["value"].notna()]
    so_far = done["value"].cummax() if higher else done["value"].cummin()
    end = float(trials["trial"].max()) + 0.5
    if len(done):
        x, y = [*done["trial"], end], [*so_far, so_far.iloc[-1]]
        axes.step(x, y, where="post", color=TRIAL, linewidth=1.6, zorder=2, label="best so far")
    axes.scatter(done["trial"], done["value"], s=22, color=TRIAL, zorder=4, linewidths=0, label="trial")
    # They have no value: the lower edge says that there was a trial.
    edge: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "zorder": 5, "in_layout": False}
    stopped, failed = (trials.loc[trials["status"] == status, "trial"] for status in ("stopped", "failed"))
    axes.plot(stopped, 0 * stopped, "o", mfc="none", color=MUTED, ms=5, label="stopped early", **edge)
    axes.plot(failed, 0 * failed, "x", color=OTHER, ms=6, mew=1.6, label="failed", **edge)
    mark(axes, done.assign(x=done["trial"]))
    axes.set(xlabel="Trial", ylabel=title, xlim=(-0.7, end))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def mark(axes: Axes, trials: pd.DataFrame) -> None:
    """Rings around the settings as given and the chosen trial; `trials` holds `trial, x, value, best`."""
    given, chosen = trials[trials["trial"] == 0], trials[trials["best"]]
    if len(given):
        axes.plot(
            given["x"], given["value"], "D", color="none", markeredgecolor=INK, markersize=8.5, zorder=6,
            label="settings as given",
        )  # fmt: skip
    if len(chosen):
        axes.plot(
            chosen["x"], chosen["value"], "o", color="none", markeredgecolor=BEST, markeredgewidth=1.9, markersize=11,
            zorder=6, label="chosen",
        )  # fmt: skip


def draw_response(axes: Axes, trials: pd.DataFrame, name: str, title: str, *, log: bool) -> None:
    """The objective against one number, other settings varying too, with a parabola through the trials that ended.

    Args:
        axes: Where to draw.
        trials: `trial, x, value, best`; a row per trial that went through.
        name: Of the setting.
        title: Of the objective.
        log: Whether the setting was searched by factors.
    """
    _draw_trials(axes, trials)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: said(float(value))))
        axes.xaxis.set_minor_formatter(NullFormatter())
    trend = trend_of(trials["x"].to_numpy(float), trials["value"].to_numpy(float), log=log)
    if trend is not None:
        axes.plot(*trend, color=MUTED, linewidth=1.4, linestyle=(0, (4, 2)), zorder=2, label="trend")
    mark(axes, trials)
    axes.set(xlabel=name, ylabel=title)


def draw_choices(axes: Axes, trials: pd.DataFrame, name: str, title: str, choices: Sequence[str]) -> None:
    """The objective under each choice: dots, and a bar at their mean; `trials` holds the choice in `choice`."""
    places = {choice: place for place, choice in enumerate(choices)}
    placed = trials.assign(x=[places[choice] for choice in trials["choice"]])
    spread = placed.assign(x=placed["x"] + 0.24 * jitter(len(placed)))
    _draw_trials(axes, spread)
    for place in sorted(placed["x"].unique()):
        mean = float(placed.loc[placed["x"] == place, "value"].mean())
        axes.plot([place - 0.3, place + 0.3], [mean, mean], color=MUTED, linewidth=1.8, zorder=2)
    mark(axes, spread)
    axes.set_xticks(range(len(choices)), [shortened(choice, LONGEST_CHOICE) for choice in choices])
    axes.set(xlabel=name, ylabel=title, xlim=(-0.6, len(choices) - 0.4))
    axes.grid(visible=False, axis="x")


def _draw_trials(axes: Axes, trials: pd.DataFrame) -> None:
    axes.scatter(trials["x"], trials["value"], s=22, color=TRIAL, alpha=0.85, linewidths=0, zorder=4)


def trend_of(x: Floats, y: Floats, *, log: bool) -> tuple[Floats, Floats] | None:
    """A parabola by least squares, x by its logarithm where `log`; None for too few trials or values of x."""
    if len(x) < FEWEST_FOR_TREND or len(np.unique(x)) < FEWEST_FOR_TREND - 2 or (log and x.min() <= 0):
        return None
    at = np.log(x) if log else x
    centre, scale = at.mean(), at.std()
    along = np.linspace(at.min(), at.max(), 60)
    values = np.polynomial.polynomial.polyval((along - centre) / scale, _parabola((at - centre) / scale, y))
    return (np.exp(along) if log else along), np.asarray(values, dtype=np.float64)


def _parabola(x: Floats, y: Floats) -> Floats:
    return np.asarray(np.polynomial.polynomial.polyfit(x, y, 2), dtype=np.float64)


def draw_importance(axes: Axes, importance: Mapping[str, float]) -> None:
    """A bar per setting, the most important at the top."""
    ordered = sorted(importance.items(), key=lambda item: item[1])
    names = [shortened(name, 30) for name, _ in ordered]
    values = [value for _, value in ordered]
    axes.barh(range(len(names)), values, height=0.62, color=TRIAL, zorder=3)
    room = max([*values, 1e-9])
    for place, value in enumerate(values):
        axes.text(value + 0.015 * room, place, f"{value:.2f}", va="center", fontsize=8, color=INK)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="Share of the objective's variation", xlim=(0, 1.14 * room))


def draw_front(axes: Axes, trials: pd.DataFrame, titles: tuple[str, str]) -> None:
    """Two objectives against each other, with the trials that none beats in both.

    Args:
        axes: Where to draw.
        trials: `trial, x, value, best, pareto`; a row per trial that went through.
        titles: Of the objectives.
    """
    _draw_trials(axes, trials)
    front = trials[trials["pareto"]].sort_values(["x", "value"])
    axes.plot(
        front["x"], front["value"], color=TRIAL, linewidth=1.2, marker="s", markersize=6.5, markeredgecolor=PAPER,
        zorder=5, label="beaten by none in all objectives",
    )  # fmt: skip
    mark(axes, trials)
    axes.set(xlabel=titles[0], ylabel=titles[1])


def legend(axes: Axes, columns: int = 3) -> None:
    """What the marks mean, above the plot."""
    handles, labels = axes.get_legend_handles_labels()
    drawn = {label: handle for handle, label in zip(handles, labels, strict=True) if _has_points(handle)}
    axes.legend(
        drawn.values(), drawn.keys(), loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, frameon=False,
        fontsize=8, borderpad=0.2, handletextpad=0.4, columnspacing=1.1,
    )  # fmt: skip


def _has_points(handle: Artist) -> bool:
    if isinstance(handle, Line2D):
        return np.size(handle.get_xdata()) > 0
    return not isinstance(handle, PathCollection) or np.size(handle.get_offsets()) > 0
