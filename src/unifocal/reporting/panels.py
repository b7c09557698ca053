"""The panel of cases: image, truth, and one picture per loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from unifocal.data.case import Source
from unifocal.data.coding import MaskCoding, label_values
from unifocal.data.read import read_image, read_mask
from unifocal.reporting.figure import INK, MUTED, new_figure
from unifocal.reporting.overlay import (
    GREEN,
    MAGENTA,
    WHITE,
    YELLOW,
    Mask,
    Pixels,
    displayable,
    overview,
    tile,
    window_around,
)
from unifocal.reporting.selection import Choice
from unifocal.reporting.study import Run, StudyView
from unifocal.reporting.wording import count, number

DARK = 40
KEY = (
    ("false positive", MAGENTA),
    ("false negative (missed)", GREEN),
    ("outline of the true positives", WHITE),
    ("outline of the truth", YELLOW),
)


@dataclass(frozen=True)
class Tile:
    """One picture of a case.

    Attributes:
        title: `Image`, `Truth` or the loss.
        value: The metric's value in print; empty for image and truth.
        note: What else to say, or why there is no picture.
        pixels: (rows, columns, 3); None when a file was missing.
    """

    title: str
    value: str
    note: str
    pixels: Pixels | None


@dataclass(frozen=True)
class CasePanel:
    """One case's row of pictures.

    Attributes:
        choice: The case and why it was chosen.
        about: Patient and attributes in words.
        tiles: Image, truth, then the losses.
    """

    choice: Choice
    about: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Measure:
    """Which number is printed with each picture."""

    metric: str
    label: int
    title: str
    unit: str


def build_panel(study: StudyView, choice: Choice, measure: Measure) -> CasePanel:
    """Read one case's files and draw its pictures; a missing file leaves a note in its place."""
    row = study.cases[study.cases["case"] == choice.case].iloc[0]
    about = [f"patient {row['patient']}", *(f"{name} {row[name]}" for name in study.categories if row[name])]
    truth, trouble = _read_truth(study, row, measure.label)
    base, image_trouble = _read_base(study, row)
    if truth is not None and base is not None and truth.shape != base.shape[:2]:
        base, image_trouble = None, "The image and its mask differ in size"
    if truth is None:
        tiles = [_whole_image(base, image_trouble), Tile("Truth", "", trouble, None)]
        tiles += [Tile(loss, "", "Not drawn without the truth", None) for loss in study.losses]
        return CasePanel(choice, ", ".join(about), tuple(tiles))
    canvas = base if base is not None else np.full((*truth.shape, 3), DARK, dtype=np.uint8)
    window = window_around(truth) or (slice(0, truth.shape[0]), slice(0, truth.shape[1]))
    first = Tile("Image", "", "", overview(canvas, window)) if base is not None else None
    tiles = [first or Tile("Image", "", image_trouble, None)]
    tiles.append(Tile("Truth", "", _truth_note(truth), tile(canvas, truth, None, window)))
    for loss in study.losses:
        value = _value(study, loss, choice.case, measure)
        prediction, trouble = _read_prediction(study, loss, choice.case, truth, measure.label)
        if prediction is None:
            tiles.append(Tile(loss, value, trouble, None))
            continue
        outside = prediction & ~truth
        outside[window] = False
        hidden = int(outside.sum())
        note = f"{count(hidden, 'false-positive pixel')} outside this view" if hidden else ""
        tiles.append(Tile(loss, value, note, tile(canvas, truth, prediction, window)))
    return CasePanel(choice, ", ".join(about), tuple(tiles))


def _whole_image(base: Pixels | None, trouble: str) -> Tile:
    if base is None:
        return Tile("Image", "", trouble, None)
    everything = (slice(0, base.shape[0]), slice(0, base.shape[1]))
    return Tile("Image", "", "", overview(base, everything))


def _truth_note(truth: Mask) -> str:
    return count(int(truth.sum()), "pixel") if truth.any() else "empty"


def _locate(study: StudyView, name: str) -> Source | None:
    """The files that a cell of `cases.csv` names: absolute, or relative to the study or the data folder."""
    places = [study.folder, Path(str(study.setting("data", "folder") or "."))]
    found = (Source.from_text(name, place) for place in places if name)
    return next((source for source in found if all(path.is_file() for path in source.paths)), None)


