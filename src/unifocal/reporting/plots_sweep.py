"""A loss's parameter against the metric, as in the gamma sweep of the Unified Focal loss's paper (its Figure 3)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from unifocal.reporting.figure import DASHES, MARKERS, MUTED, PALETTE
from unifocal.reporting.wording import shortened

FEWEST_VALUES = 3
LONGEST_NAME = 44
# Of the range of values: lines stand so far beside each other that their intervals can be told apart.
APART = 0.014


@dataclass(frozen=True)
class SweepLine:
    """One loss at several values of one parameter, everything else the same.

    Attributes:
        name: The loss, with its other parameters.
        points: The values, rising, each with the label of the loss that had it.
    """

    name: str
    points: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Sweep:
    """The lines of one parameter."""

    parameter: str
    lines: tuple[SweepLine, ...]

    @property
    def labels(self) -> frozenset[str]:
        """The losses on its lines."""
        return frozenset(label for line in self.lines for _, label in line.points)


def find_sweeps(entries: Any, losses: Sequence[str]) -> list[Sweep]:
    """The parameters that take three values or more in one loss while its others stay the same.

    Args:
        entries: The losses of `study.yaml`: mappings with `name, label, parameters`.
        losses: The labels that count.
    """
    lines: dict[tuple[str, str, str], dict[float, str]] = {}
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, Mapping) or entry.get("label") not in losses:
            continue
        given = entry.get("parameters")
        parameters: Mapping[Any, Any] = given if isinstance(given, Mapping) else {}
        for parameter, value in parameters.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                continue
            others = ", ".join(f"{key}={parameters[key]}" for key in sorted(parameters, key=str) if key != parameter)
            key = (str(parameter), str(entry.get("name", "")), others)
            lines.setdefault(key, {})[float(value)] = str(entry["label"])
    found: dict[str, list[SweepLine]] = {}
    for (parameter, name, others), points in lines.items():
        if len(points) >= FEWEST_VALUES:
            title = f"{name} ({others})" if others else name
            found.setdefault(parameter, []).append(SweepLine(title, tuple(sorted(points.items()))))
    return [Sweep(parameter, tuple(each)) for parameter, each in found.items()]


def draw_sweep(axes: Axes, sweep: Sweep, means: pd.DataFrame, reference: str | None, title: str) -> None:
    """A line per loss through its means, each with its interval; another loss's mean as a level to compare with.

    Args:
        axes: Where to draw.
        sweep: What to draw.
        means: `mean, lower, upper`, indexed by the loss's label.
        reference: The label of the loss drawn as a level; None for none.
        title: The metric, with its unit.
    """
    if reference is not None:
        level = float(means["mean"][reference])
        label = f"{shortened(reference, LONGEST_NAME)} (best of the others)"
        axes.axhline(level, color=MUTED, linewidth=1.2, linestyle=(0, (2, 2)), zorder=1, label=label)
    by_loss = means.to_dict("index")
    tried = [value for line in sweep.lines for value, _ in line.points]
    apart = APART * (max(tried) - min(tried))
    for place, line in enumerate(sweep.lines):
        beside = apart * (place - (len(sweep.lines) - 1) / 2)
        points = [(value + beside, by_loss[label]) for value, label in line.points if label in by_loss]
        x = [value for value, _ in points]
        y = [float(row["mean"]) for _, row in points]
        colour = PALETTE[place % len(PALETTE)]
        for at, row in points:
            axes.plot([at, at], [row["lower"], row["upper"]], color=colour, linewidth=1.3, alpha=0.75, zorder=2)
        axes.plot(
            x, y, color=colour, linewidth=1.9, linestyle=DASHES[place % len(DASHES)],
            marker=MARKERS[place % len(MARKERS)], markersize=5.5, zorder=3 + place,
            label=shortened(line.name, LONGEST_NAME),
        )  # fmt: skip
    axes.set(xlabel=sweep.parameter, ylabel=title)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), frameon=False, fontsize=8, borderpad=0)
