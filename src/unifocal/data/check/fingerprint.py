"""A small description of a picture that outlasts copying, and what two of them have in common."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 48
"""Cells along both axes of a plane."""
POOL = 3
"""Cells that `coarse` takes together along each axis."""
PLANES = 3
"""Planes that stand for a volume, evenly spread over its slices."""

_SAMPLES_PER_CELL = 4
_RADIUS = 2
_FAINT = 0.1
_THINNEST = 16

Floats = NDArray[np.float32]


def fingerprint(image: Floats) -> NDArray[np.int8]:
    """The fine structure of an image, at a size and brightness of its own.

    Area means on a coarse grid, less their surroundings, over the contrast of the surroundings: what remains after
    another encoding, scaling, or change of brightness, and differs between patients, whose scans have all the same
    outline. Of a volume, three slabs of a sixteenth of its slices: finer cells tell registered, skull-stripped heads
    apart better than a coarse grid over all of it.

    Args:
        image: (channels, rows, columns) or (channels, slices, rows, columns), finite. The mean of the channels counts;
            of volumes the first channel.

    Returns:
        Of length `SIDE ** 2` for a picture, `PLANES * SIDE ** 2` for a volume; zeros for an image of one value.
    """
    if image.ndim == 3:
        return _detail(image)
    slices = image.shape[1]
    thickness = max(1, slices // _THINNEST)
    starts = ((2 * plane + 1) * slices // (2 * PLANES) - thickness // 2 for plane in range(PLANES))
    return np.concatenate([_detail(image[0, max(start, 0) :][:thickness]) for start in starts])


def coarse(prints: NDArray[np.int8]) -> Floats:
    """Fingerprints (n, cells) with neighbouring cells taken together, at a ninth of the length."""
    side = SIDE // POOL
    parts = prints.reshape(len(prints), -1, side, POOL, side, POOL)
    pooled: Floats = parts.mean(axis=(3, 5), dtype=np.float32)
    return pooled.reshape(len(prints), -1)


def _detail(planes: Floats) -> NDArray[np.int8]:
    """(n, rows, columns), of which the sum counts: its scale makes no difference."""
    rows, columns = (max(1, length // (_SAMPLES_PER_CELL * SIDE)) for length in planes.shape[1:])
    sampled = planes[:, ::rows, ::columns]
    cells: Floats = sampled[0] if len(sampled) == 1 else np.add.reduce(sampled, axis=0)
    # Not by a matrix product: of this size, its threads would get in the way of the other processes.
    cells = np.asarray(Image.fromarray(np.ascontiguousarray(cells)).resize((SIDE, SIDE), Image.Resampling.BOX))
    # Values near the largest of float32 would overflow when squared.
    cells = cells / (float(np.abs(cells).max()) or 1.0)
    detail = cells - _NEAR @ cells @ _NEAR.T
    energy = detail * detail
    contrast = np.sqrt(_WIDE @ energy @ _WIDE.T) + _FAINT * np.sqrt(energy.mean())
    detail = np.divide(detail, contrast, out=np.zeros_like(detail), where=contrast > 0)
    largest = float(np.abs(detail).max())
    scaled: NDArray[np.int8] = np.round(detail * (127 / largest if largest > 0 else 0)).astype(np.int8)
    return scaled.ravel()


def normalised(prints: NDArray[Any]) -> Floats:
    """Rows with mean 0 and length 1, whose products are correlations; a row of one value becomes zeros."""
    rows = prints.astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit


def _box(radius: int) -> Floats:
    """A matrix whose product with a column of cells is their running means, the outermost cells going on outside."""
    weights = np.zeros((SIDE, SIDE), np.float32)
    for cell in range(SIDE):
        for offset in range(-radius, radius + 1):
            weights[cell, min(max(cell + offset, 0), SIDE - 1)] += 1 / (2 * radius + 1)
    return weights


_NEAR, _WIDE = _box(_RADIUS), _box(2 * _RADIUS)
