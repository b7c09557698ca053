"""TIFF files that Pillow would not read whole: several pages, colour of more than 8 bits, unusual numbers."""

import io
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from unifocal.data.formats.arrays import Array, check_size
from unifocal.data.formats.errors import COPY_AGAIN, UnreadableError

# What tifffile logs of a damaged file is said by `UnreadableError`; with a handler, it does not go to stderr as well.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_UNIT_MM = {"mm": 1.0, "millimeter": 1.0, "cm": 10.0, "micron": 1e-3, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "nm": 1e-6}
_CHANNELS, _IN_PLANE = "SC", "YX"
_ORIENTATION = 274
_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def decode_tiff(data: bytes, path: Path) -> tuple[Array, Array | None, bool]:
    """Decode all pages.

    Pages of equal size and type are slices. Colour, and the channels of an ImageJ file, come last. Transparency is
    dropped. Pages of 8 bits and fewer on which 0 is white are inverted, as Pillow does with single ones.

    Args:
        data: The file's bytes.
        path: The file, for messages.

    Returns:
        The pixels, (rows, columns), (pages, rows, columns), or either with channels as last axis; the colours
        (entries, 3) that they are indices of, None where they are values; and whether the last axis is channels.

    Raises:
        UnreadableError: If pages differ, or there are two axes beside channels, rows and columns.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        series = tiff.series[0]
        _check_pages(tiff, path)
        check_size(path, series.shape)
        axes, page = series.axes, tiff.pages.first
        _check_axes(axes, series.shape, path)
        palette, bits = page.colormap, int(page.bitspersample)
        is_white_at_0 = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        try:
            pixels = series.asarray()
        except ValueError as error:
            # tifffile decodes some compressions only with a library that is not needed otherwise.
            if "imagecodecs" not in str(error):
                raise
            pixels, is_white_at_0 = _pages_by_pillow(data).reshape(series.shape), False
    check_size(path, pixels.shape)
    pixels = _ordered(pixels, axes)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if is_white_at_0 and bits <= 8:
        pixels = (255 if bits == 1 else 2**bits - 1) - pixels
    # A fourth sample beside red, green and blue is transparency, as is a second beside grey.
    if "S" in axes and pixels.shape[-1] in (2, 4):
        pixels = pixels[..., :-1]
    has_channels = any(axis in axes for axis in _CHANNELS)
    if has_channels and pixels.shape[-1] == 1:
        pixels, has_channels = pixels[..., 0], False
    return pixels, None if palette is None else (palette >> 8).astype(np.uint8).T, has_channels


def load_as_stored(image: Image.Image) -> Image.Image:
    """Decode the pixels of a TIFF that Pillow has opened, and take back the turn by which Pillow follows its tag."""
    tag = image.tag_v2.get(_ORIENTATION, 1) if isinstance(image, TiffImageFile) else 1
    image.load()
    return image.transpose(_BACK[tag]) if tag in _BACK else image


def imagej_spacing(data: bytes, axes: int) -> tuple[float, ...] | None:
    """The distance between pixels in mm that ImageJ wrote, or None where it did not name a length.

    The resolution tags alone, without ImageJ's unit, are a printer's and are not used.

    Args:
        data: The file's bytes.
        axes: How many spatial axes its picture has, 2 or 3.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        said: Mapping[str, Any] = tiff.imagej_metadata or {}
        per_row = _ratio(tiff.pages.first.tags.get("YResolution"))
        per_column = _ratio(tiff.pages.first.tags.get("XResolution"))
    unit = str(said.get("unit", "")).replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    if unit not in _UNIT_MM or not per_row or not per_column:
        return None
    steps = [1 / per_row, 1 / per_column]
    if axes == 3:
        steps.insert(0, float(said.get("spacing", 0)))
    spacing = tuple(step * _UNIT_MM[unit] for step in steps)
    return spacing if all(math.isfinite(step) and step > 0 for step in spacing) else None


def _check_pages(tiff: tifffile.TiffFile, path: Path) -> None:
    if len(tiff.pages) != _count_pages(tiff.filehandle, tiff):
        raise UnreadableError(path, "is damaged (a page cannot be read)", COPY_AGAIN)
    if len(tiff.series) == 1:
        return
    sizes = [" x ".join(map(str, series.shape)) for series in tiff.series]
    what = f"has pages that differ ({', '.join(sizes[:4])}); the pages of a volume have one size and type"
    raise UnreadableError(path, what, "Save every page as a file of its own.", kind="pages-differ")


def _count_pages(file: Any, tiff: tifffile.TiffFile) -> int:
    """Follow the pages through the file; tifffile leaves out those that are damaged, and logs it.

    Raises:
        ValueError: If the file ends before the last page, or pages run in a circle.
    """
    order, sizes = tiff.byteorder, (8, 20, 8) if tiff.is_bigtiff else (2, 12, 4)
    file.seek(8 if tiff.is_bigtiff else 4)
    seen: set[int] = set()
    while position := _number(file.read(sizes[2]), sizes[2], order):
        if position in seen:
            raise ValueError("pages run in a circle")
        seen.add(position)
        file.seek(position)
        file.seek(position + sizes[0] + sizes[1] * _number(file.read(sizes[0]), sizes[0], order))
    return len(seen)


def _number(data: bytes, size: int, order: str) -> int:
    if len(data) < size:
        raise ValueError("the file ends before its last page")
    return int.from_bytes(data, "little" if order == "<" else "big")


def _pages_by_pillow(data: bytes) -> Array:
    with Image.open(io.BytesIO(data)) as image:
        pages = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            pages.append(np.asarray(load_as_stored(image)))
    return np.stack(pages)


def _check_axes(axes: str, shape: tuple[int, ...], path: Path) -> None:
    deep = [
        length for axis, length in zip(axes, shape, strict=True) if axis not in _CHANNELS + _IN_PLANE and length > 1
    ]
    channels = [length for axis, length in zip(axes, shape, strict=True) if axis in _CHANNELS and length > 1]
    if len(deep) > 1 or len(channels) > 1:
        what = f"has too many axes ({axes}: {' x '.join(map(str, shape))}); slices and channels can be used"
        raise UnreadableError(path, what, "Save every time point as a file of its own.", kind="axes")


def _ordered(pixels: Array, axes: str) -> Array:
    """Channels last, and without axes of one element, unless they are rows, columns, or channels."""
    spare = [
        index
        for index, axis in enumerate(axes)
        if axis not in _IN_PLANE
        and pixels.shape[index] == 1
        and not (axis in _CHANNELS and sum(letter in _CHANNELS for letter in axes) == 1)
    ]
    kept = "".join(axis for index, axis in enumerate(axes) if index not in spare)
    pixels = pixels.squeeze(tuple(spare))
    for axis in _CHANNELS:
        if axis in kept:
            pixels = np.moveaxis(pixels, kept.index(axis), -1)
    return pixels


def _ratio(tag: Any) -> float:
    if tag is None or not isinstance(tag.value, tuple) or len(tag.value) != 2 or 0 in tag.value:
        return 0.0
    return float(tag.value[0] / tag.value[1])
