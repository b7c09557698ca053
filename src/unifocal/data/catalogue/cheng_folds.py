"""The folds of J. Cheng's brain tumours, from the release's `cvind.mat`."""

from pathlib import Path

import numpy as np

from unifocal.data.formats.errors import UnreadableError, guarded, without_warnings

FILE = "cvind.mat"
_NAME = "cvind"
_LARGEST_BYTES = 200_000


def read_folds(path: Path) -> dict[int, str]:
    """The fold of each slice, by the slice's number from 1 on.

    Args:
        path: A MATLAB file with one number per slice, called `cvind`.

    Raises:
        UnreadableError: If the file is damaged, too large, or holds something else.
    """
    with guarded(path), without_warnings():
        if path.stat().st_size > _LARGEST_BYTES:
            raise UnreadableError(path, "is too large for a list of folds", "Take the file of the release.")
        values = _values(path)
        if values.dtype.kind not in "biuf" or values.size != max(values.shape, default=0):
            raise UnreadableError(path, "holds no list of numbers", "Take the file of the release.")
        return {number: f"{float(value):g}" for number, value in enumerate(values.ravel(), start=1)}


def _values(path: Path) -> np.ndarray:
    import h5py  # type: ignore[import-untyped]
    from scipy.io import loadmat

    if not h5py.is_hdf5(path):
        return np.asarray(loadmat(path, variable_names=[_NAME])[_NAME])
    with h5py.File(path, "r", locking=False) as file:
        found = file[_NAME] if isinstance(file.get(_NAME, getlink=True), h5py.HardLink) else None
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual or found.size > _LARGEST_BYTES:
            raise UnreadableError(path, f"holds no list {_NAME!r} of its own", "Take the file of the release.")
        return np.asarray(found[()])
