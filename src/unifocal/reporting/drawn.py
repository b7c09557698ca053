"""A finished figure, with the words that belong to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unifocal.reporting.figure import inline, new_figure, panels, titled, to_png, to_svg

PANEL_INCHES = (2.7, 2.5)
Section = Literal[
    "scores",
    "probabilities",
    "agreement",
    "training",
    "ranking",
    "cases",
    "tuning",
    "race",
    "trials",
    "settings",
    "front",
]


@dataclass(frozen=True)
class Words:
    """What is said of a figure, as plain text.

    Attributes:
        title: What it shows.
        caption: How to read it, with the number of cases.
        alt: What is seen in it, with numbers, for those who do not see it.
        section: Where on the page it stands.
    """

    title: str
    caption: str
    alt: str
    section: Section


@dataclass(frozen=True)
class Drawing:
    """One figure.

    Attributes:
        name: Of its files.
        title: What it shows.
        caption: How to read it, as plain text.
        alt: What is seen in it, as plain text.
        svg: For `figures/`.
        png: For `figures/`.
        parts: SVGs for the page, each with the loss that it is about (empty: all of them).
        section: Where on the page it stands.
    """

    name: str
    title: str
    caption: str
    alt: str
    svg: str
    png: bytes
    parts: tuple[tuple[str, str], ...]
    section: Section


def finish(name: str, words: Words, whole: Figure, parts: Sequence[tuple[str, Figure]]) -> Drawing:
    """Save a figure for its files, and its parts for the page."""
    pieces = [
        (loss, inline(to_svg(figure), f"{name.replace('_', '-')}-{index}"))
        for index, (loss, figure) in enumerate(parts)
    ]
    svg = to_svg(whole)
    # Saving arranged the axes; arranging them again for the PNG would take as long as drawing it.
    whole.set_layout_engine("none")
    return Drawing(name, words.title, words.caption, words.alt, svg, to_png(whole), tuple(pieces), words.section)


def single(name: str, words: Words, figure: Figure) -> Drawing:
    """A figure that is one part."""
    return finish(name, words, figure, [("", figure)])


def panelled(
    name: str,
    words: Words,
    losses: Mapping[str, str],
    draw: Callable[[Axes, str, str], Axes | None],
    size: tuple[float, float] = PANEL_INCHES,
) -> Drawing:
    """One figure with all panels for the file, and each panel alone for the page to arrange.

    Args:
        name: Of the figure's files.
        words: What is said of it.
        losses: The panels, each with its colour.
        draw: Draws a loss with its colour; returns the axes that carry the title where it replaced those given.
        size: Of a panel, in inches.
    """
    whole, all_axes = panels(len(losses), *size)
    titles = {loss: titled(loss) for loss in losses}
    lines = max(title.count("\n") for title in titles.values())
    parts = []
    for axes, (loss, colour) in zip(all_axes, losses.items(), strict=True):
        carrier = draw(axes, loss, colour) or axes
        # As many lines everywhere, or the panels would differ in height.
        carrier.set_title("\n" * (lines - titles[loss].count("\n")) + titles[loss], fontsize=8)
        alone = new_figure(*size)
        draw(alone.subplots(), loss, colour)
        parts.append((loss, alone))
    return finish(name, words, whole, parts)
