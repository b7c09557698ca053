"""NIfTI-1 and NIfTI-2 files: `.nii`, `.nii.gz`, and pairs of `.hdr` and `.img`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from unifocal.data.formats.arrays import Array, Image, as_image, as_mask, check_size, one_channel
from unifocal.data.formats.errors import COPY_AGAIN, UnreadableError, guarded
from unifocal.data.formats.inflate import Inflated
from unifocal.data.formats.nifti_geometry import place
from unifocal.data.scan import Scan

_MAGIC = {b"n+1\0": 1, b"ni1\0": 1, b"n+2\0": 2, b"ni2\0": 2}
# Beyond the promised data; some programs fill the last block of a file.
_PADDING = 4096
_LARGEST_OFFSET = 1 << 26


def read_image(path: Path) -> Scan:
    """Read an image.

    The axes are reversed from nibabel's, so that x varies fastest, as in the file; a fourth axis (or the fifth, for
    vectors) becomes the channels, and colours (RGB24) do too. `scl_slope` and `scl_inter` are applied.

    Raises:
        UnreadableError: If the file is damaged, cut short, longer than its header promises, too large, no NIfTI file,
            or holds complex numbers.
    """
    stored = _read(path)
    with guarded(path):
        place_in_space, notes = place(stored.header, stored.spatial_axes, path)
    image = _scaled(stored)
    return Scan(image, place_in_space.spacing_mm, place_in_space.affine, notes=notes)


def read_mask(path: Path, like: Scan | None = None) -> Scan:  # noqa: ARG001
    """Read a mask: integers as stored, or other numbers that are whole.

    Raises:
        UnreadableError: As for `read_image`, or if the values are not whole numbers, or there is more than one per
            element.
    """
    stored = _read(path)
    with guarded(path):
        place_in_space, notes = place(stored.header, stored.spatial_axes, path)
    labels = one_channel(stored.array, path)
    if stored.slope != 1 or stored.intercept != 0:
        labels = labels.astype(np.float64) * stored.slope + stored.intercept
    return Scan(as_mask(labels, path), place_in_space.spacing_mm, place_in_space.affine, notes=notes)


def files_of(path: Path) -> tuple[Path, ...]:
    """The file, or the pair of `.hdr` and `.img` that it is half of."""
    suffix = path.suffix.lower()
    if suffix not in (".hdr", ".img"):
        return (path,)
    other = {".hdr": ".img", ".img": ".hdr"}[suffix]
    pair = (path, path.with_suffix(other.upper() if path.suffix.isupper() else other))
    return pair if suffix == ".hdr" else pair[::-1]


@dataclass(frozen=True)
class _Stored:
    """What the file holds: array (channels, *spatial) as stored, how to scale it, the header."""

    array: Array
    slope: float
    intercept: float
    header: Any

    @property
    def spatial_axes(self) -> int:
        return self.array.ndim - 1


class _Content:
    """A file's bytes, inflated where it is compressed, whatever its name."""

    def __init__(self, file: BufferedReader, path: Path) -> None:
        self.path, self._file = path, file
        self._inflated = Inflated(file, path) if file.peek(2)[:2] == b"\x1f\x8b" else None

    def read(self, count: int) -> bytearray:
        if self._inflated is not None:
            return self._inflated.read(count)
        left = os.fstat(self._file.fileno()).st_size - self._file.tell()
        content = bytearray(max(min(count, left), 0))
        return content[: self._file.readinto(content)] if content else content

    def skip(self, count: int) -> None:
        while count > 0 and (piece := self.read(min(count, 1 << 20))):
            count -= len(piece)


@contextmanager
def _opened(path: Path) -> Iterator[_Content]:
    with path.open("rb") as file:
        yield _Content(file, path)


def _read(path: Path) -> _Stored:
    with guarded(path):
        header_path, data_path = (path, path) if len(files_of(path)) == 1 else files_of(path)
        with _opened(header_path) as content:
            header, size = _header(content)
            shape, dtype = _layout(header, header_path)
            slope, intercept = header.get_slope_inter()
            offset = _offset(header, header_path, is_single=data_path == header_path)
            if data_path == header_path:
                content.skip(offset - size)
                array = _array(content, shape, dtype)
        if data_path != header_path:
            with guarded(data_path), _opened(data_path) as content:
                content.skip(offset)
                array = _array(content, shape, dtype)
    return _Stored(array, 1.0 if slope is None else slope, intercept or 0.0, header)


