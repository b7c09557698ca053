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
    """Write three planes through what was found, side by side; see `draw_planes`."""
    save_picture(path, Image.fromarray(draw_planes(image, mask, spacing_mm)))


def draw_planes(
    image: NDArray[np.float32], mask: NDArray[np.integer], spacing_mm: Sequence[float] | None = None
) -> NDArray[np.uint8]:
    """Draw the plane across each axis through the centre of the largest component of all labels together.

    Without any label, the planes through the middle of the volume.

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
    for axis, place in enumerate(middle_of(mask)):
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


def middle_of(mask: NDArray[np.integer]) -> tuple[int, ...]:
    """The centre of mass of a mask's largest component, to the nearest element.

    Elements that touch by a face, edge or corner make a component, whatever their labels. Every plane between its ends
    cuts it, so that each plane through the centre shows some of it.

    Args:
        mask: (*spatial) label integers.

    Returns:
        An index along each axis; of the middle of the volume where there is no label.
    """
    from scipy.ndimage import generate_binary_structure, label

    components, count = label(mask != 0, generate_binary_structure(mask.ndim, mask.ndim))
    if not count:
        return tuple(length // 2 for length in mask.shape)
    # Slice by slice: NumPy counts in a copy of 8 bytes an element.
    sizes = sum(np.bincount(part.ravel(), minlength=count + 1) for part in components)
    largest = components == 1 + np.asarray(sizes)[1:].argmax()
    middle = []
    for axis, length in enumerate(mask.shape):
        counts = np.count_nonzero(largest, axis=tuple(other for other in range(mask.ndim) if other != axis))
        middle.append(round(float(np.average(np.arange(length), weights=counts))))
    return tuple(middle)
