"""Plots of the ranking: the critical difference diagram, the stability of ranks, sources of spread."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from unifocal.reporting.figure import INK, MUTED, PALETTE, PAPER, new_figure
from unifocal.reporting.wording import number, share, shortened
from unifocal.statistics.result import Omnibus

LONGEST_NAME = 25
LONGEST_ROW_NAME = 34
# Inches.
SIDE, CENTRE, ROW, TOP = 2.3, 3.2, 0.22, 0.62
FAINTEST, STRONGEST = 0.04, 0.6
COMPONENTS = {"patient": "between patients", "fold": "between folds", "seed": "between seeds", "rest": "rest"}
ROOM_FOR_TEXT = 0.1


def draw_critical_difference(omnibus: Omnibus, colours: Mapping[str, str]) -> Figure:
    """Mean ranks on a line, best at the left, with bars over those that cannot be told apart (Demsar 2006)."""
    ranks = [(str(row["loss"]), float(row["mean_rank"])) for row in omnibus.mean_ranks.to_dict("records")]
    groups = [group for group in omnibus.groups if len(group) > 1]
    k = len(ranks)
    bars = 0.12 * len(groups) + 0.1
    height = TOP + bars + ROW * math.ceil(k / 2) + 0.1
    figure = new_figure(CENTRE + 2 * SIDE, height, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    # In inches from the top left, so that texts and lines keep their distances whatever the number of losses.
    axes.set(xlim=(0, CENTRE + 2 * SIDE), ylim=(height, 0))

    def place(rank: float) -> float:
        return SIDE + CENTRE * (rank - 1) / (k - 1)

    axes.plot([place(1), place(k)], [TOP, TOP], color=INK, linewidth=1.2)
    for tick in range(1, k + 1):
        axes.plot([place(tick)] * 2, [TOP - 0.06, TOP], color=INK, linewidth=1)
        axes.text(place(tick), TOP - 0.1, f"{tick}", ha="center", va="bottom", fontsize=8, color=MUTED)
    _draw_difference(axes, place(1), CENTRE * omnibus.critical_difference / (k - 1), omnibus.critical_difference)
    by_loss = dict(ranks)
    for level, group in enumerate(groups):
        ends = [place(by_loss[loss]) for loss in group]
        y = TOP + 0.1 + 0.12 * level
        axes.plot([min(ends) - 0.04, max(ends) + 0.04], [y, y], color=INK, linewidth=3.2, solid_capstyle="round")
    first_half = math.ceil(k / 2)
    for order, (loss, rank) in enumerate(ranks):
        is_left = order < first_half
        row = order if is_left else k - 1 - order
        y = TOP + bars + ROW * (row + 0.55)
        _draw_loss(
            axes, (place(rank), y), f"{shortened(loss, LONGEST_NAME)}  {rank:.2f}", colours[loss], is_left=is_left
        )
    return figure


def _draw_difference(axes: Axes, left: float, width: float, difference: float) -> None:
    """How long the critical difference is; left out where it is longer than the whole line, so that nothing differs."""
    text = f"critical difference {number(difference, 2)}"
    if not math.isfinite(difference):
        return
    if width > CENTRE:
        axes.text(left, 0.13, f"{text}: more than the whole line", fontsize=8, color=INK, va="center")
        return
    axes.plot([left, left + width], [0.2, 0.2], color=INK, linewidth=1.2)
    for end in (left, left + width):
        axes.plot([end, end], [0.16, 0.24], color=INK, linewidth=1.2)
    axes.text(left + width + 0.08, 0.2, text, fontsize=8, color=INK, va="center")


def _draw_loss(axes: Axes, at: tuple[float, float], text: str, colour: str, *, is_left: bool) -> None:
    x, y = at
    edge = SIDE - 0.12 if is_left else SIDE + CENTRE + 0.12
    axes.plot([x, x, edge], [TOP, y, y], color=MUTED, linewidth=0.8, solid_joinstyle="miter", zorder=1)
    axes.plot(x, TOP, "o", color=colour, markersize=5, markeredgecolor=PAPER, zorder=4)
    beside = edge - 0.06 if is_left else edge + 0.06
    axes.text(beside, y, text, ha="right" if is_left else "left", va="center", fontsize=8, color=INK)


def draw_rank_shares(shares: pd.DataFrame, order: Sequence[str], colours: Mapping[str, str]) -> Figure:
    """A row per loss and a column per rank: how often the loss took it, as a number and as the strength of a colour.

    Args:
        shares: `loss, rank, share`.
        order: The rows, best first.
        colours: A colour for each.
    """
    k = len(order)
    figure = new_figure(2.4 + 0.46 * k, 0.62 + 0.3 * k)
    axes = figure.subplots()
    found = {(str(row["loss"]), int(row["rank"])): float(row["share"]) for row in shares.to_dict("records")}
    for row, loss in enumerate(order):
        for rank in range(1, k + 1):
            part = found.get((loss, rank), 0.0)
            strength = FAINTEST + (STRONGEST - FAINTEST) * part
            cell = Rectangle(
                (rank - 0.48, row - 0.46), 0.96, 0.92, facecolor=colours[loss], alpha=strength, linewidth=0
            )
            axes.add_patch(cell)
            if part > 0:
                words = share(part).replace(" %", "")
                axes.text(rank, row, words, ha="center", va="center", fontsize=8, color=INK)
    axes.set(xlim=(0.45, k + 0.55), ylim=(k - 0.45, -0.55), xlabel="Rank by mean (1 is best)")
    axes.set_xticks(range(1, k + 1))
    axes.set_yticks(range(k), [shortened(loss, LONGEST_ROW_NAME) for loss in order])
    axes.tick_params(length=0)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    return figure


def draw_variance(table: pd.DataFrame, losses: Sequence[str]) -> Figure:
    """A bar per loss: how its variance divides over patients, folds, seeds and the rest.

    Args:
        table: `loss, component, share`; components without a share are left out.
        losses: The rows.
    """
    known = table.dropna(subset="share")
    named = [name for name in COMPONENTS if (known["component"] == name).any()]
    parts = {(str(row["loss"]), str(row["component"])): float(row["share"]) for row in known.to_dict("records")}
    figure = new_figure(6.0, 0.85 + 0.3 * len(losses))
    axes = figure.subplots()
    ends = np.zeros(len(losses))
    for name, colour in zip(named, PALETTE, strict=False):
        widths = np.array([max(parts.get((loss, name), 0.0), 0.0) for loss in losses])
        axes.barh(
            range(len(losses)), widths, left=ends, height=0.72, color=colour, alpha=0.45, edgecolor=PAPER,
            linewidth=1.2, label=COMPONENTS[name],
        )  # fmt: skip
        for row, (left, width) in enumerate(zip(ends, widths, strict=True)):
            if width >= ROOM_FOR_TEXT:
                axes.text(left + width / 2, row, share(width), ha="center", va="center", fontsize=8, color=INK)
        ends += widths
    axes.set(xlim=(0, 1), ylim=(len(losses) - 0.45, -0.55), xlabel="Share of the variance")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.set_yticks(range(len(losses)), [shortened(loss, LONGEST_ROW_NAME) for loss in losses])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8, borderpad=0, handlelength=1)
    return figure
