"""MATLAB files: Cheng's brain tumours (`cjdata`), and files with a single array; version 7.3 and older."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unifocal.data.formats.arrays import Array, as_image, as_mask, check_size, max_elements
from unifocal.data.formats.dicom_header import hash_text
from unifocal.data.formats.errors import COPY_AGAIN, UnreadableError, guarded, without_warnings
from unifocal.data.formats.inflate import ZLIB, Inflated
from unifocal.data.scan import Scan

CLASSES = {1: "meningioma", 2: "glioma", 3: "pituitary tumour"}
"""Cheng's labels, as the data set's README names them (figshare 10.6084/m9.figshare.1512427)."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_CHENG = "cjdata"
_COMPRESSED = 15


def read_image(path: Path) -> Scan:
    """Read `cjdata.image`, or the only array in the file, with the axes that MATLAB shows.

    Returns:
        float32 (1, rows, columns) or (1, slices, rows, columns), the third axis of MATLAB being slices; `patient` is
        Cheng's number, hashed.

    Raises:
        UnreadableError: If the file is damaged or too large, or holds several arrays or none of 2 or 3 axes.
    """
    with guarded(path), without_warnings():
        content = _load(path, "image")
    return Scan(as_image(content.array[None]), patient=hash_text(content.patient))


def read_mask(path: Path, like: Scan | None = None) -> Scan:  # noqa: ARG001
    """Read `cjdata.tumorMask`, or the only array in the file.

    Raises:
        UnreadableError: As for `read_image`, or if a value is not a whole number.
    """
    with guarded(path), without_warnings():
        content = _load(path, "tumorMask")
        return Scan(as_mask(content.array, path), patient=hash_text(content.patient))


def case_facts(path: Path) -> dict[str, str]:
    """What one of Cheng's files says of its case.

    Returns:
        `patient`, as the file numbers people, and `class`, the tumour's name from `CLASSES`.

    Raises:
        UnreadableError: If the file is damaged, or none of Cheng's.
    """
    with guarded(path), without_warnings():
        content = _load(path, "label")
    label = int(content.array.flat[0]) if content.array.size == 1 else 0
    if not content.patient or label not in CLASSES:
        what = f"does not say its patient (PID) and the sort of tumour (label {label})"
        raise UnreadableError(path, what, "Take the files as figshare releases them.")
    return {"patient": content.patient, "class": CLASSES[label]}


@dataclass(frozen=True)
class _Content:
    """An array, its axes in our order, and the patient's number ("" outside Cheng's files)."""

    array: Array
    patient: str = ""


def _load(path: Path, name: str) -> _Content:
    with path.open("rb") as file:
        # MATLAB puts 512 bytes of its own before HDF5's.
        start = file.read(520)
    if not start:
        raise UnreadableError(path, "is empty (0 bytes)", COPY_AGAIN)
    if _HDF5 in (start[:8], start[512:]):
        return _from_hdf5(path, name)
    _check_inflated(path, start)
    return _from_old(path, name)


def _from_hdf5(path: Path, name: str) -> _Content:
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r", locking=False) as file:
        if _CHENG in file:
            group = _own(file, _CHENG, path)
            patient = _text(_from_dataset(_own(group, "PID", path), path)) if "PID" in group else ""
            return _Content(_ordered(_from_dataset(_own(group, name, path), path), path), patient)
        arrays = {key: _own(file, key, path) for key in file if not key.startswith("#")}
        shapes = {key: each.shape for key, each in arrays.items() if _is_numeric(each)}
        only = _only(shapes, path)
        return _Content(_ordered(_from_dataset(arrays[only], path), path))


