"""How every figure looks, and how it becomes a file or a part of the page."""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unifocal.reporting.wording import shortened

INK, MUTED, GRID, PAPER = "#1d2125", "#69707a", "#d9dde2", "#fefefe"
PAGE_COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    PAPER: "var(--paper)",
}
# Okabe and Ito's palette for colour-blind readers, darkened where it would vanish on white and without
# its black, which would vanish on a dark page.
# The last four are for studies of many losses; nothing is told apart by colour alone.
PALETTE = (
    *("#2a7fba", "#d9740b", "#0f9d76", "#c2549b", "#8a7a13", "#c8442c", "#7b6fd0", "#3a9abf"),
    *("#7a8b2e", "#a9745a", "#5f8299", "#d0679a"),
)
DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1.2, 1.6)), (0, (6, 1.6, 1.2, 1.6)))
MARKERS = ("o", "s", "^", "D", "v", "P")
MOST_TITLE = 36
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "figure.facecolor": PAPER,
    "svg.fonttype": "none",
    "svg.hashsalt": "unifocal",
    "savefig.dpi": 200,
    "path.simplify": True,
}


def colours(losses: Sequence[str]) -> dict[str, str]:
    """A colour for each loss, the same in every figure and table of a report."""
    return {loss: PALETTE[index % len(PALETTE)] for index, loss in enumerate(losses)}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save in the report's style, whatever the user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty figure (inches) outside pyplot's registry."""
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def panels(number_of: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with up to three panels (each of the given size in inches) side by side per row."""
    columns = min(3, number_of)
    rows = -(-number_of // columns)
    figure = new_figure(width * columns, height * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for spare in axes[number_of:]:
        spare.remove()
    return figure, axes[:number_of]


def titled(loss: str) -> str:
    """A loss's label as a panel's title: its parameters in a second line, neither wider than the panel."""
    name, bracket, parameters = loss.partition("(")
    lines = [shortened(name, MOST_TITLE), shortened(bracket + parameters, MOST_TITLE)]
    return "\n".join(line for line in lines if line)


def label(axes: Axes, at: tuple[float, float], text: str, **where: Any) -> None:
    """A small text over whatever is drawn beneath it."""
    ground = {"facecolor": PAPER, "linewidth": 0, "pad": 1.2}
    axes.text(*at, text, fontsize=8, color=INK, zorder=8, bbox=ground if text else None, **where)


@contextmanager
def _any_letter() -> Iterator[None]:
    """Say nothing of letters that the font lacks: browsers find another font, a PNG shows boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def to_svg(figure: Figure) -> str:
    """The figure as SVG text, the same bytes each time."""
    buffer = io.StringIO()
    with _any_letter():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def to_png(figure: Figure) -> bytes:
    """The figure as PNG bytes, the same each time."""
    buffer = io.BytesIO()
    with _any_letter():
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def inline(svg: str, name: str) -> str:
    """An SVG as a part of the page: its colours follow the page's, its ids carry the figure's name.

    Args:
        svg: What `to_svg` gave; its texts are already escaped.
        name: Unique on the page, letters and hyphens.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # Only tags are touched: a loss may well be called "id=".
    return re.sub(r"<[a-z][^>]*>", lambda tag: _adopted(tag.group(), name), body)


def _adopted(tag: str, name: str) -> str:
    if tag.startswith("<svg"):
        box = re.search(r'viewBox="[^"]*"', tag)
        return f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {box.group() if box else ""} aria-hidden="true">'
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = tag.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    tag = tag.replace("'DejaVu Sans', sans-serif", "var(--sans)").replace("'DejaVu Sans'", "var(--sans)")
    for colour, variable in PAGE_COLOURS.items():
        tag = tag.replace(colour, variable)
    return tag
