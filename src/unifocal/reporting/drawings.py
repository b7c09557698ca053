"""The report's figures, drawn once: as files for a paper and as parts of the page."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from unifocal.reporting.figure import colours, inline, new_figure, panels, to_png, to_svg
from unifocal.reporting.overlay import Pixels
from unifocal.reporting.panels import CasePanel, Measure, build_panel, draw_cases
from unifocal.reporting.plots import (
    Axis,
    curve_quantity,
    draw_distribution,
    draw_precision_recall,
    draw_training,
)
from unifocal.reporting.selection import choose_cases
from unifocal.reporting.study import StudyView
from unifocal.reporting.tables import direction, metric_title
from unifocal.statistics.result import Analysis

PANEL_INCHES = (2.7, 2.5)
FIGURE_NAMES = ("distribution", "precision_recall", "training_curves", "cases")


@dataclass(frozen=True)
class Drawing:
    """One figure.

    Attributes:
        name: Of its files.
        svg: For `figures/`.
        png: For `figures/`.
        parts: SVGs for the page, each with the loss that it is about (empty: all of them).
    """

    name: str
    svg: str
    png: bytes
    parts: tuple[tuple[str, str], ...]


def draw_all(study: StudyView, analysis: Analysis, shown: Sequence[CasePanel]) -> dict[str, Drawing]:
    """Every figure that the study has the numbers for, by name."""
    drawings = (
        distribution(study, analysis),
        precision_recall(study, analysis),
        training_curves(study),
        _cases(shown),
    )
    return {drawing.name: drawing for drawing in drawings if drawing is not None}


def measure_of(analysis: Analysis) -> Measure:
    """The metric that the verdict rests on."""
    metric, label = analysis.verdict.metric, analysis.verdict.label
    units = analysis.summary.loc[analysis.summary["metric"] == metric, "unit"].dropna()
    unit = str(units.iloc[0]) if len(units) else ""
    return Measure(metric, label, metric_title(metric), unit)


def case_panels(study: StudyView, analysis: Analysis) -> list[CasePanel]:
    """The chosen cases with their pictures, worst first."""
    measure = measure_of(analysis)
    choices = choose_cases(
        study.values(measure.metric, measure.label),
        study.cases,
        study.categories,
        higher_is_better=direction(measure.metric) != "lower",
    )
    known = set(study.cases["case"])
    return [build_panel(study, choice, measure) for choice in choices if choice.case in known]


def distribution(study: StudyView, analysis: Analysis) -> Drawing | None:
    """Each case's value of the main metric."""
    measure = measure_of(analysis)
    values = study.values(measure.metric, measure.label)
    if values.empty:
        return None
    title = f"{measure.title} per case{f' ({measure.unit})' if measure.unit else ''}"
    summary = analysis.summary
    means = summary[(summary["metric"] == measure.metric) & (summary["label"] == measure.label)]
    axis = Axis(title, bounded=not measure.unit)
    figure = draw_distribution(values, means, colours(study.losses), axis)
    return _drawing("distribution", figure, [("", figure)])


def precision_recall(study: StudyView, analysis: Analysis) -> Drawing | None:
    """Each case's precision against its recall, a panel per loss."""
    label, summary = analysis.verdict.label, analysis.summary
    sides = [
        study.values(metric, label).rename(columns={"value": metric}).drop(columns="patient")
        for metric in ("precision", "recall")
    ]
    cases = sides[0].merge(sides[1], on=["loss", "case"])
    if cases.empty:
        return None
    wanted = summary[(summary["label"] == label) & summary["metric"].isin(["precision", "recall"])]
    means = wanted.pivot_table(index="loss", columns="metric", values="mean").dropna()

    def draw(axes: Axes, loss: str, colour: str) -> None:
        draw_precision_recall(axes, cases[cases["loss"] == loss], means, colour, loss)

    return _panelled("precision_recall", colours(study.losses), draw)


def training_curves(study: StudyView) -> Drawing | None:
    """Each run's validation curve, a panel per loss."""
    quantity = curve_quantity(study.runs)
    if quantity is None:
        return None

    def draw(axes: Axes, loss: str, colour: str) -> None:
        draw_training(axes, [run for run in study.runs if run.loss == loss], quantity, colour)

    return _panelled("training_curves", colours(study.losses), draw)


def _panelled(name: str, losses: Mapping[str, str], draw: Callable[[Axes, str, str], None]) -> Drawing:
    """One figure with all panels for the file, and each panel alone for the page to arrange."""
    width, height = PANEL_INCHES
    whole, all_axes = panels(len(losses), width, height)
    parts = []
    for axes, (loss, colour) in zip(all_axes, losses.items(), strict=True):
        draw(axes, loss, colour)
        axes.set_title(loss.replace("(", "\n("), fontsize=8)
        single = new_figure(width, height)
        draw(single.subplots(), loss, colour)
        parts.append((loss, single))
    return _drawing(name, whole, parts)


def _cases(shown: Sequence[CasePanel]) -> Drawing | None:
    if not shown:
        return None
    return _drawing("cases", draw_cases(shown), [])


def _drawing(name: str, whole: Figure, parts: Sequence[tuple[str, Figure]]) -> Drawing:
    pieces = [
        (loss, inline(to_svg(figure), f"{name.replace('_', '-')}-{index}"))
        for index, (loss, figure) in enumerate(parts)
    ]
    svg = to_svg(whole)
    # Saving arranged the axes; arranging them again for the PNG would take as long as drawing it.
    whole.set_layout_engine("none")
    return Drawing(name, svg, to_png(whole), tuple(pieces))


def data_uri(pixels: Pixels) -> str:
    """A picture as a PNG inside a link."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
