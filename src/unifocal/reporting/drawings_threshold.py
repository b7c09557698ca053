"""Figures from predicted probabilities, as far as the study kept them."""

import math
from collections.abc import Mapping

from matplotlib.axes import Axes

from unifocal.reporting.drawn import PANEL_INCHES, Drawing, Words, panelled
from unifocal.reporting.figure import colours
from unifocal.reporting.plots_probability import (
    HALF,
    RELIABILITY_BINS,
    LossCurves,
    curves_of,
    draw_curves,
    draw_dice,
    draw_reliability,
    read_probabilities,
)
from unifocal.reporting.study import StudyView
from unifocal.reporting.wording import count, number, plural
from unifocal.statistics.result import Analysis

TALL_PANEL = (PANEL_INCHES[0], 3.2)


def probability_drawings(study: StudyView, analysis: Analysis) -> list[Drawing]:
    """Precision-recall curves, Dice against threshold, reliability; none where the study kept no probabilities.

    Raises:
        InputError: If the study's probabilities cannot be read.
    """
    table = read_probabilities(study.folder, analysis.verdict.label)
    if table is None:
        return []
    found = {loss: curves_of(table[table["loss"] == loss]) for loss in study.losses}
    curves = {loss: each for loss, each in found.items() if each is not None}
    if not curves:
        return []
    return [
        _precision_recall(study, analysis, curves),
        _dice(study, curves),
        _reliability(study, analysis, curves),
    ]


def _sample(curves: Mapping[str, LossCurves]) -> str:
    most = max(curves.values(), key=lambda each: each.n_cases)
    return f"n = {count(most.n_cases, 'case')} of {count(most.n_patients, 'patient')} whose truth holds the label"


def _means(analysis: Analysis, metric: str) -> dict[str, float]:
    summary, label = analysis.summary, analysis.verdict.label
    chosen = summary[(summary["metric"] == metric) & (summary["label"] == label)]
    return {str(row["loss"]): float(row["mean"]) for row in chosen.to_dict("records")}


def _precision_recall(study: StudyView, analysis: Analysis, curves: Mapping[str, LossCurves]) -> Drawing:
    areas = _means(analysis, "average_precision")

    def draw(axes: Axes, loss: str, colour: str) -> None:
        area = areas.get(loss, math.nan)
        draw_curves(axes, curves, loss, colour, f"average precision {number(area, 3)}" if math.isfinite(area) else "")

    words = Words(
        title="Precision-recall curves over all thresholds",
        caption=(
            "Bold: the mean over patients; at each recall a case counts with its best precision at any threshold that "
            "reaches it. Dashed: the elements of all cases pooled, where large lesions dominate; its ring is the "
            f"threshold 0.5. Grey: the other {plural(study.noun)}' means. {_sample(curves)}. The average precision is "
            "the mean over patients."
        ),
        alt="Precision at recall 0.5 and 0.9, mean over patients: "
        + "; ".join(f"{loss} {each.precision[50]:.3f} and {each.precision[90]:.3f}" for loss, each in curves.items())
        + ".",
        section="probabilities",
    )
    return panelled("precision_recall_curves", words, colours(study.losses), draw)


def _dice(study: StudyView, curves: Mapping[str, LossCurves]) -> Drawing:
    def draw(axes: Axes, loss: str, colour: str) -> None:
        draw_dice(axes, curves, loss, colour)

    words = Words(
        title="Dice against the threshold",
        caption=(
            "Mean over patients if every element with at least the threshold's probability were foreground; shaded: "
            f"the middle half of the patients; grey: the other {plural(study.noun)}. {_sample(curves)}. Flat is good: "
            "the choice of the threshold matters little. A threshold picked from this curve is tuned on the very "
            "cases it is judged on."
        ),
        alt="Mean Dice at the threshold 0.5, and the highest: "
        + "; ".join(
            f"{loss} {each.dice[HALF]:.3f}, highest {each.dice.max():.3f} at {each.dice.argmax() / 100:g}"
            for loss, each in curves.items()
        )
        + ".",
        section="probabilities",
    )
    return panelled("dice_threshold", words, colours(study.losses), draw)


def _reliability(study: StudyView, analysis: Analysis, curves: Mapping[str, LossCurves]) -> Drawing:
    errors = _means(analysis, "ece")

    def draw(axes: Axes, loss: str, colour: str) -> Axes:
        error = errors.get(loss, math.nan)
        return draw_reliability(
            axes, curves.get(loss), colour, f"ECE {number(error, 4)}" if math.isfinite(error) else ""
        )

    words = Words(
        title="Reliability of the probabilities",
        caption=(
            f"The share of elements that are truth among those of one predicted probability, in {RELIABILITY_BINS} "
            "bins over the elements of all cases. On the dashed line: calibrated. Below it: too sure. Bars: how many "
            "elements each bin holds, on a logarithmic scale; points over few elements say little. ECE: expected "
            "calibration error, mean over patients; most elements are sure background, so it is small for every "
            "network."
        ),
        alt="Expected calibration error, mean over patients: "
        + "; ".join(f"{loss} {number(errors.get(loss, math.nan), 4)}" for loss in curves)
        + ".",
        section="probabilities",
    )
    return panelled("reliability", words, colours(study.losses), draw, TALL_PANEL)
