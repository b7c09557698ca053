"""The panel of cases: image, truth, and one picture per loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from unifocal.reporting.figure import INK, MUTED, new_figure
from unifocal.reporting.overlay import (
    GREEN,
    MAGENTA,
    WHITE,
    YELLOW,
    Mask,
    Pixels,
    displayable,
    isotropic,
    overview,
    tile,
    window_around,
)
from unifocal.reporting.selection import Choice
from unifocal.reporting.study import StudyView
from unifocal.reporting.viewer_case import LoadedCase, load_case
from unifocal.reporting.viewer_files import read_base
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
    """Read one case's files and draw its pictures; a missing file leaves a note in its place.

    Of a volume, the slice with most of the truth is shown, or with most that was predicted where there is no truth.
    """
    row = {str(key): value for key, value in study.cases[study.cases["case"] == choice.case].iloc[0].items()}
    about = [f"patient {row['patient']}", *(f"{name} {row[name]}" for name in study.categories if row[name])]
    loaded = load_case(study, row, [measure.label], ())
    if isinstance(loaded, str):
        tiles = [_whole_image(study, row), Tile("Truth", "", loaded, None)]
        tiles += [Tile(loss, "", "Not drawn without the truth", None) for loss in study.losses]
        return CasePanel(choice, ", ".join(about), tuple(tiles))
    index = _fullest_slice(loaded)
    if loaded.truth.shape[0] > 1:
        about.append(f"slice {index + 1} of {loaded.truth.shape[0]} ({loaded.plane.name})")
    truth = _square(loaded, loaded.truth[index])
    base = _base(loaded, index)
    canvas = base if base is not None else np.full((*truth.shape, 3), DARK, dtype=np.uint8)
    window = window_around(truth) or (slice(0, truth.shape[0]), slice(0, truth.shape[1]))
    first = Tile("Image", "", "", overview(canvas, window)) if base is not None else None
    tiles = [first or Tile("Image", "", loaded.base_trouble, None)]
    tiles.append(Tile("Truth", "", _truth_note(loaded.truth[index] > 0), tile(canvas, truth, None, window)))
    for loss, stacks, trouble in zip(study.losses, loaded.predictions, loaded.troubles, strict=True):
        value = _value(study, loss, choice.case, measure)
        if stacks[0] is None:
            tiles.append(Tile(loss, value, trouble, None))
            continue
        prediction = _square(loaded, stacks[0][index])
        outside = prediction & ~truth
        outside[window] = False
        hidden = int(outside.sum())
        note = f"{count(hidden, 'false-positive pixel')} outside this view" if hidden else ""
        tiles.append(Tile(loss, value, note, tile(canvas, truth, prediction, window)))
    return CasePanel(choice, ", ".join(about), tuple(tiles))


def _fullest_slice(loaded: LoadedCase) -> int:
    """The slice with most foreground in the truth, else in the predictions, else the middle one."""
    for stacks in ([loaded.truth], loaded.all_predictions):
        sizes = sum((stack.sizes for stack in stacks), np.zeros(loaded.truth.shape[0], dtype=np.int64))
        if sizes.any():
            return int(np.argmax(sizes))
    return loaded.truth.shape[0] // 2


def _square(loaded: LoadedCase, labels: Pixels) -> Mask:
    return np.asarray(isotropic(labels, loaded.plane.aspect, smooth=False) > 0)


def _base(loaded: LoadedCase, index: int) -> Pixels | None:
    if loaded.base is None:
        return None
    channels = loaded.base.array if loaded.base.array.ndim == 3 else loaded.base.array[:1]
    shown = displayable(np.stack([loaded.plane.stack(channel)[index] for channel in channels]))
    return isotropic(shown, loaded.plane.aspect, smooth=True)


def _whole_image(study: StudyView, row: Mapping[str, Any]) -> Tile:
    scan, trouble = read_base(study, row)
    if scan is None or scan.array.ndim != 3:
        return Tile("Image", "", trouble, None)
    base = displayable(scan.array)
    return Tile("Image", "", "", overview(base, (slice(0, base.shape[0]), slice(0, base.shape[1]))))


def _truth_note(truth: Mask) -> str:
    return count(int(truth.sum()), "pixel") if truth.any() else "empty"


def _value(study: StudyView, loss: str, case: str, measure: Measure) -> str:
    scores = study.scores
    chosen = scores[
        (scores["loss"] == loss)
        & (scores["case"] == case)
        & (scores["metric"] == measure.metric)
        & (scores["label"] == measure.label)
    ]
    run = study.run_of(loss, case)
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
