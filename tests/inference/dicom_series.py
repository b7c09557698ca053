"""DICOM series of a half-ball whose place in the patient is known, oblique and anisotropic, for the tests of masks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

ROWS, COLUMNS = 20, 24
SPACING = (0.8, 0.6)
STEP = 2.5
RADIUS = 4.5


@dataclass(frozen=True)
class Series:
    """A series as written.

    Attributes:
        uid: SeriesInstanceUID.
        frame: FrameOfReferenceUID.
        instances: SOPInstanceUID of every slice, in space.
        places: (slices, rows, columns, 3) mm in DICOM's patient axes.
        labels: (slices, rows, columns): 1 in the ball, 2 in its half towards the patient's left.
        cosines: ImageOrientationPatient.
    """

    uid: str
    frame: str
    instances: tuple[str, ...]
    places: NDArray[np.float64]
    labels: NDArray[np.uint8]
    cosines: tuple[float, ...]


def write_half_ball(folder: Path, *, modality: str = "CT", turn: int = 0, slices: int = 7) -> Series:
    """Write a series whose values are 40 in the ball and 200 in the half, -900 around it (MR: 1040, 1200, 100).

    The planes are turned about all three axes; with `turn`, also mirrored, and other axes first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = _directions(turn)
    normal = np.cross(columns, rows) * (1 if turn % 2 else -1)
    numbers = np.moveaxis(np.indices((slices, ROWS, COLUMNS)), 0, -1)
    steps = np.stack([normal * STEP, rows * SPACING[0], columns * SPACING[1]])
    places = np.array([-31.5, 12.25, 140.0]) + numbers @ steps
    away = places - places.reshape(-1, 3).mean(axis=0) - 0.05
    inside = np.linalg.norm(away, axis=-1) < RADIUS
    labels = inside.astype(np.uint8) + (inside & (away[..., 0] > 0))
    values = np.array([-900, 40, 200])[labels]
    series, frame, study = generate_uid(), generate_uid(), generate_uid()
    cosines = (*columns.tolist(), *rows.tolist())
    instances = tuple(generate_uid() for _ in range(slices))
    for position, uid in enumerate(instances):
        ds = _header(modality, uid)
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.InstanceNumber = 1 + (position * 3 + turn) % slices
        ds.ImageOrientationPatient = [round(value, 10) for value in cosines]
        ds.ImagePositionPatient = [round(value, 8) for value in places[position, 0, 0].tolist()]
        if modality == "CT":
            ds.RescaleSlope, ds.RescaleIntercept, stored = 2, -1000, (values[position] + 1000) // 2
        else:
            stored = values[position] + 1000
        ds.PixelData = stored.astype(np.uint16).tobytes()
        # Neither names nor instance numbers follow the order in space.
        ds.save_as(folder / f"IM{(position * 5 + 2) % slices:04d}.dcm", enforce_file_format=True)
    return Series(series, frame, instances, places, labels, cosines)


def _directions(turn: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Down the rows and along the columns, about 20 degrees off the patient's axes."""
    a, b = 0.3, 0.25
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    axes = (about_z @ about_x).T
    pairs = [(axes[1], axes[0]), (axes[2], -axes[1]), (-axes[0], axes[2])]
    return pairs[turn % 3]


def _header(modality: str, uid: str) -> Any:
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
    ds.Modality, ds.Manufacturer, ds.SeriesNumber = modality, "", 3
    ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = "P1", "A^B", "", ""
    ds.StudyID, ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "", "20200101", "120000", ""
    ds.ReferringPhysicianName = ""
    ds.PixelSpacing, ds.SliceThickness = list(SPACING), 1.0
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = ROWS, COLUMNS, 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 0
    return ds
