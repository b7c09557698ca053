"""The figures of docs/losses.md: the family tree from the catalogue, and focusing from the losses themselves.

`python docs/losses_figures.py` writes them to docs/images.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from unifocal.losses import Member, SegmentationLoss, TverskyLoss, UnifiedFocalLoss, describe, names
from unifocal.losses.catalogue import MEMBERS, Reduction
from unifocal.reporting.figure import INK, MUTED, PAPER, house_style, new_figure, to_svg

IMAGES = Path(__file__).parent / "images"

COLOURS = {"region-based": "#cfe9df", "compound": "#e4dcf5", "distribution-based": "#cfe2f3"}
LEFT, CENTRE, RIGHT = 1.3, 4.9, 8.5
PLACES = {
    "unified_focal": (CENTRE, 9.4),
    "unified_focal_symmetric": (CENTRE, 8.0),
    "hybrid_focal": (CENTRE, 6.2),
    "focal_tversky": (LEFT, 4.6),
    "combo": (CENTRE, 4.1),
    "focal": (RIGHT, 4.6),
    "tversky": (LEFT, 2.8),
    "dice_cross_entropy": (CENTRE, 2.2),
    "dice": (LEFT, 0.6),
    "cross_entropy": (RIGHT, 0.6),
}
WIDTH, HEIGHT = 9.8, 9.9
BOX_WIDTH, BOX_HEIGHT = 2.3, 0.62

GAMMAS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
SHADES = (INK, "#7fb3d9", "#4f94c9", "#2a7fba", "#c2549b", "#8e2f6c")


def family_tree() -> Figure:
    """Every loss as a box, and an arrow from each to what it becomes for the parameters at the arrow."""
    figure = new_figure(WIDTH, HEIGHT, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_axis_off()
    edges: dict[tuple[str, str], list[str]] = {}
    for member, reduction in direct_reductions():
        edges.setdefault((member.name, reduction.to), []).append(label(reduction))
    for (start, end), labels in edges.items():
        separator = "\nor\n" if any("\n" in each for each in labels) else " or "
        _draw_arrow(axes, PLACES[start], PLACES[end], separator.join(labels))
    for name in names():
        _draw_box(axes, describe(name), PLACES[name])
    for index, (kind, colour) in enumerate(COLOURS.items()):
        corner = (0.25, HEIGHT - 0.5 - 0.32 * index)
        axes.add_patch(FancyBboxPatch(corner, 0.3, 0.16, "round,pad=0.02", fc=colour, ec=MUTED, lw=0.8))
        axes.text(corner[0] + 0.45, corner[1] + 0.08, kind, va="center", color=INK)
    return figure


def direct_reductions() -> Iterator[tuple[Member, Reduction]]:
    """The catalogue's reductions without those that follow from two others."""
    for member in MEMBERS:
        for reduction in member.reduces_to:
            if not any(_follows(member, reduction, first) for first in member.reduces_to if first is not reduction):
                yield member, reduction


def _follows(member: Member, whole: Reduction, first: Reduction) -> bool:
    """Whether `whole` is `first` and then some reduction of what `first` leads to."""
    if not first.when.items() <= whole.when.items():
        return False
    return any(
        second.to == whole.to and all(_agree(member, whole, first, second, value) for value in (0.2, 0.7))
        for second in describe(first.to).reduces_to
    )


def _agree(member: Member, whole: Reduction, first: Reduction, second: Reduction, value: float) -> bool:
    """Whether both ways lead to the same loss when all parameters that are left open have one value."""
    own = {p.name: value for p in member.parameters} | dict(whole.when)
    between, first_offset = first.other_side(own)
    end, second_offset = second.other_side(between)
    expected, offset = whole.other_side(own)
    composed = (first.scale * second.scale, first.scale * second_offset + first_offset)
    return (
        all(between[name] == wanted for name, wanted in second.when.items())
        and end == expected
        and composed == (whole.scale, offset)
    )


def label(reduction: Reduction) -> str:
    """What stands at an arrow: the parameters, and what is left to do for the values to be the same."""
    given = reduction.when or reduction.takes
    lines = [f"{name} = {value}" for name, value in given.items()]
    factor, _, offset = str(Reduction("", scale=reduction.scale, offset=reduction.offset)).partition(" ")
    rest = [f"times {factor.rstrip('·')}"] if factor else []
    rest += [offset.replace("- ", "minus ").replace("+ ", "plus ")] if offset else []
    return "\n".join(lines + ([f"({', '.join(rest)})"] if rest else []))


