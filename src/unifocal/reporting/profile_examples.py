"""Example cases with the outlines of the truth, chosen by rule."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unifocal.data.coding import label_values
from unifocal.data.profile.case import FOREGROUND, CaseProfile, Plan
from unifocal.data.read import read_image, read_mask
from unifocal.reporting.overlay import TILE, YELLOW, Pixels, displayable, outline, overview, resized, resized_mask
from unifocal.reporting.overlay import window_around as around
from unifocal.reporting.wording import count

COLOURS = (YELLOW, (0, 200, 255), (255, 90, 200), (60, 225, 110), (255, 140, 40), (180, 140, 255))
_QUANTILES = (
    (0.0, "smallest foreground"),
    (0.25, "first quartile"),
    (0.5, "median"),
    (0.75, "third quartile"),
    (1.0, "largest foreground"),
)


@dataclass(frozen=True)
class Example:
    """One case in pictures.

    Attributes:
        name: The case.
        reason: Why it was chosen.
        about: Its numbers in words.
        whole: The image (for volumes the slice with the most foreground), the window framed: (rows, columns, 3).
        truth: The window, enlarged, with the targets' outlines.
        alt: What the second picture shows, in words.
    """

    name: str
    reason: str
    about: str
    whole: Pixels
    truth: Pixels
    alt: str


def colours_of(plan: Plan) -> list[tuple[str, tuple[int, int, int]]]:
    """The targets' names with the colours of their outlines."""
    names = [target.name for target in plan.targets]
    if len(names) == 1:
        return [("outline of the truth", YELLOW)]
    return [(name, COLOURS[index % len(COLOURS)]) for index, name in enumerate(names)]


def choose(cases: Sequence[CaseProfile]) -> list[tuple[CaseProfile, str]]:
    """At most eight cases with the reason: quantiles of the foreground's share, then extremes."""
    masked = [case for case in cases if case.targets]
    filled = sorted((case for case in masked if case.targets[FOREGROUND].elements), key=lambda c: c.share(FOREGROUND))
    chosen: dict[int, tuple[CaseProfile, str]] = {}

    def take(case: CaseProfile, reason: str) -> None:
        chosen.setdefault(id(case), (case, reason))

    for quantile, reason in _QUANTILES if filled else ():
        take(filled[round(quantile * (len(filled) - 1))], reason)
    if filled:
        many = max(filled, key=lambda c: c.targets[FOREGROUND].lesions.count)
        if many.targets[FOREGROUND].lesions.count > 1:
            take(many, "most lesions")
        gone = max(filled, key=lambda c: c.targets[FOREGROUND].lesions.vanished)
        if gone.targets[FOREGROUND].lesions.vanished:
            take(gone, "most lesions that vanish by resizing")
    empty = next((case for case in masked if not case.targets[FOREGROUND].elements), None)
    if empty is not None:
        take(empty, "an empty mask")
    return list(chosen.values())


def examples(cases: Sequence[CaseProfile], plan: Plan) -> list[Example]:
    """The chosen cases, their files read again. One whose files have gone since is left out."""
    made = []
    for case, reason in choose(cases):
        try:
            made.append(_example(case, reason, plan))
        except (OSError, ValueError):
            continue
    return made


def _example(case: CaseProfile, reason: str, plan: Plan) -> Example:
    assert case.case.mask is not None
    scan = read_image(case.case.image)
    image = scan.array
    labels = label_values(read_mask(case.case.mask, scan).array, plan.coding)
    masks = [np.isin(labels, target.values) for target in plan.targets]
    where = ""
    if image.ndim == 4:
        areas = np.any(masks, axis=0).sum(axis=(1, 2))
        index = int(areas.argmax()) if areas.any() else len(areas) // 2
        image, masks = image[:, index], [mask[index] for mask in masks]
        where = f"slice {index + 1} of {len(areas)}"
    base = displayable(np.ascontiguousarray(image))
    window = around(np.any(masks, axis=0)) or (slice(0, base.shape[0]), slice(0, base.shape[1]))
    facts = case.targets[FOREGROUND]
    told = f"{100 * case.share(FOREGROUND):.3g} %, {count(facts.lesions.count, 'lesion')}"
    about = ", ".join([told, *([where] if where else [])])
    alt = f"{case.case.name}: outlines of {', '.join(target.name for target in plan.targets)}; {about}"
    return Example(case.case.name, reason, about, overview(base, window), _outlined(base, masks, window, plan), alt)


def _outlined(base: Pixels, masks: Sequence[NDArray[np.bool_]], window: tuple[slice, slice], plan: Plan) -> Pixels:
    scale = TILE / max(base[window].shape[:2])
    shown = resized(base[window], scale).copy()
    for (_, colour), mask in zip(colours_of(plan), masks, strict=True):
        shown[outline(resized_mask(mask[window], scale))] = colour
    return shown