def _header(content: _Content) -> tuple[Any, int]:
    """The header, and how many bytes it takes."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    start = bytes(content.read(348))
    if not start:
        raise UnreadableError(content.path, "is empty (0 bytes)", COPY_AGAIN)
    version = _MAGIC.get(start[344:348]) or _MAGIC.get(start[4:8])
    if version is None:
        what = "is not a NIfTI file, or its beginning is damaged"
        raise UnreadableError(content.path, what, "Copy it again, or save it as .nii.gz (NIfTI-1).")
    kind: Any = Nifti1Header if version == 1 else Nifti2Header
    start += content.read(kind.sizeof_hdr - len(start))
    if len(start) < kind.sizeof_hdr:
        raise UnreadableError(content.path, "is cut short", COPY_AGAIN, kind="truncated")
    return kind(start, check=False), kind.sizeof_hdr


def _layout(header: Any, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape as nibabel has it (x first), without empty axes at the end, and the type of the numbers."""
    count = int(header["dim"][0])
    if not 2 <= count <= 7:
        what = f"has {count} axes; 2 (a picture), 3 (a volume) or 4 (with channels) can be used"
        raise UnreadableError(path, what, "Save it with 3 axes.", kind="axes")
    shape = tuple(int(length) for length in header["dim"][1 : count + 1])
    check_size(path, shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 5 and shape[3] == 1:
        shape = (*shape[:3], shape[4])
    if len(shape) > 4:
        what = f"has {len(shape)} axes ({' x '.join(map(str, shape))}); at most 4 can be used"
        raise UnreadableError(path, what, "Save one volume per file.", kind="axes")
    dtype = header.get_data_dtype()
    if dtype.kind not in "biuf" and not _is_colour(dtype):
        what = f"holds {dtype.name} numbers, which cannot be used"
        raise UnreadableError(path, what, "Save it as integers or real numbers.")
    return shape, dtype


def _offset(header: Any, path: Path, *, is_single: bool) -> int:
    offset = int(header.get_data_offset())
    if not 0 <= offset <= _LARGEST_OFFSET:
        raise UnreadableError(path, f"says that its data begin at byte {offset}", COPY_AGAIN)
    return max(offset, header.sizeof_hdr + 4) if is_single else offset


def _is_colour(dtype: np.dtype[Any]) -> bool:
    return dtype.names is not None and all(dtype[name] == np.uint8 for name in dtype.names)


def _array(content: _Content, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    data = content.read(count)
    if len(data) < count:
        what = f"is cut short: {len(data)} bytes of data where its header promises {count}"
        raise UnreadableError(content.path, what, COPY_AGAIN, kind="truncated")
    # Reading on to the end also has the checksum of a compressed file compared.
    if content.read(_PADDING + 1).strip(b"\0"):
        what = f"goes on after the {count} bytes of data that its header promises"
        raise UnreadableError(content.path, what, "Its header or its data are damaged: copy or export it again.")
    array = np.frombuffer(data, dtype).reshape(shape[::-1])
    if dtype.names is not None:
        colours = array.view(np.uint8).reshape(*array.shape, len(dtype.names))[..., :3]
        return np.moveaxis(colours, -1, 0) if array.ndim < 4 else _no_colours(content.path)
    return array if len(shape) == 4 else array[None]


def _no_colours(path: Path) -> Array:
    raise UnreadableError(path, "holds colours along a time axis", "Save one volume per file.", kind="axes")


def _scaled(stored: _Stored) -> Image:
    if stored.slope == 1 and stored.intercept == 0:
        return as_image(stored.array)
    image = np.empty(stored.array.shape, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        # Slice by slice, because float64 of the whole would double the memory.
        for index in np.ndindex(image.shape[:2]):
            image[index] = stored.array[index].astype(np.float64) * stored.slope + stored.intercept
    return image