def _draw_box(axes: Axes, member: Member, place: tuple[float, float]) -> None:
    x, y = place
    corner = (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2)
    shape = FancyBboxPatch(
        corner, BOX_WIDTH, BOX_HEIGHT, "round,pad=0.02", fc=COLOURS[member.kind], ec=MUTED, lw=0.8, zorder=3
    )
    axes.add_patch(shape)
    axes.text(x, y + 0.11, member.title, ha="center", va="center", weight="bold", color=INK, zorder=4)
    axes.text(x, y - 0.14, member.name, ha="center", va="center", size=8, color=INK, zorder=4)


def _draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str) -> None:
    (x0, y0), (x1, y1) = start, end
    side = (x1 > x0) - (x1 < x0)
    tail = (x0 + side * BOX_WIDTH * 0.4, y0 - BOX_HEIGHT / 2 - 0.02)
    head = (x1 - side * BOX_WIDTH * 0.25, y1 + BOX_HEIGHT / 2 + 0.04)
    axes.add_patch(FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=11, color=MUTED, lw=1.1, zorder=1))
    middle = ((tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2)
    background = {"boxstyle": "round,pad=0.15", "fc": PAPER, "ec": "none"}
    axes.text(*middle, text, ha="center", va="center", size=8, color=INK, bbox=background, zorder=2)


def focusing() -> Figure:
    """The paper's Figure 2: what gamma does to one voxel's loss, and to one class' region loss."""
    figure = new_figure(9.4, 4.0)
    left, right = figure.subplots(1, 2)
    for gamma, colour in reversed(tuple(zip(GAMMAS, SHADES, strict=True))):
        width = 2.2 if gamma == 0 else 1.6
        left.plot(*voxel_curve(gamma), color=colour, lw=width, label=f"γ = {gamma:g}")
        right.plot(*region_curve(gamma), color=colour, lw=width, label=f"γ = {gamma:g}")
    left.set(xlim=(0, 1), ylim=(0, 3), xlabel="probability of the true class", ylabel="loss of one voxel")
    left.set_title("Voxel term, background: easy voxels are suppressed\n(rare classes keep γ = 0)")
    right.set(xlim=(0, 1), ylim=(0, 1), xlabel="Tversky index of the class", ylabel="loss of one class")
    right.set_title("Region term, rare classes: the loss stays high to the end\n(the background keeps γ = 0)")
    left.legend(frameon=False)
    right.legend(frameon=False, loc="lower left")
    return figure


def voxel_curve(gamma: float, *, rare: bool = False) -> tuple[list[float], list[float]]:
    """The voxel term of single voxels, without its weight of one half, against the probability of their class."""
    p = torch.linspace(0.001, 1, 400, dtype=torch.float64)[:-1]
    logits = torch.logit(p) if rare else -torch.logit(p)
    loss = UnifiedFocalLoss(delta=0.5, gamma=gamma, region_weight=0, reduction="none")
    target = torch.full((len(p), 1, 1), int(rare))
    return p.tolist(), (2 * loss(logits[:, None, None], target)).tolist()


def region_curve(gamma: float) -> tuple[list[float], list[float]]:
    """The region term of a rare class against its Tversky index, over samples from all wrong to all right."""
    logits = torch.linspace(-14, 32, 500, dtype=torch.float64)[:, None, None]

    def of(make: Callable[..., SegmentationLoss], **own: float) -> torch.Tensor:
        loss = make(delta=0.6, include_background=False, reduction="none", smooth=1e-12, **own)
        return loss(logits, torch.ones_like(logits))

    index = 1 - of(TverskyLoss)
    return index.tolist(), of(UnifiedFocalLoss, gamma=gamma, region_weight=1).tolist()


def figures() -> dict[str, str]:
    """Each figure's file name and its SVG text, the same bytes each time."""
    with house_style():
        return {"losses_family.svg": to_svg(family_tree()), "losses_focusing.svg": to_svg(focusing())}


if __name__ == "__main__":
    for name, svg in figures().items():
        (IMAGES / name).write_text(svg, encoding="utf-8")
