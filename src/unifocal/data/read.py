"""Image and mask files as arrays."""

from pathlib import Path
from typing import Any

import numpy as np

from unifocal.data.decode import Picture, UnreadableError, decode

__all__ = ["UnreadableError", "image_from_bytes", "mask_from_bytes", "read_image", "read_mask"]

Array = np.ndarray[Any, Any]
Image = np.ndarray[Any, np.dtype[np.float32]]
Mask = np.ndarray[Any, np.dtype[np.integer[Any]]]

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"})


def read_image(path: Path) -> Image:
    """Read an image file (PNG, JPEG, TIFF, BMP, GIF, WebP).

    Returns:
        float32 (channels, rows, columns) with the values as stored: 1 channel for grey, 3 for colour.
        Transparency is dropped; CMYK becomes RGB; a palette whose used colours are all grey becomes grey.

    Raises:
        UnreadableError: If the file is damaged, cut short, of another format, or has several frames.
    """
    return image_from_bytes(read_bytes(path), path)


def read_mask(path: Path) -> Mask:
    """Read a mask file (PNG, JPEG, TIFF, BMP, GIF, WebP).

    Returns:
        Integers (rows, columns) as stored; 1 bit reads as 0 and 255; red, green and blue that are
        equal collapse. A mask with a palette reads as the grey values of the palette where it is grey up to the
        highest entry in use, and as the indices where it has colours (labels painted as in PASCAL VOC).
        Which label each value means is `unifocal.data.coding`'s to say.

    Raises:
        UnreadableError: As for `read_image`, or if the mask has differing colour channels
            or values that are not whole numbers.
    """
    return mask_from_bytes(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        UnreadableError: If the system does not give them.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"cannot be opened ({error.strerror})"
        raise UnreadableError(path, what, "Check that it exists and that you may read it.") from None


def image_from_bytes(data: bytes, path: Path) -> Image:
    """`read_image` for bytes that are at hand; `path` is for messages."""
    pixels = _shown(decode(data, path))
    channels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
    # A float64 value beyond float32's range becomes infinite, which the check of the data reports.
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(channels, dtype=np.float32)


def mask_from_bytes(data: bytes, path: Path) -> Mask:
    """`read_mask` for bytes that are at hand; `path` is for messages."""
    picture = decode(data, path)
    pixels = picture.pixels
    if picture.palette is not None and _is_grey_up_to(picture.palette, int(pixels.max())):
        pixels = picture.palette[pixels][..., 0]
    if pixels.ndim == 3:
        if not _channels_are_equal(pixels):
            what = "is a colour picture; a mask has one number per pixel"
            raise UnreadableError(path, what, "Save it as a grey PNG: 0 background, 255 (or 1, 2, ...) foreground.")
        pixels = pixels[..., 0]
    if np.issubdtype(pixels.dtype, np.integer):
        return pixels
    pixels = pixels.astype(np.float64)
    whole = np.isfinite(pixels) & (np.abs(pixels) < 2**31) & (np.round(pixels) == pixels)
    if not whole.all():
        what = f"has values that are not whole numbers, for instance {pixels[~whole][0]:g}"
        raise UnreadableError(path, what, "Save it as a grey PNG: 0 background, 255 (or 1, 2, ...) foreground.")
    return pixels.astype(np.int32)


def is_grey(image: Image) -> bool:
    """Whether an image has one channel, or three that are equal.

    Args:
        image: (channels, rows, columns).
    """
    return _channels_are_equal(np.moveaxis(image, 0, 2))


def _shown(picture: Picture) -> Array:
    if picture.palette is None:
        return picture.pixels
    colours = picture.palette[picture.pixels]
    return colours[..., 0] if _channels_are_equal(colours) else colours


def _is_grey_up_to(palette: Array, index: int) -> bool:
    # At least two entries: a mask without foreground uses the first alone, which says nothing of the others.
    return _channels_are_equal(palette[: max(index, 1) + 1])


def _channels_are_equal(pixels: Array) -> bool:
    """Whether the last axis holds the same value throughout; NaN equals NaN."""
    return np.array_equal(pixels, np.broadcast_to(pixels[..., :1], pixels.shape), equal_nan=pixels.dtype.kind == "f")
