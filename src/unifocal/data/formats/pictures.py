"""Pictures: PNG, JPEG, TIFF, BMP, GIF and WebP, with the values that they store."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from unifocal.data.formats.arrays import Array, as_image, as_mask, channels_are_equal, check_size
from unifocal.data.formats.errors import COPY_AGAIN, UnreadableError, guarded, without_warnings
from unifocal.data.formats.png import SIGNATURE, check_png, decode_deep_colour
from unifocal.data.formats.tiff import decode_tiff, imagej_spacing, load_as_stored
from unifocal.data.scan import Scan
from unifocal.problems import Problem

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL, _DESCRIPTION, _ORIENTATION = 258, 277, 270, 274
_AS_GREY = "Save it as a grey PNG: 0 background, 255 (or 1, 2, ...) foreground."


@dataclass(frozen=True)
class Picture:
    """A decoded file.

    Attributes:
        pixels: (rows, columns), or (pages, rows, columns) for a TIFF of several pages; with the channels as last
            axis where `has_channels`. Transparency is dropped.
        palette: (entries, 3) uint8 colours that `pixels` are indices of; None where pixels are values.
        has_channels: Whether the last axis is the channels.
        spacing_mm: Distance between pixels along each spatial axis where ImageJ wrote it.
        notes: A warning of kind `exif-orientation` where a tag would have the picture turned.
    """

    pixels: Array
    palette: Array | None = None
    has_channels: bool = False
    spacing_mm: tuple[float, ...] | None = None
    notes: tuple[Problem, ...] = ()


def read_image(path: Path) -> Scan:
    """Read a picture as an image; see `unifocal.data.read.read_image`.

    Raises:
        UnreadableError: If the file cannot be opened; and see `decode`.
    """
    with guarded(path):
        return image_of(path.read_bytes(), path)


def read_mask(path: Path, like: Scan | None = None) -> Scan:  # noqa: ARG001
    """Read a picture as a mask; see `unifocal.data.read.read_mask`.

    Raises:
        UnreadableError: As for `read_image`; or if channels differ, or values are not whole numbers.
    """
    with guarded(path):
        return mask_of(path.read_bytes(), path)


def image_of(data: bytes, path: Path) -> Scan:
    """`read_image` for bytes that are at hand.

    Args:
        data: The file's bytes.
        path: The file, for messages.

    Raises:
        UnreadableError: See `decode`.
    """
    picture = decode(data, path)
    pixels, has_channels = picture.pixels, picture.has_channels
    if picture.palette is not None:
        pixels, has_channels = picture.palette[pixels], True
        if channels_are_equal(pixels):
            pixels, has_channels = pixels[..., 0], False
    image = as_image(np.moveaxis(pixels, -1, 0) if has_channels else pixels[None])
    return Scan(image, picture.spacing_mm, notes=picture.notes)


def mask_of(data: bytes, path: Path) -> Scan:
    """`read_mask` for bytes that are at hand.

    Args:
        data: The file's bytes.
        path: The file, for messages.

    Raises:
        UnreadableError: See `decode`; or if channels differ, or values are not whole numbers.
    """
    picture = decode(data, path)
    pixels = picture.pixels
    if picture.palette is not None and _is_grey_up_to(picture.palette, int(pixels.max())):
        pixels = picture.palette[pixels][..., 0]
    if picture.has_channels:
        if not channels_are_equal(pixels):
            what = "is a colour picture; a mask has one number per pixel"
            raise UnreadableError(path, what, _AS_GREY, kind="mask-channels")
        pixels = pixels[..., 0]
    return Scan(as_mask(pixels, path), picture.spacing_mm, notes=picture.notes)


def decode(data: bytes, path: Path) -> Picture:
    """Decode a PNG, JPEG, TIFF, BMP, GIF or WebP file completely.

    Pixels stand as they are stored: an orientation tag turns nothing. A picture of 1 bit reads as 0 and 255.

    Args:
        data: The file's bytes.
        path: The file, for messages.

    Raises:
        UnreadableError: If the file is empty, damaged, cut short, of another format, too large, has several
            frames (in a TIFF: that differ), or is stored in a way that cannot be read without loss.
    """
    if not data:
        raise UnreadableError(path, "is empty (0 bytes)", COPY_AGAIN)
    with guarded(path):
        try:
            return _decode(data, path)
        except UnidentifiedImageError:
            what = "is not a PNG, JPEG, TIFF, BMP, GIF or WebP image, or its beginning is damaged"
            raise UnreadableError(path, what, "Copy it again, or save it as PNG or TIFF.") from None


def _decode(data: bytes, path: Path) -> Picture:
    has_deep_colour = data.startswith(SIGNATURE) and check_png(data, path)
    try:
        with _quiet_pillow():
            image = Image.open(io.BytesIO(data))
            check_size(path, (image.height, image.width, len(image.getbands())))
            frames = _frames(image, path)
            if image.format == "BMP":
                _check_bmp(data, image.mode, path)
            is_tiff = image.format == "TIFF"
            by_pillow = not is_tiff or (frames == 1 and _pillow_keeps_values(image))
            tags = dict(image.tag_v2) if isinstance(image, TiffImageFile) else {}
            shown = load_as_stored(image) if is_tiff and by_pillow else image
    except UnidentifiedImageError:
        if data.startswith(_TIFF):
            return _deep(data, path)
        raise
    with image:
        if has_deep_colour:
            picture = Picture(decode_deep_colour(data, path)[..., :3], has_channels=True)
        else:
            picture = _values(shown) if by_pillow else _deep(data, path)
        picture = replace(picture, notes=_turned(tags.get(_ORIENTATION) if is_tiff else _exif(image), path))
        if str(tags.get(_DESCRIPTION, "")).startswith("ImageJ="):
            axes = picture.pixels.ndim - picture.has_channels
            picture = replace(picture, spacing_mm=imagej_spacing(data, axes))
    return picture


def _deep(data: bytes, path: Path) -> Picture:
    pixels, palette, has_channels = decode_tiff(data, path)
    return Picture(pixels, palette, has_channels)


def _frames(image: Image.Image, path: Path) -> int:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "TIFF":
        what = f"has {frames} frames (pages); one picture is needed"
        raise UnreadableError(path, what, "Save every frame as a file of its own.", kind="frames")
    return int(frames)


def _exif(image: Image.Image) -> object:
    """The orientation tag. Pillow raises all sorts of errors for damaged ones, which say nothing of the pixels."""
    with suppress(Exception):
        return image.getexif().get(_ORIENTATION)
    return None


def _turned(tag: object, path: Path) -> tuple[Problem, ...]:
    """A warning where a tag asks viewers to turn or mirror the picture."""
    if tag not in range(2, 9):
        return ()
    what = f"has an orientation tag ({tag}), by which viewers turn or mirror it; it is read as it is stored"
    remedy = "Check that image and mask are stored the same way round, or save both without the tag."
    return (Problem(str(path), what, remedy, "exif-orientation", is_warning=True),)


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Without Pillow's warnings (headers give them, and all of a TIFF) and without its limit on size.

    Both are settings of the whole process, hence the lock and the restoring; pixels of other formats than TIFF are
    decoded outside, several files at once.
    """
    with without_warnings():
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_bmp(data: bytes, mode: str, path: Path) -> None:
    """Pillow takes a palette of black and white for 1 bit per pixel, and a ramp of greys for 8, without looking."""
    is_os2_version_1 = int.from_bytes(data[14:18], "little") == 12
    bits = data[24 if is_os2_version_1 else 28]
    if bits != {"1": 1, "L": 8}.get(mode, bits):
        what = f"is a BMP with {bits} bits per pixel and a short palette of greys, which cannot be read"
        raise UnreadableError(path, what, "Save it as PNG.")


def _pillow_keeps_values(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    bits = max(tags.get(_BITS_PER_SAMPLE, (1,)))
    if tags.get(_SAMPLES_PER_PIXEL, 1) > 1:
        return bool(bits <= 8)
    return bool(bits <= 16 or (image.mode == "F" and bits == 32))


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
        return Picture(pixels.astype(pixels.dtype.newbyteorder("="), copy=False), has_channels=mode == "RGB")
    if mode in ("RGBA", "RGBX"):
        return Picture(np.asarray(image)[..., :3], has_channels=True)
    return Picture(np.asarray(image.convert("RGB")), has_channels=True)


def _padded(palette: Array) -> Array:
    """Black for the entries that a short palette leaves out, so that every index has a colour."""
    return np.concatenate([palette, np.zeros((256 - len(palette), 3), np.uint8)])


def _is_grey_up_to(palette: Array, index: int) -> bool:
    # At least two entries: a mask without foreground uses the first alone, which says nothing of the others.
    return channels_are_equal(palette[: max(index, 1) + 1])
