"""The profile's figures, as parts of the page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from unifocal.data.profile.case import FOREGROUND, CaseProfile
from unifocal.data.profile.intensity import EDGES
from unifocal.data.profile.lesions import COUNT, SIZE, VANISHED
from unifocal.data.profile.result import Profile
from unifocal.data.profile.summary import Collected, brain_ratio, groupings
from unifocal.reporting.figure import INK, MUTED, PALETTE, PAPER, inline, new_figure, to_svg
from unifocal.reporting.plots import jitter

MOST_PANELS = 6
LOGARITHMIC_FROM = 30
_VANISHING = "#c8442c"
_WIDE = 6.0


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    Attributes:
        svg: To stand in the page.
        alt: What it shows, in words.
        caption: How to read it.
        title: What tells it from its neighbours; may be empty.
        small: Whether it stands beside others.
    """

    svg: str
    alt: str
    caption: str
    title: str = ""
    small: bool = False


def draw_profile(profile: Profile, collected: Collected) -> dict[str, list[Picture]]:
    """Every figure that there are numbers for, by section."""
    cases = [case for case in collected.cases if case.targets]
    made = {
        "imbalance": _shares(profile, cases),
        "lesions": _lesions(profile, cases),
        "intensity": _intensities(profile, collected),
        "grids": _grids(profile, collected.cases),
        "groups": _groups(cases),
        "brain": _brain(profile, cases),
    }
    return {name: pictures for name, pictures in made.items() if pictures}


def _keys(profile: Profile) -> list[tuple[str, str]]:
    """Each target's name with its key in the cases; the whole foreground last where none is all of it."""
    if len(profile.targets) == 1:
        return [(profile.targets[0].name if profile.targets[0].name != "1" else "foreground", FOREGROUND)]
    named = [(target.name, target.name) for target in profile.targets]
    covered = any(target.values == profile.foreground.values for target in profile.targets)
    return named if covered else [*named, ("all together", FOREGROUND)]


