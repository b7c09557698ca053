"""NRRD (`.nrrd`, `.nhdr`) and MetaImage (`.mha`, `.mhd`) files, through SimpleITK."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from unifocal.data.formats.arrays import Array, as_image, as_mask, check_size, one_channel
from unifocal.data.formats.errors import COPY_AGAIN, UnreadableError, guarded
from unifocal.data.formats.geometry import LPS_TO_RAS, Affine, affine_from_columns, is_singular
from unifocal.data.formats.inflate import GZIP, ZLIB, Inflated
from unifocal.data.formats.itk_headers import Promise, read_promise
from unifocal.data.formats.itk_library import read_with_itk
from unifocal.data.scan import Scan
from unifocal.problems import Problem


def read_image(path: Path) -> Scan:
    """Read an image; a vector at every element, or a fourth axis, becomes the channels.

    Raises:
        UnreadableError: If the file is damaged, cut short, too large, stored in an unusual way, or names a data file
            outside its folder.
    """
    array, where = _read(path)
    return Scan(as_image(array), where.spacing_mm, where.affine, notes=where.notes)


def read_mask(path: Path, like: Scan | None = None) -> Scan:  # noqa: ARG001
    """Read a mask: integers as stored, or other numbers that are whole.

    Raises:
        UnreadableError: As for `read_image`, or if there is more than one whole number per element.
    """
    array, where = _read(path)
    return Scan(as_mask(one_channel(array, path), path), where.spacing_mm, where.affine, notes=where.notes)


def files_of(path: Path) -> tuple[Path, ...]:
    """The file, and that with its data where its header names one.

    Raises:
        UnreadableError: If its header cannot be used.
    """
    with guarded(path):
        data = read_promise(path).data_path
    return (path,) if data == path else (path, data)


def _read(path: Path) -> tuple[Array, Scan]:
    """The array (channels, *spatial) as stored, and a Scan with its geometry alone."""
    with guarded(path):
        promise = read_promise(path)
        check_size(path, promise.shape)
    with guarded(promise.data_path):
        _check_data(promise)
    with guarded(path):
        return _by_itk(path, promise)


def _check_data(promise: Promise) -> None:
    """Hold what the header promises against what there is; ITK overlooks damage to compressed data."""
    path, count = promise.data_path, math.prod(promise.shape) * promise.item_size
    with path.open("rb") as file:
        file.seek(promise.offset)
        if promise.compressed:
            container = GZIP if promise.compressed == "gzip" else ZLIB
            held = Inflated(file, path, container, promise.compressed_size).remaining(count)
        else:
            held = path.stat().st_size - promise.offset
    if held < count:
        what = f"is cut short: {max(held, 0)} bytes of data where its header promises {count}"
        raise UnreadableError(path, what, COPY_AGAIN, kind="truncated")
    if held > count and promise.compressed:
        what = f"holds more than the {count} bytes of data that its header promises"
        raise UnreadableError(path, what, "Its header or its data are damaged: copy or export it again.")


def _by_itk(path: Path, promise: Promise) -> tuple[Array, Scan]:
    with path.open("rb") as file:
        is_nrrd = file.read(4) == b"NRRD"
    image, array = read_with_itk(path, "NrrdImageIO" if is_nrrd else "MetaImageIO")
    axes = int(image.GetDimension())
    if image.GetNumberOfComponentsPerPixel() > 1:
        array = np.moveaxis(array, -1, 0)
    elif axes < 4:
        array = array[None]
    if array.ndim > 4:
        what = f"has {array.ndim} axes ({' x '.join(map(str, array.shape))}); at most 4 can be used"
        raise UnreadableError(path, what, "Save one volume per file.", kind="axes")
    return array, _place(image, promise, min(axes, 3), path)


def _place(image: Any, promise: Promise, axes: int, path: Path) -> Scan:
    nothing = np.empty(0)
    dimension = int(image.GetDimension())
    spacing = np.abs(np.array(image.GetSpacing()[:axes]))
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)[:axes, :axes]
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        what = f"has an unusable spacing in its header ({', '.join(f'{step:g}' for step in spacing)})"
        return Scan(nothing, notes=(Problem(str(path), what, "Export it again.", "bad-spacing"),))
    spacing_mm = tuple(spacing[::-1].tolist()) if promise.has_spacing else None
    if axes < 3 or not promise.has_orientation:
        return Scan(nothing, spacing_mm)
    affine = _affine(image.GetOrigin()[:3], direction * spacing)
    if is_singular(affine):
        what = "has an orientation that squeezes the volume flat, or is not finite"
        return Scan(nothing, spacing_mm, notes=(Problem(str(path), what, "Export it again.", "singular-affine"),))
    return Scan(nothing, spacing_mm, affine)


def _affine(origin: tuple[float, ...], steps: Affine) -> Affine:
    return np.asarray(LPS_TO_RAS @ affine_from_columns(origin, *steps.T[::-1]), np.float64)
