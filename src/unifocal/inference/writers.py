"""Masks and overlays as PNG files; each appears complete or not at all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion

# Colour-blind safe (Okabe and Ito, 2008), one per label in turn.
_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))


def write_mask(path: Path, mask: NDArray[np.integer]) -> None:
    """Write label integers as a grey PNG: 8 bit, or 16 bit where a label is above 255.

    Args:
        path: The file to write.
        mask: (rows, columns), integers from 0 to 65535.
    """
    save_picture(path, Image.fromarray(mask.astype(np.uint8 if mask.max(initial=0) <= 255 else np.uint16)))


def write_overlay(
    path: Path,
    image: NDArray[np.float32],
    mask: NDArray[np.integer],
    spacing_mm: Sequence[float] | None = None,  # noqa: ARG001 - as `write_planes`; pictures keep their pixels
) -> None:
    """Write the image with each label's outline and a light tint; see `draw_overlay`."""
    save_picture(path, Image.fromarray(draw_overlay(image, mask)))


def draw_overlay(image: NDArray[np.float32], mask: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Draw each label as an outline and a light tint over the image.

    Args:
        image: (channels, rows, columns), any range: stretched between its 0.5 and 99.5 percentiles.
        mask: (rows, columns) label integers, 0 for background.

    Returns:
        (rows, columns, 3) uint8.
    """
    low, high = np.percentile(image, [0.5, 99.5])
    grey = np.clip((image - low) / max(high - low, 1e-12), 0, 1) * 255
    canvas = np.repeat(grey, 3, axis=0) if len(grey) == 1 else grey
    canvas = np.ascontiguousarray(np.moveaxis(canvas, 0, -1))
    for position, label in enumerate(int(value) for value in np.unique(mask) if value != 0):
        colour = np.array(_COLOURS[position % len(_COLOURS)], dtype=np.float32)
        inside = mask == label
        canvas[inside] = 0.8 * canvas[inside] + 0.2 * colour
        canvas[inside & ~binary_erosion(inside)] = colour
    return canvas.round().astype(np.uint8)


def save_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture as PNG; the file appears complete or not at all."""
    partial = path.with_name(path.name + ".partial")
    picture.save(partial, format="PNG")
    partial.replace(path)
