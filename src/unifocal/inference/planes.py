"""Three planes through a volume with its mask, as one picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unifocal.inference.writers import draw_overlay, save_picture

LONGEST = 480
"""Pixels of the longest side of a plane."""


def write_planes(
    path: Path, image: NDArray[np.float32], mask: NDArray[np.integer], spacing_mm: Sequence[float] | None = None
) -> None:
    """Write the three planes through the middle of the mask's largest cut, side by side; see `draw_planes`."""
    save_picture(path, Image.fromarray(draw_planes(image, mask, spacing_mm)))


def draw_planes(
    image: NDArray[np.float32], mask: NDArray[np.integer], spacing_mm: Sequence[float] | None = None
) -> NDArray[np.uint8]:
    """Draw the planes along each axis on which most elements have a label; the middle ones where there is no label.

    Args:
        image: (channels, slices, rows, columns).
        mask: (slices, rows, columns) label integers.
        spacing_mm: Between elements along each axis, so that planes have their true proportions.

    Returns:
        (height, width, 3).
    """
    spacing = np.array(spacing_mm if spacing_mm is not None else (1.0, 1.0, 1.0))
    extent = np.array(mask.shape) * spacing
    scale = LONGEST / extent.max()
    tiles = []
    for axis in range(3):
        counts = np.count_nonzero(mask, axis=tuple(other for other in range(3) if other != axis))
        place = int(counts.argmax()) if counts.any() else mask.shape[axis] // 2
        others = [other for other in range(3) if other != axis]
        height, width = (max(1, round(extent[other] * scale)) for other in others)
        picture = Image.fromarray(np.take(image[0], place, axis)).resize((width, height), Image.Resampling.BILINEAR)
        labels = Image.fromarray(np.take(mask, place, axis).astype(np.int32)).resize(
            (width, height), Image.Resampling.NEAREST
        )
        tiles.append(draw_overlay(np.asarray(picture)[None], np.asarray(labels)))
    tallest = max(tile.shape[0] for tile in tiles)
    padded = [np.pad(tile, ((0, tallest - tile.shape[0]), (0, 8), (0, 0))) for tile in tiles]
    return np.concatenate(padded, axis=1)[:, :-8]
