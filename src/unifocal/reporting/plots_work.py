"""Plots of how a study spent its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unifocal.reporting.figure import GRID, INK, MUTED, PAPER, new_figure
from unifocal.reporting.wording import shortened

LONGEST_NAME = 52
ROW = 0.2


@dataclass(frozen=True)
class Gain:
    """What tuning changed inside one fold: the objective as given, and of the chosen trial."""

    loss: str
    fold: int
    before: float
    after: float


def draw_gains(gains: Sequence[Gain], colours: Mapping[str, str], title: str) -> Figure:
    """A row per loss and fold, from the value before to the value after."""
    rows: list[tuple[str, Gain | None]] = []
    for loss in colours:
        rows += [(loss, None), *((loss, gain) for gain in gains if gain.loss == loss)]
    figure = new_figure(5.2, 0.7 + ROW * len(rows))
    axes = figure.subplots()
    for y, (loss, gain) in enumerate(rows):
        if gain is None:
            axes.text(
                0.0, y + 0.1, shortened(loss, LONGEST_NAME), transform=axes.get_yaxis_transform(), fontweight="bold",
                fontsize=8.5, va="center", zorder=8, bbox={"facecolor": PAPER, "linewidth": 0, "pad": 0.8},
            )  # fmt: skip
            continue
        axes.plot([gain.before, gain.after], [y, y], color=colours[loss], linewidth=1.8, alpha=0.6, zorder=3)
        axes.plot(gain.before, y, "o", color=PAPER, markeredgecolor=colours[loss], markersize=5.5, zorder=4)
        axes.plot(gain.after, y, "o", color=colours[loss], markersize=6, zorder=5)
    folds = [(y, f"fold {gain.fold}") for y, (_, gain) in enumerate(rows) if gain is not None]
    axes.set_yticks([y for y, _ in folds], [name for _, name in folds])
    axes.set_ylim(len(rows) - 0.4, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.06)
    axes.set_xlabel(title)
    return figure


def draw_race(lengths: Mapping[str, int], notes: Mapping[str, str], rounds: int, colours: Mapping[str, str]) -> Figure:
    """A bar per loss over the rounds that it was trained in.

    Args:
        lengths: Of every loss, how many rounds.
        notes: What to say behind the bars that end early.
        rounds: How many there were to be.
        colours: Of every loss.
    """
    figure = new_figure(6.0, 0.55 + 0.5 * len(lengths))
    axes = figure.subplots()
    for row, (loss, length) in enumerate(lengths.items()):
        axes.barh(row, rounds, height=0.3, color=GRID, alpha=0.45, zorder=1)
        axes.barh(row, length, height=0.3, color=colours[loss], zorder=2)
        axes.text(0, row - 0.3, shortened(loss, LONGEST_NAME), fontsize=8.5, fontweight="bold", color=INK)
        if loss in notes and length < rounds:
            axes.text(
                rounds, row - 0.3, shortened(notes[loss], LONGEST_NAME), fontsize=8, color=MUTED, ha="right",
            )  # fmt: skip
    axes.set_ylim(len(lengths) - 0.6, -0.75)
    axes.set_yticks([])
    axes.set_xlim(0, rounds)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Rounds trained")
    return figure