def _read_base(study: StudyView, row: Any) -> tuple[Pixels | None, str]:
    name = str(row.get("image", ""))
    source = _locate(study, name)
    if source is None:
        return None, f"The image file {Path(name).name or 'of this case'} is no longer there"
    try:
        return displayable(read_image(source).array), ""
    except (OSError, ValueError):
        return None, f"The image file {source.path.name} cannot be read"


def _read_truth(study: StudyView, row: Any, label: int) -> tuple[Mask | None, str]:
    name = str(row.get("mask", ""))
    source = _locate(study, name)
    if source is None:
        return None, f"The mask file {Path(name).name or 'of this case'} is no longer there"
    try:
        mask = read_mask(source).array
    except (OSError, ValueError):
        return None, f"The mask file {source.path.name} cannot be read"
    return np.asarray(label_values(mask, _coding(study)) == label), ""


def _coding(study: StudyView) -> MaskCoding:
    """What the study took the masks' values for; without a word on it, everything above 0 is label 1."""
    threshold, is_black_and_white = study.setting("data", "mask_threshold"), study.setting("data", "black_and_white")
    keep = study.setting("data", "kept_values")
    return MaskCoding(threshold, is_black_and_white is not False, None if keep is None else tuple(keep))


def _read_prediction(study: StudyView, loss: str, case: str, truth: Mask, label: int) -> tuple[Mask | None, str]:
    run = _run_of(study, loss, case)
    if run is None:
        return None, "No prediction of this case was kept"
    path = run.prediction(case)
    try:
        mask = read_mask(path).array == label
    except (OSError, ValueError):
        return None, f"The predicted mask {path.name} cannot be read"
    if mask.shape != truth.shape:
        return None, "The predicted mask and the truth differ in size"
    return np.asarray(mask), ""


def _run_of(study: StudyView, loss: str, case: str) -> Run | None:
    """The first run (lowest seed) of a loss that predicted the case."""
    runs = [run for run in study.runs if run.loss == loss and run.prediction(case).is_file()]
    return min(runs, key=lambda run: (run.seed, run.fold), default=None)


def _value(study: StudyView, loss: str, case: str, measure: Measure) -> str:
    scores = study.scores
    chosen = scores[
        (scores["loss"] == loss)
        & (scores["case"] == case)
        & (scores["metric"] == measure.metric)
        & (scores["label"] == measure.label)
    ]
    run = _run_of(study, loss, case)
    if run is not None:
        chosen = chosen[(chosen["seed"] == run.seed) & (chosen["fold"] == run.fold)]
    if chosen.empty:
        return ""
    value = float(chosen.iloc[0]["value"])
    shown = "undefined" if np.isnan(value) else number(value, 2 if measure.unit else 3)
    return " ".join(part for part in (measure.title, shown, measure.unit) if part)


def draw_cases(panels: Sequence[CasePanel]) -> Figure:
    """All panels as one figure for a paper."""
    columns = len(panels[0].tiles)
    height = 1.5 * len(panels) + 0.6
    figure = new_figure(1.3 * columns, height, layout=None)
    grid = figure.subplots(len(panels), columns, squeeze=False)
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - 0.35 / height, bottom=0.5 / height, wspace=0.06, hspace=0.24)
    for row, panel in enumerate(panels):
        for column, picture in enumerate(panel.tiles):
            axes = grid[row, column]
            axes.set_axis_off()
            if row == 0:
                axes.set_title(picture.title.replace("(", "\n("), fontsize=6.5, color=INK, loc="center")
            if picture.pixels is not None:
                axes.imshow(picture.pixels, interpolation="nearest")
            caption = picture.value or picture.note
            if column == 0:
                caption = f"{panel.choice.case}\n{panel.choice.reason}"
            elif picture.pixels is None:
                caption = f"{picture.value}\nno picture".strip()
            axes.text(0.5, -0.03, caption, transform=axes.transAxes, fontsize=6, color=MUTED, ha="center", va="top")
    figure.legend(
        handles=[Patch(facecolor="#{:02x}{:02x}{:02x}".format(*colour), edgecolor=MUTED) for _, colour in KEY],
        loc="lower center",
        labels=[words for words, _ in KEY],
        ncols=len(KEY),
        fontsize=6.5,
        frameon=False,
        handlelength=1.0,
        columnspacing=1.4,
    )
    return figure
