"""Bland and Altman's plot: predicted minus true size against their mean."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from unifocal.reporting.figure import INK, MUTED, label
from unifocal.reporting.plots import opacity
from unifocal.reporting.wording import signed


def sizes_of(truth: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """From each case's two sizes to what is drawn.

    Args:
        truth: `loss, case, patient, value`.
        prediction: The same.

    Returns:
        `loss, case, patient, mean, difference`; the difference is prediction minus truth.
    """
    both = truth.merge(prediction, on=["loss", "case", "patient"], suffixes=("_truth", "_prediction"))
    return both.assign(
        mean=(both["value_truth"] + both["value_prediction"]) / 2,
        difference=both["value_prediction"] - both["value_truth"],
    )[["loss", "case", "patient", "mean", "difference"]]


def limits_of(cases: pd.DataFrame, agreement: pd.DataFrame) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ends of both axes, the same for every loss so that panels compare."""
    drawn = [*cases["difference"], *agreement["limit_lower"], *agreement["limit_upper"], 0.0]
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    room = 0.06 * (high - low) or 1.0
    largest = cases["mean"].max()
    return (0.0, 1.05 * largest if largest > 0 else 1.0), (low - room, high + 3 * room)


def draw_agreement(axes: Axes, cases: pd.DataFrame, found: Mapping[Any, Any], colour: str, unit: str) -> None:
    """One loss: a dot per case, the bias with its interval, the limits of agreement.

    Args:
        axes: Where to draw.
        cases: `mean, difference`.
        found: `bias, bias_lower, bias_upper, limit_lower, limit_upper`, and the limits' own intervals where known.
        colour: The loss's.
        unit: Of both axes.
    """
    axes.axhline(0, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    axes.scatter(
        cases["mean"], cases["difference"], s=13, color=colour, alpha=opacity(len(cases)), linewidths=0, zorder=3
    )
    _band(axes, found, "bias", colour)
    if math.isfinite(float(found["bias"])):
        axes.axhline(float(found["bias"]), color=INK, linewidth=1.6, zorder=4)
    for name in ("limit_lower", "limit_upper"):
        _band(axes, found, name, MUTED)
        if math.isfinite(float(found[name])):
            axes.axhline(float(found[name]), color=INK, linewidth=1.0, linestyle=(0, (5, 2)), zorder=4)
    digits = 2 if abs(float(found["bias"])) < 10 else 0
    words = f"bias {signed(float(found['bias']), digits)} {unit}"
    label(axes, (0.98, 0.98), words, transform=axes.transAxes, ha="right", va="top")
    axes.set(xlabel=f"Mean of both ({unit})", ylabel=f"Difference ({unit})")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _band(axes: Axes, found: Mapping[Any, Any], name: str, colour: str) -> None:
    ends = [float(found.get(f"{name}_{end}", math.nan)) for end in ("lower", "upper")]
    if all(map(math.isfinite, ends)):
        axes.axhspan(*ends, color=colour, alpha=0.2, linewidth=0, zorder=2)
