"""The report's figures, drawn once: as files for a paper and as parts of the page."""

import base64
import io
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from PIL import Image

from unifocal.metrics import METRICS
from unifocal.reporting.drawings_statistics import agreement, critical_difference, rank_shares, variance
from unifocal.reporting.drawings_threshold import probability_drawings
from unifocal.reporting.drawings_work import race, tuning_gain
from unifocal.reporting.drawn import Drawing, Words, finish, panelled, single
from unifocal.reporting.figure import colours, new_figure
from unifocal.reporting.overlay import Pixels
from unifocal.reporting.panels import CasePanel, Measure, build_panel, draw_cases
from unifocal.reporting.plots import Axis, curve_quantity, draw_distribution, draw_precision_recall, draw_training
from unifocal.reporting.plots_sweep import Sweep, draw_sweep, find_sweeps
from unifocal.reporting.selection import choose_cases
from unifocal.reporting.study import StudyView
from unifocal.reporting.tables import direction, metric_title, unit_of, with_unit
from unifocal.reporting.wording import ABSENT, count, enumeration, interval, number, plural
from unifocal.statistics.result import Analysis

__all__ = ["FIGURE_NAMES", "Drawing", "case_panels", "data_uri", "draw_all", "measure_of"]

FIGURE_NAMES = (
    "distribution",
    "precision_recall",
    "parameter_sweep",
    "precision_recall_curves",
    "dice_threshold",
    "reliability",
    "bland_altman",
    "critical_difference",
    "rank_stability",
    "variance",
    "race",
    "tuning_gain",
    "training_curves",
    "cases",
)


def draw_all(study: StudyView, analysis: Analysis, shown: Sequence[CasePanel]) -> dict[str, Drawing]:
    """Every figure that the study has the numbers for, by name.

    Raises:
        InputError: If the study's probabilities cannot be read.
    """
    drawings = (
        distribution(study, analysis),
        precision_recall(study, analysis),
        parameter_sweep(study, analysis),
        *probability_drawings(study, analysis),
        agreement(study, analysis),
        critical_difference(study, analysis),
        rank_shares(study, analysis),
        variance(study, analysis),
        race(study),
        tuning_gain(study),
        training_curves(study),
        _cases(shown),
    )
    return {drawing.name: drawing for drawing in drawings if drawing is not None}


def measure_of(analysis: Analysis) -> Measure:
    """The metric that the verdict rests on."""
    metric, label = analysis.verdict.metric, analysis.verdict.label
    return Measure(metric, label, metric_title(metric), unit_of(analysis.summary, metric))


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


def _means(analysis: Analysis) -> pd.DataFrame:
    summary, verdict = analysis.summary, analysis.verdict
    return summary[(summary["metric"] == verdict.metric) & (summary["label"] == verdict.label)]


def distribution(study: StudyView, analysis: Analysis) -> Drawing | None:
    """Each case's value of the main metric."""
    measure = measure_of(analysis)
    values = study.values(measure.metric, measure.label)
    if values.empty:
        return None
    means = _means(analysis)
    bounded = measure.metric in METRICS and METRICS[measure.metric].range == (0.0, 1.0)
    axis = Axis(with_unit(f"{measure.title} per case", measure.unit), bounded=bounded)
    several = len(study.losses) > 1
    joined = f", joined by a faint line to the same case under the next {study.noun}" if several else ""
    cases, patients = values["case"].nunique(), values["patient"].nunique()
    words = Words(
        title=f"{measure.title} of each case",
        caption=(
            f"One dot per case (n = {count(cases, 'case')} of {count(patients, 'patient')}){joined}. Box: the middle "
            "half of the cases with their median. Diamond and line: the mean over patients with its 95 % interval."
        ),
        alt=f"{axis.title}. {_means_in_words(means, study.losses, 2 if measure.unit else 3)}",
        section="scores",
    )
    return single("distribution", words, draw_distribution(values, means, colours(study.losses), axis))


def _means_in_words(means: pd.DataFrame, losses: Sequence[str], digits: int) -> str:
    by_loss = {str(row["loss"]): row for row in means.to_dict("records")}
    said = []
    for loss in losses:
        row = by_loss.get(loss)
        value = number(float(row["mean"]), digits) if row is not None else ABSENT
        bounds = interval(float(row["lower"]), float(row["upper"]), digits) if row is not None else ""
        said.append(f"{loss}: mean {value}{' ' + bounds if bounds else ''}" if value != ABSENT else f"{loss}: none")
    return f"{'; '.join(said)}."


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

    others = f"; small grey dots: the other {plural(study.noun)}' means" if len(study.losses) > 1 else ""
    words = Words(
        title="Precision against recall of each case",
        caption=(
            "Up: fewer false positives. Right: less is missed. One dot per case (n = "
            f"{count(cases['case'].nunique(), 'case')}); large diamond: this {study.noun}'s mean over "
            f"patients{others}. Grey curves join points of equal Dice."
        ),
        alt="Mean precision and recall: "
        + "; ".join(f"{loss} {row['precision']:.3f} and {row['recall']:.3f}" for loss, row in means.iterrows())
        + ".",
        section="scores",
    )
    return panelled("precision_recall", words, colours(study.losses), draw)


