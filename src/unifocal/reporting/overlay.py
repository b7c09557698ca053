"""From an image and two masks to a small picture of what was right and what was wrong."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Window = tuple[slice, slice]

MAGENTA, GREEN, WHITE, YELLOW = (255, 0, 200), (0, 215, 80), (255, 255, 255), (255, 214, 10)
TINT = 0.7
TILE = 220
SMALLEST_WINDOW = 32


def displayable(image: NDArray[np.float32]) -> Pixels:
    """An image as 8-bit RGB; a grey one is stretched between its 0.5th and 99.5th percentiles.

    Args:
        image: (channels, rows, columns); three channels are colours, else the first one is shown.

    Returns:
        (rows, columns, 3).
    """
    image = np.nan_to_num(image)
    if image.shape[0] == 3:
        low, high = 0.0, max(float(image.max()), 1e-6)
        high = 255.0 if 1.0 < high <= 255.0 else high
        shown = np.moveaxis(image, 0, -1)
    else:
        low, high = (float(value) for value in np.percentile(image[0], [0.5, 99.5]))
        shown = np.repeat(image[0][..., None], 3, axis=-1)
    scaled = (shown - low) / max(high - low, 1e-6)
    return np.asarray(np.clip(scaled * 255.0, 0, 255).round(), dtype=np.uint8)


def window_around(truth: Mask) -> Window | None:
    """A square about 2.5 times as wide as the truth, moved to lie inside the image.

    Args:
        truth: (rows, columns).

    Returns:
        Row and column slices; None where there is no truth.
    """
    if not truth.any():
        return None
    rows, columns = (np.flatnonzero(truth.any(axis=axis)) for axis in (1, 0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = max(int(2.5 * extent), SMALLEST_WINDOW, min(truth.shape) // 5)
    return _centred(rows, side, truth.shape[0]), _centred(columns, side, truth.shape[1])


def _centred(positions: NDArray[np.intp], side: int, length: int) -> slice:
    side = min(side, length)
    start = int(positions[0] + positions[-1] + 1 - side) // 2
    start = min(max(start, 0), length - side)
    return slice(start, start + side)


def resized(pixels: Pixels, scale: float) -> Pixels:
    """Smoothly resized RGB."""
    size = _scaled_size(pixels.shape, scale)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def resized_mask(mask: Mask, scale: float) -> Mask:
    """A mask resized without smoothing; its pixels keep their edges."""
    size = _scaled_size(mask.shape, scale)
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(picture.resize(size, Image.Resampling.NEAREST)) > 127


def _scaled_size(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def isotropic(pixels: NDArray[np.uint8], aspect: float, *, smooth: bool) -> NDArray[np.uint8]:
    """A picture or mask with pixels made square, by repeating or smoothing along its coarser axis.

    Args:
        pixels: (rows, columns) or (rows, columns, 3).
        aspect: A pixel's height over its width.
        smooth: Whether to interpolate; masks must not be.
    """
    if 0.95 < aspect < 1.05:
        return pixels
    rows, columns = pixels.shape[:2]
    size = (columns, round(rows * aspect)) if aspect > 1 else (round(columns / aspect), rows)
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(pixels).resize(size, how))


def outline(mask: Mask) -> Mask:
    """The mask's pixels that have a neighbour outside of it, or outside of the image."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inner)


def tile(base: Pixels, truth: Mask, prediction: Mask | None, window: Window) -> Pixels:
    """The window of a case, enlarged, with its masks.

    Args:
        base: (rows, columns, 3).
        truth: (rows, columns).
        prediction: False positives become magenta, false negatives green, true positives get a white
            outline. None: the truth's outline alone, in yellow.
        window: What to show.
    """
    scale = TILE / max(base[window].shape[:2])
    shown = resized(base[window], scale).astype(np.float64)
    wanted = resized_mask(truth[window], scale)
    if prediction is None:
        shown[outline(wanted)] = YELLOW
        return shown.astype(np.uint8)
    given = resized_mask(prediction[window], scale)
    for wrong, colour in ((given & ~wanted, MAGENTA), (wanted & ~given, GREEN)):
        shown[wrong] = (1 - TINT) * shown[wrong] + TINT * np.array(colour)
    shown[outline(wanted & given)] = WHITE
    return shown.round().astype(np.uint8)


def overview(base: Pixels, window: Window) -> Pixels:
    """The whole image, its longer side as long as a tile, with the window framed."""
    scale = TILE / max(base.shape[:2])
    shown = resized(base, scale).copy()
    frame = np.zeros(base.shape[:2], dtype=bool)
    frame[window] = True
    if not frame.all():
        shown[outline(resized_mask(frame, scale))] = YELLOW
    return shown
