"""One case as the page holds it: small pictures, and masks without loss."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.reporting.overlay import isotropic, window_around
from unifocal.reporting.viewer_case import LoadedCase, PlaneView
from unifocal.reporting.viewer_pictures import draw_pictures, greys_of, picture_size, slices_of
from unifocal.reporting.viewer_slices import choose_slices

LARGEST_MASK = 1024


@dataclass(frozen=True)
class Detail:
    """How much of a case is embedded.

    Attributes:
        side: The longest side of its pictures in pixels.
        quality: Of the lossy compression of pictures.
        slices: At most so many in the plane shown first.
        others: At most so many in each other plane of a volume; 0 leaves those planes out.
        every_seed: Whether the predictions of all seeds, or of the lowest alone.
    """

    side: int
    quality: int
    slices: int
    others: int
    every_seed: bool


def encode_case(loaded: LoadedCase, detail: Detail, labels: Sequence[int]) -> dict[str, Any]:
    """A case for the page, as `templates/viewer_data.js` reads it.

    Returns:
        What holds for the case, and for the plane shown first; `others` holds the same of each other plane: it is empty
        for pictures, and None where other planes were left out.
    """
    views = _views(loaded, detail)
    chosen = [choose_slices(view.held, view.wrong, most) for view, most in views]
    planes = [(view, part) for (view, _), part in zip(views, chosen, strict=True)]
    seeds = loaded.seeds if detail.every_seed else loaded.seeds[:1]
    pictures, known = _pictures(loaded, planes, detail)
    first, *others = [
        _encode_plane(view, part, shown, len(labels), max(len(seeds), 1))
        for (view, part), shown in zip(planes, pictures, strict=True)
    ]
    return (
        known
        | first
        | {
            "channels": 0 if loaded.base is None else loaded.base.array.shape[0],
            "seeds": list(seeds),
            "baseTrouble": loaded.base_trouble,
            "troubles": list(loaded.troubles),
            "others": None if len(views) < len(loaded.views) else others,
        }
    )


def pixels_of(loaded: LoadedCase, detail: Detail) -> int:
    """How many pixels a case's pictures have together."""
    together = 0
    for view, most in _views(loaded, detail):
        rows, columns = picture_size(view.truth.shape[1:], view.plane.aspect, detail.side)
        together += min(most, max(1, int(view.held.sum()))) * rows * columns
    return together


def _views(loaded: LoadedCase, detail: Detail) -> list[tuple[PlaneView, int]]:
    """The planes to embed, and how many slices of each at most."""
    first, *others = loaded.views
    return [(first, detail.slices), *((view, detail.others) for view in others if detail.others)]


def _pictures(
    loaded: LoadedCase, planes: Sequence[tuple[PlaneView, list[int]]], detail: Detail
) -> tuple[list[list[str | None]], dict[str, Any]]:
    """The pictures of each plane, with the same grey values in all, and what these stand for."""
    slices, lesion = np.zeros((0, 0, 0)), np.zeros(0)
    if loaded.base is not None:
        parts = [slices_of(loaded.base, view.plane, chosen) for view, chosen in planes]
        slices = parts[0]
        lesion = np.concatenate([
            part[np.stack([view.truth[index] > 0 for index in chosen])]
            for part, (view, chosen) in zip(parts, planes, strict=True)
        ])  # fmt: skip
    greys = greys_of(loaded.base, slices, lesion)
    drawn = [
        draw_pictures(loaded.base, view.plane, chosen, greys, (detail.side, detail.quality)) for view, chosen in planes
    ]
    return drawn, greys.known


def _encode_plane(
    view: PlaneView, chosen: Sequence[int], pictures: Sequence[str | None], labels: int, seeds: int
) -> dict[str, Any]:
    rows, columns = view.truth.shape[1:]
    factor = -(-max(rows, columns) // LARGEST_MASK)
    worst = max(range(len(chosen)), key=lambda place: (view.wrong[chosen[place]], -abs(2 * place + 1 - len(chosen))))

    return {
        "size": [-(-rows // factor), -(-columns // factor)],
        "factor": factor,
        "aspect": round(view.plane.aspect, 4),
        "plane": view.plane.name,
        "axes": list(view.plane.order),
        "flips": list(view.plane.flips),
        "count": view.truth.shape[0],
        "held": int(view.held.sum()),
        "start": worst,
        "windows": [_window(view, number, factor) for number in range(1, labels + 1)],
        "slices": [
            {
                "index": index,
                "picture": picture,
                "truth": view.truth.coded(index, factor),
                "masks": [
                    [None if s is None else s.coded(index, factor) for s in each[:seeds]] for each in view.predictions
                ],
            }
            for index, picture in zip(chosen, pictures, strict=True)
        ],
    }


def _window(view: PlaneView, number: int, factor: int) -> list[int] | None:
    """Where to look for a label, [top, bottom, left, right]: around the truth, else around the predictions."""
    found = _square_around(view.truth.projected(number), view.plane.aspect)
    if found is None and view.all_predictions:
        anywhere = np.logical_or.reduce([stack.projected(number) for stack in view.all_predictions])
        found = _square_around(anywhere, view.plane.aspect)
    return None if found is None else [end for low, high in found for end in (low // factor, -(-high // factor))]


def _square_around(mask: NDArray[np.bool_], aspect: float) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """First and last-but-one rows and columns of a window that is square for the eye, whatever a pixel's shape."""
    square = isotropic(mask.astype(np.uint8), aspect, smooth=False) > 0
    found = window_around(square)
    if found is None:
        return None
    rows, columns = (
        (math.floor(part.start * n / m), math.ceil(part.stop * n / m))
        for part, n, m in zip(found, mask.shape, square.shape, strict=True)
    )
    return rows, columns