def parameter_sweep(study: StudyView, analysis: Analysis) -> Drawing | None:
    """The main metric against a parameter that the study tried at three values or more."""
    means = _means(analysis).dropna(subset="mean").set_index("loss")
    sweeps = find_sweeps(study.setting("losses"), [str(loss) for loss in means.index])
    if not sweeps:
        return None
    measure = measure_of(analysis)
    title = with_unit(measure.title, measure.unit)
    heights = [2.9 + 0.17 * len(sweep.lines) for sweep in sweeps]
    whole = new_figure(4.6 * len(sweeps), max(heights))
    parts = []
    panels = whole.subplots(1, len(sweeps), squeeze=False)[0]
    for sweep, axes, height in zip(sweeps, panels, heights, strict=True):
        reference = _best_other(means, sweep, measure.metric)
        alone = new_figure(4.6, height)
        for target in (axes, alone.subplots()):
            draw_sweep(target, sweep, means, reference, title)
        parts.append(("", alone))
    named = enumeration([sweep.parameter for sweep in sweeps])
    words = Words(
        title=f"{measure.title} against {named}",
        caption=(
            f"Mean over patients with its 95 % interval (n = {count(int(means['n_patients'].max()), 'patient')}) at "
            "each value of the parameter that was tried; every other parameter the same along a line. Dotted: the "
            f"best of the other {plural(study.noun)}. The best value of a curve was found on these very cases, so it "
            "is flattered."
        ),
        alt=_sweep_in_words(sweeps, means, measure),
        section="scores",
    )
    return finish("parameter_sweep", words, whole, parts)


def _best_other(means: pd.DataFrame, sweep: Sweep, metric: str) -> str | None:
    others = means.loc[[loss for loss in means.index if loss not in sweep.labels], "mean"]
    if others.empty:
        return None
    return str(others.idxmax() if direction(metric) == "higher" else others.idxmin())


def _sweep_in_words(sweeps: Sequence[Sweep], means: pd.DataFrame, measure: Measure) -> str:
    said = []
    for sweep in sweeps:
        for line in sweep.lines:
            points = ", ".join(f"{value:g}: {float(means['mean'][loss]):.3f}" for value, loss in line.points)
            said.append(f"{measure.title} of {line.name} by {sweep.parameter}: {points}.")
    return " ".join(said)


def training_curves(study: StudyView) -> Drawing | None:
    """Each run's validation curve, a panel per loss."""
    quantity = curve_quantity(study.runs)
    if quantity is None:
        return None

    def draw(axes: Axes, loss: str, colour: str) -> None:
        draw_training(axes, [run for run in study.runs if run.loss == loss], quantity, colour)

    shown = "Dice" if quantity == "validation_dice" else "loss"
    per_loss = {
        loss: [run for run in study.runs if run.loss == loss and run.history is not None] for loss in study.losses
    }
    words = Words(
        title="Training",
        caption=(
            f"{f'Validation {shown}'} by epoch. Thin: one run each (n = "
            f"{count(sum(map(len, per_loss.values())), 'run')}), with a dot at the epoch whose weights were kept. "
            "Bold: the median over the runs, while at least half of them go on."
            + (" Losses are measured differently, so compare shapes, not heights." if shown == "loss" else "")
        ),
        alt=f"Validation {shown} by epoch: {_training_in_words(per_loss, quantity)}.",
        section="training",
    )
    return panelled("training_curves", words, colours(study.losses), draw)


def _training_in_words(per_loss: Mapping[str, Sequence[object]], quantity: str) -> str:
    said = []
    for loss, runs in per_loss.items():
        histories = [getattr(run, "history", None) for run in runs]
        best = [
            float(history[quantity].max() if quantity == "validation_dice" else history[quantity].min())
            for history in histories
            if history is not None and quantity in history
        ]
        ends = f", best {min(best):.3f} to {max(best):.3f}" if best else ""
        said.append(f"{loss} {count(len(runs), 'run')}{ends}")
    return "; ".join(said)


def _cases(shown: Sequence[CasePanel]) -> Drawing | None:
    if not shown:
        return None
    names = enumeration([f"{panel.choice.case} ({panel.choice.reason})" for panel in shown])
    words = Words(
        title="Examples",
        caption=(
            "Image, truth and one panel each, from the worst case to the best, chosen by rule. False positives "
            "magenta, false negatives green, true positives outlined in white."
        ),
        alt=f"{count(len(shown), 'case')}: {names}.",
        section="cases",
    )
    return finish("cases", words, draw_cases(shown), [])


def data_uri(pixels: Pixels) -> str:
    """A picture as a PNG inside a link."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
