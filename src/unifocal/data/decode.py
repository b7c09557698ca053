"""The bytes of an image file as an array of the values that it stores."""

import io
import logging
import math
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from unifocal.problems import InputError, Problem

Array = np.ndarray[Any, Any]

MAX_PIXELS = 500_000_000

_PNG, _TIFF = b"\x89PNG\r\n\x1a\n", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL = 258, 277
_PILLOW_LOCK = threading.Lock()

# What tifffile logs of a damaged file is said by `UnreadableError`; with a handler, it does not go to stderr as well.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class UnreadableError(InputError):
    """A file that cannot be used: damaged, of an unknown format, or not one flat picture.

    Args:
        path: The file.
        what: What is wrong with it.
        remedy: What the user can do about it.
    """

    def __init__(self, path: Path, what: str, remedy: str) -> None:
        super().__init__([Problem(str(path), what, remedy)])


@dataclass(frozen=True)
class Picture:
    """A decoded file.

    Attributes:
        pixels: (rows, columns) or (rows, columns, 3); transparency is dropped.
        palette: (entries, 3) uint8 colours that `pixels` are indices of; None where pixels are values.
    """

    pixels: Array
    palette: Array | None = None


def decode(data: bytes, path: Path) -> Picture:
    """Decode a PNG, JPEG, TIFF, BMP, GIF or WebP file completely.

    Pixels stand as they are stored: an orientation tag turns nothing. A picture of 1 bit reads as 0 and 255.

    Args:
        data: The file's bytes.
        path: The file, for messages.

    Raises:
        UnreadableError: If the file is empty, damaged, cut short, of another format, has several
            frames, or is stored in a way that cannot be read without loss.
    """
    if not data:
        raise UnreadableError(path, "is empty (0 bytes)", "Copy it again from its source.")
    if data.startswith(_PNG):
        _check_png(data, path)
    try:
        picture = _decode(data, path)
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        what = "is not a PNG, JPEG, TIFF, BMP, GIF or WebP image, or its beginning is damaged"
        raise UnreadableError(path, what, "Copy it again, or save it as PNG or TIFF.") from None
    except Exception as error:
        what = f"cannot be read: it is damaged or incomplete ({error})"
        raise UnreadableError(path, what, "Copy it again from its source.") from error
    if picture.pixels.ndim == 3 and picture.pixels.shape[2] != 3:
        what = f"has {picture.pixels.shape[2]} channels"
        raise UnreadableError(path, what, "Save it as a grey or an RGB picture.")
    return picture


def _decode(data: bytes, path: Path) -> Picture:
    try:
        with _quiet_pillow():
            image = Image.open(io.BytesIO(data))
            _check_header(image, path)
            if image.format == "BMP":
                _check_bmp(data, image.mode, path)
            if image.format == "TIFF" and _pillow_keeps_values(image):
                image.load()
    except UnidentifiedImageError:
        if data.startswith(_TIFF):
            return _decode_tiff(data, path)
        raise
    with image:
        if image.format == "TIFF" and not _pillow_keeps_values(image):
            return _decode_tiff(data, path)
        return _values(image)


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Without Pillow's warnings (headers give them, and all of a TIFF) and without its limit on size.

    Both are settings of the whole process, hence the lock and the restoring; pixels of other formats than TIFF are
    decoded outside, several files at once.
    """
    with _PILLOW_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_header(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MAX_PIXELS:
        what = f"has {image.width * image.height / 1e6:.0f} million pixels, more than {MAX_PIXELS / 1e6:.0f} million"
        raise UnreadableError(path, what, "Scale it down, or cut it into tiles.")
    _check_frames(getattr(image, "n_frames", 1), path)


def _check_frames(frames: int, path: Path) -> None:
    if frames > 1:
        what = f"has {frames} frames (pages); one picture is needed"
        raise UnreadableError(path, what, "Save every frame as a file of its own.")


def _check_bmp(data: bytes, mode: str, path: Path) -> None:
    """Pillow takes a palette of black and white for 1 bit per pixel, and a ramp of greys for 8, without looking."""
    is_os2_version_1 = int.from_bytes(data[14:18], "little") == 12
    bits = data[24 if is_os2_version_1 else 28]
    if bits != {"1": 1, "L": 8}.get(mode, bits):
        what = f"is a BMP with {bits} bits per pixel and a short palette of greys, which cannot be read"
        raise UnreadableError(path, what, "Save it as PNG.")


def _check_png(data: bytes, path: Path) -> None:
    """Walk the chunks: Pillow takes no notice of a missing end or of a wrong checksum of the pixels."""
    position = len(_PNG)
    kind = b""
    while kind != b"IEND":
        head = data[position : position + 8]
        if len(head) < 8:
            raise UnreadableError(path, "is cut short", "Copy it again from its source.")
        length, kind = struct.unpack(">I4s", head)
        body, end = data[position + 4 : position + 8 + length], position + 12 + length
        if end > len(data):
            raise UnreadableError(path, "is cut short", "Copy it again from its source.")
        is_critical = kind[:1].isupper()
        if is_critical and zlib.crc32(body) != int.from_bytes(data[end - 4 : end], "big"):
            raise UnreadableError(path, "is damaged (a checksum is wrong)", "Copy it again from its source.")
        if kind == b"IHDR":
            _check_png_depth(body[4:], path)
        position = end


def _check_png_depth(header: bytes, path: Path) -> None:
    bits, colour_type = header[8:10]
    if bits == 16 and colour_type != 0:
        what = "is a PNG with colour or transparency at 16 bits per channel, which cannot be read without loss"
        raise UnreadableError(path, what, "Save it as TIFF, or as PNG with 8 bits per channel.")


def _pillow_keeps_values(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    bits = max(tags.get(_BITS_PER_SAMPLE, (1,)))
    if tags.get(_SAMPLES_PER_PIXEL, 1) > 1:
        return bool(bits <= 8)
    return bool(bits <= 16 or (image.mode == "F" and bits == 32))


def _decode_tiff(data: bytes, path: Path) -> Picture:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        _check_frames(len(tiff.pages), path)
        series = tiff.series[0]
        _check_frames(
            math.prod(n for axis, n in zip(series.axes, series.shape, strict=True) if axis not in "YXS"), path
        )
        pixels, axes = series.asarray(), series.axes
    if "S" in axes:
        pixels = np.moveaxis(pixels, axes.index("S"), -1)
    # A fourth sample beside red, green and blue is transparency, as is a second beside grey.
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = pixels[..., :-1]
    return Picture(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _values(image: Image.Image) -> Picture:
    mode = image.mode
    if mode == "P":
        colours = np.asarray(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        return Picture(np.asarray(image), _padded(colours))
    if mode == "1":
        return Picture(np.asarray(image.convert("L")))
    if mode in ("LA", "La"):
        return Picture(np.asarray(image)[..., 0])
    if mode in ("L", "I", "F", "RGB") or mode.startswith("I;16"):
        pixels = np.asarray(image)
        return Picture(pixels.astype(pixels.dtype.newbyteorder("="), copy=False))
    if mode in ("RGBA", "RGBX"):
        return Picture(np.asarray(image)[..., :3])
    return Picture(np.asarray(image.convert("RGB")))


def _padded(palette: Array) -> Array:
    """Black for the entries that a short palette leaves out, so that every index has a colour."""
    return np.concatenate([palette, np.zeros((256 - len(palette), 3), np.uint8)])
