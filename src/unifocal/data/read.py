"""Image and mask files as arrays: every format behind two functions."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from unifocal.data.case import Source
from unifocal.data.formats.arrays import Image, Mask
from unifocal.data.formats.errors import UnreadableError, guarded
from unifocal.data.formats.geometry import geometry_problem
from unifocal.data.scan import Scan

__all__ = [
    "EXTENSIONS",
    "KINDS",
    "Image",
    "Mask",
    "UnreadableError",
    "digest",
    "files_of",
    "is_placed_by_image",
    "is_readable",
    "kind_of",
    "read_image",
    "read_mask",
    "stem_of",
]

Kind = Literal["picture", "nifti", "itk", "dicom", "matlab"]

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"})
"""Of pictures."""

KINDS: dict[str, Kind] = {
    **dict.fromkeys(sorted(EXTENSIONS), "picture"),
    **dict.fromkeys((".nii", ".nii.gz", ".hdr"), "nifti"),
    **dict.fromkeys((".nrrd", ".nhdr", ".mha", ".mhd"), "itk"),
    **dict.fromkeys((".dcm", ".dicom", ".ima"), "dicom"),
    ".mat": "matlab",
}
"""Which family a file belongs to, by its extension. Halves of a pair (`.img`, `.raw`) go by their header's name."""


def read_image(source: Source | Path) -> Scan:
    """Read an image of any format in `KINDS`.

    Several files are joined as the source says: their channels one after the other, or DICOM slices in space.

    Returns:
        float32 (channels, *spatial), *spatial being (rows, columns) or (slices, rows, columns), in the file's own
        units, with scaling in the header applied. Pictures: 1 channel for grey, 3 for colour; transparency is
        dropped, CMYK becomes RGB, a palette whose used colours are all grey becomes grey. Notes hold errors of kind
        `geometry` where the files of several channels do not lie in the same place.

    Raises:
        UnreadableError: If a file is damaged, cut short, too large, of another format, or cannot be read without loss,
            or if the files of several channels differ in size.
    """
    source = Source.of(source) if isinstance(source, Path) else source
    if source.joined == "slices":
        from unifocal.data.formats import dicom

        return dicom.read_series(source.paths)
    scans: list[Scan] = [_reader(path).read_image(path) for path in source.paths]
    return _joined(source.paths, scans, np.concatenate, leading_axes=1)


def read_mask(source: Source | Path, like: Scan | None = None) -> Scan:
    """Read a mask of any format in `KINDS`, or DICOM segmentations.

    Several files are the objects of one image: an element has the highest value that any of them gives it.

    Args:
        source: Its files.
        like: The image that the mask belongs to. DICOM segmentations hold only the slices with objects: with it, they
            are put on its slices; without, they span their own. Other formats take no notice of it.

    Returns:
        Integers (*spatial) as stored. Pictures: 1 bit reads as 0 and 255; red, green and blue that are equal collapse;
        a palette reads as its grey values where it is grey up to the highest entry in use, and as indices where it has
        colours (labels painted as in PASCAL VOC). Which label each value means is `unifocal.data.coding`'s to say.

    Raises:
        UnreadableError: As for `read_image`, or if the mask has differing channels, or values that are not whole
            numbers.
    """
    source = Source.of(source) if isinstance(source, Path) else source
    if source.joined == "slices":
        from unifocal.data.formats import dicom

        return dicom.read_series_mask(source.paths)
    scans: list[Scan] = [_reader(path).read_mask(path, like) for path in source.paths]
    return _joined(source.paths, scans, np.maximum.reduce, leading_axes=0)


def is_placed_by_image(source: Source) -> bool:
    """Whether `read_mask` may need `like` for a mask: one that is in DICOM files, but not a series of them."""
    return source.joined != "slices" and any(kind_of(path) == "dicom" for path in source.paths)


def is_readable(path: Path) -> bool:
    """Whether a file's name, or for an unknown extension its DICOM mark, says that `read_image` is for it."""
    return kind_of(path) is not None


def kind_of(path: Path) -> Kind | None:
    """The family of formats that a file belongs to, by its name; None for other files.

    A file whose extension is none of `KINDS` is looked into: DICOM files often have no extension.
    """
    extension = _extension(path)
    if extension:
        return KINDS[extension]
    if path.name.upper() == "DICOMDIR":
        return None
    try:
        # A pipe would wait for its other end.
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return "dicom" if file.read(132)[128:] == b"DICM" else None
    except OSError:
        return None


def stem_of(path: Path) -> str:
    """A file's name without its extension, `.nii.gz` as a whole; the whole name where the extension is none of ours."""
    extension = _extension(path)
    return path.name[: -len(extension)] if extension else path.name


def files_of(source: Source | Path) -> tuple[Path, ...]:
    """All files that reading a source opens: its own, and those that hold the data of a detached header.

    Raises:
        UnreadableError: If a header that names its data file cannot be used.
    """
    paths = (source,) if isinstance(source, Path) else source.paths
    return tuple(file for path in paths for file in _files_of(path))


def digest(source: Source | Path) -> bytes:
    """SHA-256 of a file's bytes; of several files, SHA-256 over their digests in order.

    Raises:
        UnreadableError: If the system does not give a file.
    """
    digests = []
    for path in files_of(source):
        with guarded(path), path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").digest())
    return digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()


_MODULES = {"picture": "pictures", "nifti": "nifti", "itk": "itk", "dicom": "dicom", "matlab": "matlab"}


def _extension(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower() if path.suffix.lower() in KINDS else ""


def _files_of(path: Path) -> tuple[Path, ...]:
    if path.suffix.lower() in (".hdr", ".img"):
        from unifocal.data.formats import nifti

        return nifti.files_of(path)
    if KINDS.get(path.suffix.lower()) == "itk":
        from unifocal.data.formats import itk

        return itk.files_of(path)
    return (path,)


def _reader(path: Path) -> ModuleType:
    """The module whose `read_image` and `read_mask` are for a file; the heavy libraries come with it."""
    kind = "nifti" if path.suffix.lower() == ".img" else kind_of(path)
    return import_module(f"unifocal.data.formats.{_MODULES[kind or 'picture']}")


def _joined(
    paths: Sequence[Path], scans: Sequence[Scan], join: Callable[[Sequence[Any]], Any], *, leading_axes: int
) -> Scan:
    first = scans[0]
    if len(scans) == 1:
        return first
    notes = [note for scan in scans for note in scan.notes]
    for path, scan in zip(paths[1:], scans[1:], strict=True):
        sizes = [each.array.shape[leading_axes:] for each in (scan, first)]
        if sizes[0] != sizes[1]:
            mine, other = (" x ".join(map(str, size)) for size in sizes)
            what = f"has {mine} elements, but {paths[0].name}, which belongs to the same case, has {other}"
            raise UnreadableError(path, what, "Export them at the same size.", kind="size")
        note = geometry_problem(str(path), paths[0].name, (scan.affine, first.affine), sizes[0])
        notes += [note] if note else []
    return replace(first, array=join([scan.array for scan in scans]), notes=tuple(notes))
