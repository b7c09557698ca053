"""The report's plots of numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unifocal.reporting.figure import GRID, INK, MUTED, PAPER, new_figure
from unifocal.reporting.study import Run
from unifocal.reporting.wording import shortened

GOLDEN_RATIO = 0.6180339887498949
MOST_OPAQUE = 0.75
LONGEST_NAME = 52


@dataclass(frozen=True)
class Axis:
    """What an axis shows.

    Attributes:
        title: Its name, with the unit.
        bounded: Whether its values are ratios between 0 and 1.
    """

    title: str
    bounded: bool


def jitter(number_of: int) -> NDArray[np.float64]:
    """Offsets in [-0.5, 0.5) that spread evenly, the same each time."""
    return np.asarray(np.arange(number_of) * GOLDEN_RATIO % 1.0 - 0.5, dtype=np.float64)


def opacity(number_of: int) -> float:
    """Fainter dots where there are more of them."""
    return float(np.clip(12.0 / max(number_of, 1) ** 0.75, 0.12, MOST_OPAQUE))


def draw_distribution(values: pd.DataFrame, means: pd.DataFrame, colours: Mapping[str, str], axis: Axis) -> Figure:
    """Each case's value per loss: dots, quartiles, and the mean over patients with its interval.

    Args:
        values: `loss, case, value`.
        means: `loss, mean, lower, upper`.
        colours: One colour per loss; its order is the order of the rows.
        axis: What the values are.
    """
    losses = list(colours)
    figure = new_figure(5.0, 0.62 + 0.74 * len(losses))
    axes = figure.subplots()
    table = values.pivot_table(index="case", columns="loss", values="value").reindex(columns=losses)
    heights = pd.Series(0.24 + 0.22 * jitter(len(table)), index=table.index)
    _draw_pairs(axes, table, heights)
    for row, loss in enumerate(losses):
        defined = table[loss].dropna()
        axes.scatter(
            defined,
            row + heights[defined.index],
            s=11,
            color=colours[loss],
            alpha=opacity(len(defined)),
            linewidths=0,
            zorder=3,
        )
        if len(defined):
            _draw_box(axes, row - 0.08, defined.to_numpy(), colours[loss])
        _draw_mean(axes, row - 0.08, means[means["loss"] == loss])
        axes.text(
            0.0,
            row - 0.3,
            shortened(loss, LONGEST_NAME),
            transform=axes.get_yaxis_transform(),
            fontweight="bold",
            fontsize=9,
        )
    axes.set_ylim(len(losses) - 0.55, -0.55)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(axis.title)
    if axis.bounded:
        lowest = np.nanmin([values["value"].min(), means["lower"].min(), means["mean"].min()])
        axes.set_xlim(np.floor(10 * lowest) / 10 - 0.01, 1.01)
    return figure


def _draw_pairs(axes: Axes, table: pd.DataFrame, heights: pd.Series) -> None:
    """A faint line through the same case's dots in neighbouring rows."""
    strength = float(np.clip(9.0 / max(len(table), 1), 0.08, 0.4))
    for upper in range(table.shape[1] - 1):
        both = table.iloc[:, [upper, upper + 1]].dropna()
        offsets = heights[both.index].to_numpy()
        # One path, broken by NaN between cases, keeps the file small.
        x = np.column_stack([both.to_numpy(), np.full(len(both), np.nan)]).ravel()
        y = np.column_stack([offsets + upper, offsets + upper + 1, offsets]).ravel()
        axes.plot(x, y, color=MUTED, linewidth=0.5, alpha=strength, zorder=1)


def _draw_box(axes: Axes, y: float, values: NDArray[np.float64], colour: str) -> None:
    low, middle, high = np.percentile(values, [25, 50, 75])
    axes.barh(y, high - low, height=0.17, left=low, color=PAPER, edgecolor=colour, linewidth=1.1, zorder=4)
    axes.plot([middle, middle], [y - 0.085, y + 0.085], color=colour, linewidth=1.8, zorder=5)


def _draw_mean(axes: Axes, y: float, row: pd.DataFrame) -> None:
    if row.empty:
        return
    mean, lower, upper = (float(row.iloc[0][name]) for name in ("mean", "lower", "upper"))
    axes.plot([lower, upper], [y, y], color=INK, linewidth=1.4, zorder=6, solid_capstyle="butt")
    axes.plot(mean, y, "D", color=INK, markersize=5, markeredgecolor=PAPER, zorder=7)


def draw_precision_recall(axes: Axes, cases: pd.DataFrame, means: pd.DataFrame, colour: str, loss: str) -> None:
    """One loss's precision against its recall, over curves of equal Dice.

    Args:
        axes: Where to draw.
        cases: `recall, precision`, one row per case of this loss.
        means: `recall, precision`, indexed by loss; the other losses' means are drawn pale.
        colour: The loss's colour.
        loss: Its label.
    """
    for dice in (0.2, 0.4, 0.6, 0.8):
        recall = np.linspace(dice / (2 - dice), 1.0, 60)
        axes.plot(recall, dice * recall / (2 * recall - dice), color=GRID, linewidth=0.8, zorder=1)
        axes.text(1.03, dice / (2 - dice), f"{dice:g}", color=MUTED, fontsize=7, va="center")
    axes.scatter(
        cases["recall"],
        cases["precision"],
        s=13,
        color=colour,
        alpha=opacity(len(cases)),
        linewidths=0,
        zorder=3,
        clip_on=False,
    )
    for other, row in means.iterrows():
        own = other == loss
        axes.plot(
            row["recall"],
            row["precision"],
            "D" if own else "o",
            color=colour if own else MUTED,
            markersize=8 if own else 4,
            markeredgecolor=INK if own else PAPER,
            alpha=1.0 if own else 0.7,
            zorder=6 if own else 5,
            clip_on=False,
        )
    axes.grid(visible=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="Recall", ylabel="Precision", aspect="equal")
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])


def curve_quantity(runs: Sequence[Run]) -> str | None:
    """The column of the histories to draw: validation Dice, which losses share, else validation loss."""
    for name in ("validation_dice", "validation_loss"):
        if any(run.history is not None and _has(run.history, name) for run in runs):
            return name
    return None


def _has(history: pd.DataFrame, name: str) -> bool:
    return name in history and bool(history[name].notna().any())


def draw_training(axes: Axes, runs: Sequence[Run], quantity: str, colour: str) -> None:
    """One loss's curves: each run thin with its best epoch marked, their median bold.

    The median goes on only while at least half of the runs do.
    """
    curves: dict[int, pd.Series] = {}
    for index, run in enumerate(runs):
        if run.history is None or not _has(run.history, quantity):
            continue
        curve = run.history.drop_duplicates("epoch", keep="last").set_index("epoch")[quantity].dropna()
        curves[index] = curve
        axes.plot(curve.index, curve, color=colour, linewidth=0.8, alpha=0.45, zorder=2)
        kept = curve[curve.index == run.best_epoch]
        axes.plot(kept.index, kept, "o", color=colour, markersize=4.5, markeredgecolor=PAPER, zorder=5)
    if len(curves) > 1:
        together = pd.DataFrame(curves).sort_index()
        median = together.median(axis="columns")[2 * together.count(axis="columns") >= len(curves)]
        axes.plot(median.index, median, color=colour, linewidth=2.2, zorder=4)
    axes.set_xlabel("Epoch")
    axes.locator_params(axis="x", nbins=5, integer=True)
    if quantity == "validation_dice":
        axes.set(ylim=(0, 1), ylabel="Validation Dice")
    else:
        axes.set_ylabel("Validation loss")