def _without_whole(keys: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [each for each in keys if each[1] != FOREGROUND] or list(keys)


def _shares(profile: Profile, cases: Sequence[CaseProfile]) -> list[Picture]:
    rows: dict[str, list[float]] = {}
    for title, key in _keys(profile):
        rows[title] = [100 * case.share(key) for case in cases]
    figure = _strips(rows, "Share of the image (%)")
    ranges = "; ".join(f"{name}: {min(values):.3g} to {max(values):.3g} %" for name, values in rows.items())
    caption = "One dot per case. Box: the middle half of the cases with their median. Diamond: the mean."
    if any(target.empty for target in profile.targets):
        caption += (
            " On a logarithmic axis, cases without the target are counted in brackets; box and mean are of the rest."
        )
    return [_picture("share", figure, f"Foreground share per case. {ranges}.", caption)]


def _strips(rows: Mapping[str, Sequence[float]], label: str) -> Figure:
    """A row of dots for each name, with quartiles and mean."""
    figure = new_figure(_WIDE, 0.62 + 0.74 * len(rows))
    axes = figure.subplots()
    finite = {name: np.asarray(values, dtype=np.float64) for name, values in rows.items()}
    positive = np.concatenate([values[values > 0] for values in finite.values()] or [np.ones(1)])
    is_log = bool(positive.size) and positive.max() / positive.min() > LOGARITHMIC_FROM
    for row, (name, values) in enumerate(finite.items()):
        colour = PALETTE[row % len(PALETTE)]
        shown = values[np.isfinite(values) & ((values > 0) | (not is_log))]
        heights = row + 0.24 + 0.22 * jitter(len(shown))
        strength = float(np.clip(12.0 / max(len(shown), 1) ** 0.75, 0.15, 0.75))
        axes.scatter(shown, heights, s=11, color=colour, alpha=strength, linewidths=0, zorder=3)
        if len(shown):
            _box(axes, row - 0.08, shown, colour)
        missing = len(values) - len(shown)
        note = f"  ({missing:,} without)" if missing else ""
        axes.text(0, row - 0.3, name + note, transform=axes.get_yaxis_transform(), fontweight="bold", fontsize=9)
    if is_log:
        axes.set_xscale("log")
        _plain_ticks(axes)
    axes.set_ylim(len(rows) - 0.55, -0.55)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(label)
    return figure


def _box(axes: Axes, y: float, values: NDArray[np.float64], colour: str) -> None:
    low, middle, high = np.percentile(values, [25, 50, 75])
    axes.barh(y, high - low, height=0.17, left=low, color=PAPER, edgecolor=colour, linewidth=1.1, zorder=4)
    axes.plot([middle, middle], [y - 0.085, y + 0.085], color=colour, linewidth=1.8, zorder=5)
    axes.plot(values.mean(), y, "D", color=INK, markersize=5, markeredgecolor=PAPER, zorder=7)


def _plain_ticks(axes: Axes) -> None:
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 1000 else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _lesions(profile: Profile, cases: Sequence[CaseProfile]) -> list[Picture]:
    pictures = []
    keys = _keys(profile)
    for index, (title, key) in enumerate(_without_whole(keys)[:MOST_PANELS]):
        rows = [case.targets[key].lesions.rows for case in cases]
        table = np.concatenate(rows) if rows else np.zeros((0, 3), np.int64)
        if not len(table):
            continue
        figure = _size_histogram(table, profile)
        alone = len(keys) == 1
        found = int(table[:, COUNT].sum())
        alt = f"Sizes of {found} lesions of {title}, {int(table[:, VANISHED].sum())} of which vanish by resizing"
        caption = ""
        if index == 0:
            caption = "Each bar: how many connected components have a size in its range; the dashed line is the median."
            if profile.training_size is not None:
                caption += " Red: those of which no element is left at the training size."
        pictures.append(_picture(f"lesions-{index}", figure, alt, caption, "" if alone else title))
    return pictures


def _size_histogram(table: NDArray[np.int64], profile: Profile) -> Figure:
    figure = new_figure(_WIDE if len(profile.targets) == 1 else 3.4, 2.6)
    axes = figure.subplots()
    sizes, counts, gone = (table[:, column].astype(np.float64) for column in (SIZE, COUNT, VANISHED))
    top = np.log10(max(sizes.max(), 10)) + 0.05
    edges = np.logspace(-0.05, top, 32).tolist()
    kept = axes.hist(sizes, edges, weights=counts - gone, color=PALETTE[0], label="left after resizing")
    if gone.sum():
        axes.hist(sizes, edges, weights=gone, bottom=kept[0], color=_VANISHING, label="vanish by resizing")
        axes.legend(frameon=False, fontsize=8)
    ordered = np.argsort(sizes)
    middle = sizes[ordered][np.searchsorted(np.cumsum(counts[ordered]), counts.sum() / 2)]
    axes.axvline(middle, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.set_xscale("log")
    _plain_ticks(axes)
    unit = "pixels" if profile.geometry.axes == 2 else "voxels"
    axes.set(xlabel=f"Size of a lesion ({unit})", ylabel="Lesions")
    axes.locator_params(axis="y", integer=True, nbins=5)
    return figure


def _intensities(profile: Profile, collected: Collected) -> list[Picture]:
    pictures = []
    keys = _keys(profile)
    shown = _without_whole(keys)
    for index, channel in enumerate(profile.channels[:MOST_PANELS]):
        figure = new_figure(_WIDE if len(profile.channels) == 1 else 3.4, 2.7)
        axes = figure.subplots()
        background = 100 * collected.histogram(None, index)
        axes.stairs(background, EDGES, fill=True, color=MUTED, alpha=0.35, label="background")
        for place, (title, key) in enumerate(shown[:MOST_PANELS]):
            axes.stairs(100 * collected.histogram(key, index), EDGES, color=PALETTE[place], linewidth=1.6, label=title)
        _cut(axes, background)
        axes.set(xlabel="Standard deviations from the image's mean", ylabel="Elements (%)")
        axes.legend(frameon=False, fontsize=8)
        contrasts = [(target.name, target.contrast[index].auc) for target in profile.targets]
        told = "; ".join(f"{name}: AUC {auc.mean:.2f}" for name, auc in contrasts if auc is not None)
        caption = ""
        if index == 0:
            caption = (
                "Each image after its own z-score, every case with the same weight; the outermost bins hold what lies "
                "beyond, and the background's peak may be cut. "
                "Where the curves lie upon each other, brightness alone does not tell the target from the rest."
            )
        alone = len(profile.channels) == 1
        alt = f"Intensity of targets and background, {channel.name}. {told}"
        pictures.append(_picture(f"intensity-{index}", figure, alt, caption, "" if alone else channel.name))
    return pictures


def _cut(axes: Axes, background: NDArray[np.float64]) -> None:
    """Air fills one bin and would flatten the rest."""
    heights = np.sort(np.concatenate([np.asarray(patch.get_data().values) for patch in axes.patches]))  # type: ignore[attr-defined]
    second = heights[-2] if len(heights) > 1 else heights[-1]
    if background.max() > 3 * second > 0:
        axes.set_ylim(0, 1.25 * second)


def _grids(profile: Profile, cases: Sequence[CaseProfile]) -> list[Picture]:
    names = ("rows", "columns") if profile.geometry.axes == 2 else ("slices", "rows", "columns")
    pairs = [(len(names) - 1, len(names) - 2)] + ([(len(names) - 1, 0)] if len(names) == 3 else [])
    pictures: list[Picture] = []
    sizes = np.array([case.size for case in cases], dtype=np.float64)
    known = [case.spacing_mm for case in cases if case.spacing_mm is not None]
    for kind, values, unit in (("size", sizes, "elements"), ("spacing", np.array(known), "mm")):
        if not len(values) or (values == values[0]).all():
            continue
        for x, y in pairs:
            if (values[:, [x, y]] == values[0, [x, y]]).all():
                continue
            figure = _bubbles(values[:, x], values[:, y], f"{names[x]} ({unit})", f"{names[y]} ({unit})")
            alt = f"{kind} of the images: {names[y]} against {names[x]}"
            caption = "" if pictures else "One dot per combination; the more cases share it, the larger."
            title = f"{kind}: {names[y]} and {names[x]}"
            pictures.append(_picture(f"{kind}-{x}-{y}", figure, alt, caption, title))
    return pictures


def _bubbles(x: NDArray[np.float64], y: NDArray[np.float64], x_label: str, y_label: str) -> Figure:
    figure = new_figure(3.2, 2.8)
    axes = figure.subplots()
    places, counts = np.unique(np.column_stack([x, y]), axis=0, return_counts=True)
    area = 14 + 220 * counts / counts.max() if counts.max() > 3 else np.full(len(counts), 22.0)
    axes.scatter(places[:, 0], places[:, 1], s=area, color=PALETTE[0], alpha=0.55, linewidths=0)
    axes.margins(0.15)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.locator_params(nbins=5)
    return figure


def _groups(cases: Sequence[CaseProfile]) -> list[Picture]:
    pictures: list[Picture] = []
    for index, (name, value_of) in enumerate(groupings(cases).items()):
        figure = _strips(_by_value(cases, value_of, lambda case: case.share(FOREGROUND)), "Foreground share (%)")
        caption = "" if pictures else "One dot per case; box, median and mean as above."
        pictures.append(_picture(f"groups-{index}", figure, f"Foreground share by {name}", caption, f"by {name}"))
    return pictures


def _brain(profile: Profile, cases: Sequence[CaseProfile]) -> list[Picture]:
    if profile.brain_ratio is None:
        return []
    ratios = [100 * brain_ratio(case) for case in cases]
    label = "Tumour area over brain area (%)" if profile.geometry.axes == 2 else "Tumour over brain volume (%)"
    pictures = [
        _picture(
            "brain",
            _ratio_histogram(np.asarray(ratios), label),
            f"Histogram of {label.lower()}: median {profile.brain_ratio.median * 100:.3g}",
            "Each bar: how many cases have a ratio in its range; the dashed line is the median.",
        )
    ]
    for index, (name, value_of) in enumerate(groupings(cases).items()):
        rows = _by_value(cases, value_of, brain_ratio)
        alt = f"{label} by {name}"
        pictures.append(
            _picture(
                f"brain-{index}",
                _strips(rows, label),
                alt,
                "One dot per case; box, median and mean as above.",
                f"by {name}",
            )
        )
    return pictures


def _by_value(
    cases: Sequence[CaseProfile], value_of: Callable[[CaseProfile], str], ratio: Callable[[CaseProfile], float]
) -> dict[str, list[float]]:
    """The ratios in percent."""
    rows: dict[str, list[float]] = {}
    for case in cases:
        rows.setdefault(value_of(case) or "(not given)", []).append(100 * ratio(case))
    return dict(sorted(rows.items()))


def _ratio_histogram(ratios: NDArray[np.float64], label: str) -> Figure:
    figure = new_figure(_WIDE, 2.5)
    axes = figure.subplots()
    ratios = ratios[np.isfinite(ratios)]
    axes.hist(ratios, bins=30, color=PALETTE[0])
    axes.axvline(float(np.median(ratios)), color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.set(xlabel=label, ylabel="Cases")
    return figure


def _picture(name: str, figure: Figure, alt: str, caption: str, title: str = "") -> Picture:
    return Picture(inline(to_svg(figure), name), alt, caption, title, small=figure.get_figwidth() < _WIDE)
