"""Plots of predicted probabilities: precision-recall curves, Dice against threshold, reliability."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from unifocal.metrics.probability import HISTOGRAM_BINS, ProbabilityHistogram
from unifocal.problems import bad_input
from unifocal.reporting.figure import GRID, MUTED, PAPER, label

FILE = "probabilities.csv.gz"
COLUMNS = ("loss", "seed", "case", "patient", "label", "bin", "elements", "positives", "probability_sum")
RELIABILITY_BINS = 20
HALF = HISTOGRAM_BINS // 2
NOTHING = "no case to draw"
RECALLS = np.linspace(0.0, 1.0, 101)
THRESHOLDS = np.arange(HISTOGRAM_BINS) / HISTOGRAM_BINS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LossCurves:
    """What one loss's probabilities say.

    Attributes:
        n_cases: The cases whose truth holds the label.
        n_patients: Their patients.
        precision: (101,): the mean over patients of each case's best precision at any threshold that reaches each
            recall of `RECALLS`.
        pooled: (thresholds, 2): recall and precision of all cases' elements together, without empty predictions.
        pooled_half: Recall and precision of all cases together at the threshold 0.5; NaN where nothing is predicted.
        dice: (100,): the mean over patients of each case's Dice at each of `THRESHOLDS`.
        dice_quartiles: (2, 100): between them lies the middle half of the patients.
        reliability: (bins, 2): mean probability and share of positives of each bin that holds elements, all cases.
        elements: (20,): the elements in each bin of the probability.
    """

    n_cases: int
    n_patients: int
    precision: Floats
    pooled: Floats
    pooled_half: tuple[float, float]
    dice: Floats
    dice_quartiles: Floats
    reliability: Floats
    elements: Floats


def read_probabilities(folder: Path, label: int) -> pd.DataFrame | None:
    """The study's counts of elements by probability for one label; None where the study kept none.

    Raises:
        InputError: If the file cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        names = {"loss": str, "case": str, "patient": str}
        table = pd.read_csv(path, dtype=names, keep_default_na=False, usecols=list(COLUMNS), compression="gzip")
        numbers = table[["label", "bin", "elements", "positives"]].astype("int64")
        if not numbers["bin"].between(0, HISTOGRAM_BINS - 1).all():
            raise ValueError(f"a bin is not between 0 and {HISTOGRAM_BINS - 1}")
        table[numbers.columns] = numbers
        table["probability_sum"] = table["probability_sum"].astype("float64")
    except (ValueError, OSError, EOFError) as error:
        remedy = "Delete the file for a report without probabilities, or run the study's command again"
        raise bad_input(str(path), f"cannot be read: {error}", remedy) from error
    chosen = table[table["label"] == label]
    return None if chosen.empty else chosen


def curves_of(table: pd.DataFrame) -> LossCurves | None:
    """The curves of one loss; None where no case holds the label.

    Args:
        table: `seed, case, patient, bin, elements, positives, probability_sum` of one loss and label.
    """
    groups, keys = pd.factorize(pd.MultiIndex.from_frame(table[["patient", "case", "seed"]]))
    places = groups * HISTOGRAM_BINS + table["bin"].to_numpy()
    counts: Floats = np.stack(
        [
            np.bincount(places, weights=table[name], minlength=len(keys) * HISTOGRAM_BINS).reshape(-1, HISTOGRAM_BINS)
            for name in ("elements", "positives")
        ]
    )
    sums = np.asarray(
        np.bincount(table["bin"], weights=table["probability_sum"], minlength=HISTOGRAM_BINS), dtype=np.float64
    )
    held = counts[1].sum(axis=1) > 0
    if not held.any():
        return None
    # Elements and positives with at least each threshold's probability.
    predicted, found = counts[:, held, ::-1].cumsum(axis=2)[:, :, ::-1]
    truth = found[:, :1]
    index = pd.MultiIndex.from_tuples([key for key, holds in zip(keys, held, strict=True) if holds])
    dice = _by_patient(2 * found / (predicted + truth), index)
    elements, positives = counts[:, held].sum(axis=1).astype(np.int64)
    together = ProbabilityHistogram(elements, positives, sums).threshold_curve()
    pooled = np.column_stack([together.recall, together.precision])
    return LossCurves(
        n_cases=int(index.get_level_values(1).nunique()),
        n_patients=len(dice),
        precision=_by_patient(_precision_at_recalls(predicted, found, truth), index).mean(axis=0),
        pooled=pooled[np.isfinite(together.precision)],
        pooled_half=(float(pooled[HALF, 0]), float(pooled[HALF, 1])),
        dice=dice.mean(axis=0),
        dice_quartiles=np.percentile(dice, [25, 75], axis=0),
        reliability=_reliability(counts.sum(axis=1), sums),
        elements=_rebinned(counts[0].sum(axis=0)),
    )


def _by_patient(values: Floats, index: pd.MultiIndex) -> Floats:
    """From a row per patient, case and seed to a row per patient: the mean over seeds, then over cases."""
    frame = pd.DataFrame(values, index=index)
    return frame.groupby(level=[0, 1]).mean().groupby(level=0).mean().to_numpy()


