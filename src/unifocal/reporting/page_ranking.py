"""The ranking as the page draws it: intervals on a common axis."""

import math
from dataclasses import dataclass

from unifocal.metrics import METRICS
from unifocal.reporting.drawings import measure_of
from unifocal.reporting.wording import digits_for, interval, number, share
from unifocal.statistics.result import Analysis


@dataclass(frozen=True)
class RankedLoss:
    """A row of the ranking.

    Attributes:
        loss: Its label.
        mean: In print.
        interval: In print.
        probability: Of being the best, in percent, in print.
        share: The same between 0 and 1, for the bar.
        rank: The mean rank over patients, in print.
        left: Where the interval starts on the common axis, in percent.
        width: How wide it is there.
        centre: Where the mean lies.
    """

    loss: str
    mean: str
    interval: str
    probability: str
    share: float
    rank: str
    left: float
    width: float
    centre: float


def ranking(analysis: Analysis) -> tuple[str, str, list[RankedLoss]]:
    """The two ends of the common axis in print, and the losses, best first."""
    table = analysis.ranking
    measure = measure_of(analysis)
    ends = [value for name in ("mean", "lower", "upper") for value in table[name].astype(float) if math.isfinite(value)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    room = 0.08 * (high - low) or 0.01
    # No axis reaches where no value can lie, unless everything lies at that end.
    least, most = (
        METRICS[analysis.verdict.metric].range if analysis.verdict.metric in METRICS else (-math.inf, math.inf)
    )
    low, high = max(low - room, min(low, least)), min(high + room, max(high, most))
    digits = digits_for(measure.unit, float(table["mean"].min()) if len(table) else 0.0)

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2) if math.isfinite(value) else 0.0

    rows = []
    for row in table.to_dict("records"):
        mean, lower, upper = (float(row[name]) for name in ("mean", "lower", "upper"))
        best = float(row["probability_best"])
        width = place(upper) - place(lower) if math.isfinite(upper - lower) else 0.0
        rows.append(
            RankedLoss(
                loss=str(row["loss"]),
                mean=number(mean, digits),
                interval=interval(lower, upper, digits),
                probability=share(best),
                share=best if math.isfinite(best) else 0.0,
                rank=number(float(row["mean_rank"]), 2),
                left=place(lower),
                width=round(width, 2),
                centre=place(mean),
            )
        )
    return number(low, 2), number(high, 2), rows
