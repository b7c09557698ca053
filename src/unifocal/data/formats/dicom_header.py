"""DICOM headers: what a file is, whose it is, and the planes of its frames."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.data.formats.arrays import check_size, max_elements
from unifocal.data.formats.errors import UnreadableError, guarded, without_warnings
from unifocal.data.formats.inflate import DEFLATE, Inflated

_DEFLATED = "1.2.840.10008.1.2.1.99"
Header = Any
"""A `pydicom.Dataset`; its elements are typed by nothing."""


@dataclass(frozen=True)
class Plane:
    """Where one frame lies, in DICOM's patient axes (LPS), in mm.

    Attributes:
        position: (x, y, z) of the centre of its first pixel.
        along_rows: Unit vector from a row to the next (down a column).
        along_columns: Unit vector from a column to the next (along a row).
    """

    position: NDArray[np.float64]
    along_rows: NDArray[np.float64]
    along_columns: NDArray[np.float64]

    @property
    def normal(self) -> NDArray[np.float64]:
        """The unit vector to which slices are sorted: right-handed with columns and rows."""
        return np.cross(self.along_columns, self.along_rows)


def read_header(path: Path, *, with_pixels: bool) -> Header:
    """Parse a DICOM file.

    Args:
        path: The file; one without DICOM's mark at byte 128 is tried as well.
        with_pixels: Whether to read beyond the header.

    Raises:
        UnreadableError: If it is no DICOM file or damaged, or holds no image (kind `dicom-no-image`).
    """
    import pydicom

    with guarded(path), without_warnings():
        _check_deflated(path)
        try:
            header = pydicom.dcmread(path, stop_before_pixels=not with_pixels, force=True)
        except EOFError:
            raise UnreadableError(path, "is cut short", "Copy it again from its source.", kind="truncated") from None
        if not header:
            what = "is not a DICOM file, or its beginning is damaged"
            raise UnreadableError(path, what, "Copy it again from its source.")
        _check_image(header, path, with_pixels=with_pixels)
    return header


def hash_patient(header: Header) -> str:
    """Whose scan it is: the first 12 hexadecimal digits of SHA-256 over the ID, or else over name and date of birth.

    A pseudonym, not anonymity: whoever knows an ID can hash it and compare.

    Returns:
        "" where the header names nobody.
    """
    said = str(header.get("PatientID") or "").strip()
    if not said and str(header.get("PatientName") or "").strip():
        said = f"{header.PatientName}|{header.get('PatientBirthDate') or ''}".strip()
    return hash_text(said)


def patient_of(path: Path) -> str:
    """`hash_patient` of a file.

    Raises:
        UnreadableError: If it is no DICOM file or damaged, or holds no image.
    """
    with guarded(path), without_warnings():
        return hash_patient(read_header(path, with_pixels=False))


def hash_text(said: str) -> str:
    """The first 12 hexadecimal digits of SHA-256; "" for nothing."""
    return hashlib.sha256(said.encode()).hexdigest()[:12] if said else ""


def frame_count(header: Header) -> int:
    """How many frames the file holds, 1 where it does not say."""
    return int(header.get("NumberOfFrames") or 1)


def frame_groups(header: Header, frame: int) -> list[Header]:
    """Where to look for what is said of a frame: its own functional groups, those of all frames, the header itself."""
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    return [*own[frame : frame + 1], *shared[:1], header]


def find(groups: Sequence[Header], sequence: str, keyword: str) -> Any:
    """An attribute of a frame: from the macro `sequence` of its groups, or from the header; None where nobody says."""
    for group in groups:
        holder = (group.get(sequence) or [None])[0]
        for place in (holder, group):
            value = None if place is None else place.get(keyword)
            if value is not None and value != "":
                return value
    return None


def plane_of(header: Header, frame: int = 0) -> Plane | None:
    """Where a frame lies; None where the file does not say, or says nothing sensible."""
    groups = frame_groups(header, frame)
    position = _numbers(find(groups, "PlanePositionSequence", "ImagePositionPatient"), 3)
    cosines = _numbers(find(groups, "PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    if position is None or cosines is None:
        return None
    along_columns, along_rows = cosines[:3], cosines[3:]
    lengths = np.linalg.norm(along_columns), np.linalg.norm(along_rows)
    # The standard demands unit vectors at right angles; rounding in the header is let pass.
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1)) > 1e-2 or abs(along_columns @ along_rows) > 1e-2:
        return None
    offsets = _numbers(header.get("GridFrameOffsetVector"), frame_count(header))
    if offsets is not None and frame_count(header) > 1 and "PerFrameFunctionalGroupsSequence" not in header:
        position = position + (offsets[frame] - offsets[0]) * np.cross(along_columns, along_rows)
    return Plane(position, along_rows / lengths[1], along_columns / lengths[0])


def pixel_spacing(header: Header) -> tuple[tuple[float, float] | None, bool]:
    """Distance between (rows, columns) in mm, None where unknown; and whether it is the detector's."""
    groups = frame_groups(header, 0)
    spacing = _numbers(find(groups, "PixelMeasuresSequence", "PixelSpacing"), 2)
    is_detector = spacing is None
    if spacing is None:
        spacing = _numbers(header.get("ImagerPixelSpacing"), 2)
    if spacing is None or not (spacing > 0).all():
        return None, False
    return (float(spacing[0]), float(spacing[1])), is_detector


def _numbers(value: Any, count: int) -> NDArray[np.float64] | None:
    if value is None or isinstance(value, str) or not hasattr(value, "__len__") or len(value) != count:
        return None
    numbers = np.array([float(each) for each in value], np.float64)
    return numbers if np.isfinite(numbers).all() else None


def _check_deflated(path: Path) -> None:
    """A deflated file is inflated whole by pydicom, so its length is counted first."""
    from pydicom.filereader import read_file_meta_info

    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return
    meta = read_file_meta_info(path)
    if str(meta.get("TransferSyntaxUID")) != _DEFLATED:
        return
    with path.open("rb") as file:
        file.seek(144 + int(meta.FileMetaInformationGroupLength))
        limit = 4 * max_elements()
        if Inflated(file, path, DEFLATE).remaining(limit) > limit:
            what = f"inflates to more than {limit / 1e6:.0f} million bytes"
            raise UnreadableError(path, what, "Export it without compression.", kind="too-large")


def _check_image(header: Header, path: Path, *, with_pixels: bool) -> None:
    has_pixels = any(name in header for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
    if "Rows" not in header or "Columns" not in header or (with_pixels and not has_pixels):
        meta = getattr(header, "file_meta", None) or {}
        known = header.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
        if known is None and "Rows" not in header:
            what = "is not a DICOM file, or its beginning is damaged"
            raise UnreadableError(path, what, "Copy it again from its source.")
        what = f"holds no image ({getattr(known, 'name', None) or 'DICOM object of unknown sort'})"
        raise UnreadableError(path, what, "Take it out of the data set.", kind="dicom-no-image")
    samples = int(header.get("SamplesPerPixel") or 1)
    check_size(path, (samples, frame_count(header), int(header.Rows), int(header.Columns)))