def _precision_at_recalls(predicted: Floats, found: Floats, truth: Floats) -> Floats:
    precision = np.divide(found, predicted, out=np.zeros_like(found), where=predicted > 0)
    # Thresholds rise along the last axis and recall falls, so the best among those that reach a recall runs up to it.
    best = np.maximum.accumulate(precision, axis=1)
    recall = found / truth
    reached = (recall[:, None, :] >= RECALLS[None, :, None] - 1e-12).sum(axis=2) - 1
    return np.asarray(np.take_along_axis(best, reached, axis=1), dtype=np.float64)


def _rebinned(values: Floats) -> Floats:
    return np.asarray(values.reshape(RELIABILITY_BINS, -1).sum(axis=1), dtype=np.float64)


def _reliability(counts: Floats, sums: Floats) -> Floats:
    elements, positives = (_rebinned(each).astype(np.int64) for each in counts)
    points = ProbabilityHistogram(elements, positives, _rebinned(sums)).reliability()
    return np.column_stack([points.probability, points.positives])


def draw_curves(axes: Axes, curves: Mapping[str, LossCurves], loss: str, colour: str, note: str) -> None:
    """One loss's precision-recall curves over the pale ones of the others."""
    for other, found in curves.items():
        if other != loss:
            axes.plot(RECALLS, found.precision, color=MUTED, linewidth=0.7, alpha=0.55, zorder=2)
    own = curves.get(loss)
    if own is not None:
        axes.plot(own.pooled[:, 0], own.pooled[:, 1], color=colour, linewidth=1.3, linestyle=(0, (4, 2)), zorder=4)
        axes.plot(RECALLS, own.precision, color=colour, linewidth=2.2, zorder=5)
        axes.plot(
            *own.pooled_half, "o", color=PAPER, markeredgecolor=colour, markeredgewidth=1.6, markersize=6, zorder=6
        )
    _note(axes, note if own is not None else NOTHING, (0.04, 0.04), "left")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="Recall", ylabel="Precision")
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])


def draw_dice(axes: Axes, curves: Mapping[str, LossCurves], loss: str, colour: str) -> None:
    """One loss's Dice against the threshold, with the middle half of its patients, over the pale ones of the others."""
    axes.axvline(0.5, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    for other, found in curves.items():
        if other != loss:
            axes.plot(THRESHOLDS, found.dice, color=MUTED, linewidth=0.7, alpha=0.55, zorder=2)
    own = curves.get(loss)
    if own is not None:
        axes.fill_between(THRESHOLDS, *own.dice_quartiles, color=colour, alpha=0.18, linewidth=0, zorder=1)
        axes.plot(THRESHOLDS, own.dice, color=colour, linewidth=2.2, zorder=5)
        axes.plot(0.5, own.dice[HALF], "o", color=PAPER, markeredgecolor=colour, markeredgewidth=1.6, zorder=6)
        height, drop = own.dice[HALF], 0.07 if own.dice[HALF] > 0.25 else -0.2
        label(axes, (0.5, height - drop), f"{height:.3f} at 0.5", ha="center", va="top")
    else:
        _note(axes, NOTHING, (0.04, 0.04), "left")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Threshold", ylabel="Dice")
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])


def draw_reliability(axes: Axes, own: LossCurves | None, colour: str, note: str) -> Axes:
    """One loss's share of positives against its probability, over a histogram of the probabilities."""
    spec, figure = axes.get_subplotspec(), axes.get_figure()
    assert spec is not None
    assert figure is not None
    axes.remove()
    grid = spec.subgridspec(2, 1, height_ratios=(3.2, 1), hspace=0.04)
    upper = figure.add_subplot(grid[0])
    lower = figure.add_subplot(grid[1], sharex=upper)
    upper.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    if own is not None:
        upper.plot(
            own.reliability[:, 0], own.reliability[:, 1], "o-", color=colour, linewidth=1.6, markersize=3.6, zorder=4
        )
        centres = (np.arange(RELIABILITY_BINS) + 0.5) / RELIABILITY_BINS
        lower.bar(centres, own.elements, width=0.8 / RELIABILITY_BINS, color=colour, alpha=0.8, linewidth=0, zorder=3)
        lower.set_yscale("log", nonpositive="clip")
        lower.set_ylim(0.5, 3 * own.elements.max())
        lower.yaxis.set_major_locator(LogLocator(numticks=3))
        lower.yaxis.set_major_formatter(FuncFormatter(_compact))
        lower.yaxis.set_minor_formatter(NullFormatter())
        lower.tick_params(axis="y", which="minor", length=0)
    _note(upper, note if own is not None else NOTHING, (0.04, 0.98), "left")
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="Share that is truth")
    upper.set_xticks([0, 0.5, 1])
    upper.set_yticks([0, 0.5, 1])
    upper.tick_params(axis="x", labelbottom=False, length=0)
    lower.set(xlabel="Predicted probability", ylabel="Elements")
    lower.grid(visible=False, axis="x")
    lower.grid(visible=True, axis="y", color=GRID)
    return upper


def _compact(value: float, _: object = None) -> str:
    """`100`, `10 k`, `1 M`."""
    for limit, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:g}{letter}"
    return f"{value:g}"


def _note(axes: Axes, text: str, at: tuple[float, float], side: Literal["left", "right"]) -> None:
    vertical = "top" if at[1] > 0.5 else "bottom"
    label(axes, at, text, transform=axes.transAxes, ha=side, va=vertical)
