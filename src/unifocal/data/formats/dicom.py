"""DICOM: single slices, series of slices, enhanced multi-frame files, and segmentations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unifocal.data.formats.arrays import Array, as_mask, check_size, one_channel
from unifocal.data.formats.dicom_geometry import flat_affine, is_parallel, stack
from unifocal.data.formats.dicom_header import Header, Plane, frame_count, hash_patient, pixel_spacing, plane_of
from unifocal.data.formats.dicom_header import read_header as _read_header
from unifocal.data.formats.dicom_pixels import decode_stored, to_image
from unifocal.data.formats.dicom_seg import is_segmentation, read_segmentation
from unifocal.data.formats.errors import UnreadableError, guarded, without_warnings
from unifocal.data.formats.geometry import Affine, spacing_of
from unifocal.data.scan import Scan
from unifocal.problems import Problem

_SAME_IN_A_SERIES = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation")


def read_image(path: Path) -> Scan:
    """Read one file: a slice is 2D, a multi-frame file a volume.

    Rescaled to the header's units (Hounsfield units for CT); MONOCHROME1 is turned round (see
    `dicom_pixels.to_image`); YBR and palette colours become RGB.

    Raises:
        UnreadableError: If the file is damaged, holds no image or a segmentation, or is compressed in a way that
            cannot be read here (kind `dicom-transfer-syntax`).
    """
    with guarded(path), without_warnings():
        header = _read_header(path, with_pixels=True)
        _refuse_segmentation(header, path)
        return _from_file(header, path, _image)


def read_series(paths: Sequence[Path]) -> Scan:
    """Read the slices of one series as a volume, in whatever order they are given.

    Slices are sorted by position, along the normal of their planes. What is wrong with the positions becomes a note:
    errors of kind `dicom-missing-slice`, `uneven-spacing`, `dicom-duplicate-slice`, `dicom-no-position` and
    `dicom-two-patients`, warnings of kind `gantry-tilt` and `dicom-detector-spacing`.

    Raises:
        UnreadableError: As for `read_image`, or if slices differ in size, colour or orientation (kind
            `dicom-series-mixed`).
    """
    if len(paths) == 1:
        return read_image(paths[0])
    with guarded(paths[0].parent), without_warnings():
        return _from_series(paths, _image)


def read_mask(path: Path, like: Scan | None = None) -> Scan:
    """Read one file as a mask: a segmentation (see `dicom_seg.read_segmentation`), or the values as stored.

    Raises:
        UnreadableError: As for `read_image` and `read_segmentation`.
    """
    with guarded(path), without_warnings():
        header = _read_header(path, with_pixels=True)
        if is_segmentation(header):
            return read_segmentation(header, path, like)
        scan = _from_file(header, path, _stored)
        return replace(scan, array=as_mask(one_channel(scan.array, path), path))


def read_series_mask(paths: Sequence[Path], like: Scan | None = None) -> Scan:
    """Read the slices of one series as a mask, with the values as stored.

    Raises:
        UnreadableError: As for `read_series`.
    """
    if len(paths) == 1:
        return read_mask(paths[0], like)
    with guarded(paths[0].parent), without_warnings():
        scan = _from_series(paths, _stored)
        return replace(scan, array=as_mask(one_channel(scan.array, paths[0]), paths[0]))


@dataclass(frozen=True)
class _Place:
    """In which order slices go, and where they then lie."""

    order: Sequence[int]
    spacing_mm: tuple[float, ...] | None
    affine: Affine | None
    notes: tuple[Problem, ...]


_Decode = Callable[[Header, Path], Array]


def _image(header: Header, path: Path) -> Array:
    return to_image(decode_stored(header, path), header)


def _stored(header: Header, path: Path) -> Array:
    """(channels, frames, rows, columns) as stored."""
    pixels = decode_stored(header, path)
    return np.moveaxis(pixels, -1, 0) if pixels.ndim == 4 else pixels[None]


def _from_file(header: Header, path: Path, decode: _Decode) -> Scan:
    frames = frame_count(header)
    planes = [plane_of(header, frame) for frame in range(frames)]
    place = _place(header, planes, [f"frame {frame + 1}" for frame in range(frames)], path)
    array = decode(header, path)
    if frames == 1:
        array = array[:, 0]
    elif list(place.order) != list(range(frames)):
        array = array[:, place.order]
    return Scan(np.ascontiguousarray(array), place.spacing_mm, place.affine, hash_patient(header), place.notes)


def _from_series(paths: Sequence[Path], decode: _Decode) -> Scan:
    headers = [_read_header(path, with_pixels=False) for path in paths]
    for header, path in zip(headers, paths, strict=True):
        _refuse_segmentation(header, path)
        _check_same(headers[0], header, path)
    first = headers[0]
    check_size(paths[0].parent, (len(paths), int(first.get("SamplesPerPixel") or 1), first.Rows, first.Columns))
    planes = [plane_of(header) for header in headers]
    place = _place(first, planes, paths, paths[0].parent, [_instance(header) for header in headers])
    patients = {hash_patient(header): path for header, path in zip(headers, paths, strict=True)}
    notes = place.notes
    if len(patients) > 1:
        what = f"is of another patient than {next(iter(patients.values())).name} in the same series"
        remedy = "Separate the patients' files."
        notes = (*notes, Problem(str(list(patients.values())[1]), what, remedy, "dicom-two-patients"))
    array: Array | None = None
    for index, source in enumerate(place.order):
        with guarded(paths[source]):
            slice_ = decode(_read_header(paths[source], with_pixels=True), paths[source])[:, 0]
        if array is None:
            array = np.empty((len(slice_), len(paths), *slice_.shape[1:]), slice_.dtype)
        array[:, index] = slice_
    assert array is not None
    return Scan(array, place.spacing_mm, place.affine, hash_patient(first), notes)


def _place(
    header: Header,
    planes: Sequence[Plane | None],
    where: Sequence[Path | str],
    series: Path,
    instances: Sequence[int] = (),
) -> _Place:
    spacing, is_detector = pixel_spacing(header)
    notes = [_detector_note(series)] if is_detector else []
    known = [plane for plane in planes if plane is not None]
    if len(planes) == 1:
        affine = flat_affine(known[0], spacing) if known and spacing else None
        return _Place((0,), spacing, affine, tuple(notes))
    if len(known) < len(planes):
        what = "does not say where every slice lies, so that their order and distance are unknown"
        notes.append(Problem(str(series), what, "Export it with positions, or as NIfTI.", "dicom-no-position"))
        order = sorted(range(len(planes)), key=lambda index: instances[index] if instances else index)
        return _Place(order, None, None, tuple(notes))
    for plane, name in zip(known, where, strict=True):
        if not is_parallel(known[0], plane):
            what = f"has slices of different orientation (for instance {getattr(name, 'name', name)})"
            remedy = "Separate them: each orientation is a scan of its own."
            raise UnreadableError(series, what, remedy, kind="dicom-series-mixed")
    stacked = stack(known, spacing or (1.0, 1.0), where, series)
    affine = stacked.affine if spacing else None
    spacing_mm = None if affine is None else spacing_of(affine)
    return _Place(stacked.order, spacing_mm, affine, (*notes, *stacked.notes))


def _instance(header: Header) -> int:
    return int(header.get("InstanceNumber") or 0)


def _detector_note(series: Path) -> Problem:
    what = "gives the distance between pixels at the detector only; in the patient, it is smaller"
    remedy = "Take distances in mm for what they are, or give the spacing in the table of cases."
    return Problem(str(series), what, remedy, "dicom-detector-spacing", is_warning=True)


def _check_same(first: Header, other: Header, path: Path) -> None:
    remedy = "Separate the files: each size and sort is a scan of its own."
    if frame_count(other) > 1:
        what = "holds several frames, and is one of several files of the same series"
        raise UnreadableError(path, what, remedy, kind="dicom-series-mixed")
    for name in _SAME_IN_A_SERIES:
        if first.get(name) != other.get(name):
            what = f"differs from the other slices of its series: {name} is {other.get(name)}, not {first.get(name)}"
            raise UnreadableError(path, what, remedy, kind="dicom-series-mixed")


def _refuse_segmentation(header: Header, path: Path) -> None:
    if is_segmentation(header):
        what = "is a segmentation, not an image"
        raise UnreadableError(path, what, "Put it with the masks.", kind="dicom-segmentation")