def _own(group: Any, name: str, path: Path) -> Any:
    """What a name stands for, unless it points into another file."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        if name not in group:
            raise UnreadableError(path, f"has no {name!r} in {_CHENG!r}", "Take the files as figshare releases them.")
        what = f"takes {name!r} from elsewhere, perhaps from another file"
        raise UnreadableError(path, what, "Save the array itself.", kind="path-outside")
    return group[name]


def _is_numeric(dataset: Any) -> bool:
    import h5py

    return (
        isinstance(dataset, h5py.Dataset)
        and dataset.dtype.kind in "biuf"
        and dataset.attrs.get("MATLAB_class", b"") != b"char"
    )


def _from_dataset(dataset: Any, path: Path) -> Array:
    """The array with MATLAB's axes: HDF5 has them in reverse, because MATLAB stores columns first."""
    if dataset.external or dataset.is_virtual:
        what = "keeps its numbers in another file"
        raise UnreadableError(path, what, "Save the array itself.", kind="path-outside")
    check_size(path, dataset.shape)
    return np.asarray(dataset[()]).T


def _from_old(path: Path, name: str) -> _Content:
    from scipy.io import loadmat, whosmat

    known = {str(key): shape for key, shape, kind in whosmat(path) if kind not in ("char", "cell")}
    if _CHENG in known:
        record = loadmat(path, variable_names=[_CHENG])[_CHENG][0, 0]
        if name not in record.dtype.names:
            raise UnreadableError(path, f"has no {name!r} in {_CHENG!r}", "Take the files as figshare releases them.")
        patient = _text(record["PID"]) if "PID" in record.dtype.names else ""
        return _Content(_ordered(np.asarray(record[name]), path), patient)
    only = _only(known, path)
    check_size(path, known[only])
    array = np.asarray(loadmat(path, variable_names=[only])[only])
    return _Content(_ordered(array, path))


def _only(shapes: Mapping[str, Sequence[int]], path: Path) -> str:
    """The name of the only array with 2 or 3 axes of more than one element."""
    arrays = [name for name, shape in shapes.items() if len(shape) in (2, 3) and min(shape) > 1]
    if len(arrays) != 1:
        held = f"{len(arrays)} arrays ({', '.join(arrays[:5])})" if arrays else "no array"
        what = f"holds {held} with 2 or 3 axes; exactly one is needed"
        raise UnreadableError(path, what, "Save image and mask as files of their own.")
    return arrays[0]


def _ordered(array: Array, path: Path) -> Array:
    """MATLAB's (rows, columns, slices) to slices first."""
    if array.dtype.kind not in "biuf":
        raise UnreadableError(path, f"holds {array.dtype.name} instead of numbers", "Save a numeric array.")
    check_size(path, array.shape)
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype.kind == "u":
        what = f"holds {' x '.join(map(str, array.shape))} numbers, which may be colours or 3 slices"
        raise UnreadableError(path, what, "Save colour as PNG or TIFF, and volumes as NIfTI.", kind="axes")
    return np.moveaxis(array, 2, 0) if array.ndim == 3 else array


def _text(value: Array) -> str:
    """Text from an array of letters, of their codes (HDF5), or a number."""
    flat = np.asarray(value).ravel()
    if flat.dtype.kind == "U":
        return "".join(flat.tolist()).strip()
    if flat.dtype.kind == "u":
        return "".join(chr(int(code)) for code in flat).strip("\0 ")
    return f"{float(flat[0]):g}" if flat.size == 1 else ""


def _check_inflated(path: Path, start: bytes) -> None:
    """SciPy inflates a variable whole, so the length of each is counted first (MAT-file level 5)."""
    if start[126:128] not in (b"IM", b"MI"):
        return
    order: Literal["little", "big"] = "little" if start[126:128] == b"IM" else "big"
    left = 8 * max_elements()
    with path.open("rb") as file:
        position = 128
        while len(tag := (file.seek(position), file.read(8))[1]) == 8:
            kind, size = (int.from_bytes(part, order) for part in (tag[:4], tag[4:]))
            if kind == _COMPRESSED:
                left -= Inflated(file, path, ZLIB, size).remaining(left)
            if left < 0:
                what = f"inflates to more than {8 * max_elements() / 1e6:.0f} million bytes"
                raise UnreadableError(path, what, "Save its arrays as files of their own.", kind="too-large")
            position += 8 + size
