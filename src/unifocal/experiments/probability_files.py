"""Files of predicted probabilities: NumPy's `.npy`, and `.npz` as nnU-Net writes them."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from unifocal.data.formats.errors import UnreadableError, guarded

_KEYS = ("probabilities", "softmax")
_AGAIN = "Export the probabilities again: (channels, *spatial), each from 0 to 1."
_ROUNDING = 1e-3


def stored_shape(path: Path, axes: int) -> tuple[int, ...]:
    """The shape (channels, *spatial) that a file's header states.

    Args:
        path: The file.
        axes: Of the mask; for a 2D mask an axis of one slice (as nnU-Net writes) is left out.

    Raises:
        UnreadableError: If the file is damaged or holds something else.
    """
    with guarded(path):
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive.namelist())) as file:
                shape = _header(path, file)
        else:
            with path.open("rb") as file:
                shape = _header(path, file)
    return _without_single_slice(shape, axes)


def read_probabilities(path: Path, shape: Sequence[int]) -> NDArray[np.floating[Any]]:
    """Probabilities (channels, *spatial) of a mask of this shape.

    Values that leave [0, 1] by no more than rounding are put back.

    Raises:
        UnreadableError: If the file is damaged, of another shape, or holds other than probabilities.
    """
    with guarded(path):
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                array = loaded[_member(path, loaded.files)]
        else:
            array = loaded
    array = array.reshape(_without_single_slice(array.shape, len(shape)))
    if array.shape[1:] != tuple(shape):
        what = f"has the shape {array.shape}; expected (channels, {', '.join(map(str, shape))})"
        raise UnreadableError(path, what, _AGAIN, kind="size-differs")
    lowest, highest = float(array.min()), float(array.max())
    if not (lowest >= -_ROUNDING and highest <= 1 + _ROUNDING):
        what = f"holds values from {lowest:.4g} to {highest:.4g}, which are no probabilities"
        raise UnreadableError(path, what, _AGAIN, kind="not-probabilities")
    array = array.astype(np.float32, copy=False)
    return np.clip(array, 0, 1) if lowest < 0 or highest > 1 else array


def _member(path: Path, names: Sequence[str]) -> str:
    """The array's name in an archive: nnU-Net's, else the only one."""
    for key in (*_KEYS, *(f"{key}.npy" for key in _KEYS)):
        if key in names:
            return key
    if len(names) == 1:
        return names[0]
    what = f"holds the arrays {', '.join(names)}, none of them called probabilities"
    raise UnreadableError(path, what, "Keep one array, or call it probabilities.")


def _header(path: Path, file: IO[bytes]) -> tuple[int, ...]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind != "f" or len(shape) not in (3, 4):
        raise UnreadableError(path, f"holds {dtype} of shape {shape}, which is no map of probabilities", _AGAIN)
    return tuple(shape)


def _without_single_slice(shape: tuple[int, ...], axes: int) -> tuple[int, ...]:
    return (shape[0], *shape[2:]) if len(shape) == axes + 2 and shape[1] == 1 else shape
