"""DICOM files made by hand with pydicom, for the tests of the readers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

Array = np.ndarray[Any, Any]
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
STUDY = generate_uid(entropy_srcs=["study"])
SERIES = generate_uid(entropy_srcs=["series"])
FRAME = generate_uid(entropy_srcs=["frame of reference"])


def oblique_cosines(seed: int) -> tuple[float, ...]:
    """An ImageOrientationPatient in general position."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return tuple(np.round(rotation[:, :2].T.ravel(), 12).tolist())


def dataset(pixels: Array, *, syntax: str = ExplicitVRLittleEndian, **elements: Any) -> FileDataset:
    """A CT slice: (rows, columns) or (rows, columns, samples); `elements` replace what it says, None removes it."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = elements.get("SOPClassUID", CTImageStorage)
    meta.MediaStorageSOPInstanceUID = generate_uid(
        entropy_srcs=[repr((pixels.tobytes(), sorted(map(str, elements.items()))))]
    )
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128), is_little_endian=syntax != ExplicitVRBigEndian,
                     is_implicit_VR=syntax == ImplicitVRLittleEndian)  # fmt: skip
    bits = pixels.dtype.itemsize * 8
    said = {
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "Modality": "CT",
        "StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "FrameOfReferenceUID": FRAME,
        "PatientID": "P7", "PatientName": "Doe^Jane", "PatientBirthDate": "19700101", "PatientSex": "F",
        "StudyID": "1", "StudyDate": "20200101", "StudyTime": "120000", "AccessionNumber": "1",
        "SeriesNumber": 1, "InstanceNumber": 1, "Manufacturer": "unifocal", "ReferringPhysicianName": "",
        "ImagePositionPatient": [0.0, 0.0, 0.0], "ImageOrientationPatient": list(AXIAL), "PixelSpacing": [0.7, 0.5],
        "SliceThickness": 9.0, "Rows": pixels.shape[0], "Columns": pixels.shape[1],
        "SamplesPerPixel": pixels.shape[2] if pixels.ndim == 3 else 1,
        "PhotometricInterpretation": "RGB" if pixels.ndim == 3 else "MONOCHROME2",
        "BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"), "PixelData": pixels.tobytes(),
    } | ({"PlanarConfiguration": 0} if pixels.ndim == 3 else {}) | elements  # fmt: skip
    for name, value in said.items():
        if value is not None:
            setattr(ds, name, value)
    if len(pixels.tobytes()) % 2 and elements.get("PixelData") is None:
        ds.PixelData = pixels.tobytes() + b"\0"
    return ds


def write(path: Path, pixels: Array, **elements: Any) -> Path:
    """A CT slice as a file."""
    dataset(pixels, **elements).save_as(path, enforce_file_format=True)
    return path


def positions(
    count: int, cosines: Sequence[float], step: float, origin: Sequence[float] = (-20.0, 5.0, 100.0)
) -> Array:
    """Where slices lie, along the normal of their planes."""
    normal = np.cross(cosines[:3], cosines[3:])
    return np.array(origin) + np.arange(count)[:, None] * step * normal


def write_series(
    folder: Path,
    volume: Array,
    *,
    cosines: Sequence[float] = AXIAL,
    step: float = 2.5,
    where: Array | None = None,
    **elements: Any,
) -> list[Path]:
    """The slices of a volume (slices, rows, columns), in files whose names say nothing of their order."""
    folder.mkdir(parents=True, exist_ok=True)
    places = positions(len(volume), cosines, step) if where is None else where
    names = np.random.default_rng(len(volume)).permutation(len(volume))
    return [
        write(
            folder / f"im{name:03d}",
            pixels,
            ImagePositionPatient=[round(value, 9) for value in place.tolist()],
            ImageOrientationPatient=list(cosines),
            InstanceNumber=index + 1,
            **elements,
        )
        for index, (name, pixels, place) in enumerate(zip(names, volume, places, strict=True))
    ]


def write_enhanced(path: Path, volume: Array, places: Array, slopes: Sequence[float]) -> Path:
    """A multi-frame file whose frames stand in the order given, each with a slope of its own."""
    ds = dataset(volume[0], SOPClassUID=EnhancedCTImageStorage, ImagePositionPatient=None, PixelSpacing=None,
                 ImageOrientationPatient=None)  # fmt: skip
    ds.NumberOfFrames = len(volume)
    ds.PixelData = volume.tobytes()
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(AXIAL)
    measures.PixelSpacing, measures.SliceThickness = [0.7, 0.5], 9.0
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Items([orientation]), Items([measures])
    ds.SharedFunctionalGroupsSequence = Items([shared])
    frames = []
    for place, slope in zip(places, slopes, strict=True):
        position, scaling, frame = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = place.tolist()
        scaling.RescaleSlope, scaling.RescaleIntercept, scaling.RescaleType = slope, -1000, "HU"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = Items([position]), Items([scaling])
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = Items(frames)
    ds.save_as(path, enforce_file_format=True)
    return path
