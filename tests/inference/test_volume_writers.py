"""Written volumes lie where their images lie: for our readers, and for the libraries that others read them with."""

from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from unifocal.data.case import Source
from unifocal.data.formats.dicom_series import find_series
from unifocal.data.read import read_image, read_mask
from unifocal.inference.volume_writers import write_volume_like, write_volume_mask

LABELS = {1: "edema", 4: "enhancing tumour"}


def mask_of(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Labels 1 and 4, different along every axis."""
    mask = np.zeros(shape, np.uint8)
    mask[1:3, 1:4, 1:] = 1
    mask[2:3, 2:4, 3:5] = 4
    return mask


def rotation(seed: int) -> NDArray[np.float64]:
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return turned


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_nifti_keeps_affine_and_header(tmp_path: Path, kind: Any) -> None:
    affine = np.eye(4)
    affine[:3, :3] = rotation(1) @ np.diag([0.5, 0.7, 5.0])
    affine[:3, 3] = 10, -20, 30
    original = kind(np.random.default_rng(0).normal(size=(9, 7, 5)).astype(np.float32), affine)
    original.header["descrip"] = b"scanner 7"
    original.header.set_xyzt_units("mm", "sec")
    original.set_qform(affine, code=1)
    original.set_sform(affine, code=2)
    nib.save(original, tmp_path / "image.nii.gz")
    source = Source.of(tmp_path / "image.nii.gz")
    mask = mask_of(read_image(source).array.shape[1:])
    written = write_volume_mask(tmp_path / "masks", "case", mask, source, LABELS)
    assert written.name == "case.nii.gz"
    back = nib.load(written)
    assert isinstance(back, kind)
    assert np.array_equal(np.asarray(back.dataobj), mask.transpose())
    assert np.array_equal(back.affine, nib.load(tmp_path / "image.nii.gz").affine)
    assert back.header["descrip"] == original.header["descrip"]
    assert (int(back.header["qform_code"]), int(back.header["sform_code"])) == (1, 2)
    assert back.get_data_dtype() == np.uint8
    assert np.array_equal(read_mask(written).array, mask)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd", ".nhdr"])
def test_itk_formats_keep_origin_spacing_and_directions(tmp_path: Path, ending: str) -> None:
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(size=(5, 7, 9)).astype(np.float32))
    image.SetSpacing((0.5, 0.7, 5.0))
    image.SetOrigin((1.0, -2.0, 3.0))
    image.SetDirection(rotation(2).ravel().tolist())
    path = tmp_path / f"image{ending}"
    sitk.WriteImage(image, str(path))
    mask = mask_of((5, 7, 9))
    written = write_volume_mask(tmp_path / "masks", "case", mask, Source.of(path), LABELS)
    back = sitk.ReadImage(str(written))
    assert np.array_equal(sitk.GetArrayFromImage(back), mask)
    for told in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(back, told)() == pytest.approx(getattr(image, told)(), abs=1e-6)


def write_slices(folder: Path, count: int = 6) -> list[Path]:
    """A DICOM series in general position, its files in no order."""
    folder.mkdir()
    turned = rotation(3)
    study, series, frame = (pydicom.uid.generate_uid() for _ in range(3))
    paths = []
    for number in range(count):
        ds = pydicom.Dataset()
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = "P1", "A^B", "", ""
        ds.StudyID, ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "", "20200101", "120000", ""
        ds.Modality, ds.Manufacturer, ds.ReferringPhysicianName = "CT", "", ""
        ds.SeriesNumber, ds.InstanceNumber = 3, count - number
        ds.ImageOrientationPatient = [*turned[:, 0].round(9), *turned[:, 1].round(9)]
        ds.ImagePositionPatient = [float(x) for x in (number * 2.5 * np.cross(turned[:, 0], turned[:, 1])).round(9)]
        ds.PixelSpacing, ds.SliceThickness = [0.7, 0.5], 2.5
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 8, 10, 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 1
        ds.PixelData = np.full((8, 10), number, np.int16).tobytes()
        paths.append(folder / f"{(number * 5) % count}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


def test_a_dicom_series_gives_a_segmentation_on_its_slices(tmp_path: Path) -> None:
    (source,), problems = find_series(write_slices(tmp_path / "ct"))
    assert not problems
    scan = read_image(source)
    mask = mask_of(scan.array.shape[1:])
    written = write_volume_mask(tmp_path, "case", mask, source, LABELS)
    back = read_mask(written, like=scan)
    assert not back.notes
    assert np.array_equal(back.array, np.searchsorted([0, 1, 4], mask))
    segmentation = hd.seg.segread(written)
    assert [segmentation.get_segment_description(number).segment_label for number in (1, 2)] == list(LABELS.values())
    assert (
        segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID == pydicom.dcmread(source.paths[0]).SeriesInstanceUID
    )
    volume = segmentation.get_volume(combine_segments=True)
    assert scan.affine is not None
    for index in np.argwhere(mask == 4):
        place = (scan.affine @ [*index, 1])[:3] * (-1, -1, 1)
        there = np.rint(volume.map_reference_to_indices(place[None]))[0].astype(int)
        assert volume.array[tuple(there)] == 2


def test_a_mask_without_any_label_can_be_written(tmp_path: Path) -> None:
    (source,), _ = find_series(write_slices(tmp_path / "ct"))
    scan = read_image(source)
    written = write_volume_mask(tmp_path, "case", np.zeros(scan.array.shape[1:], np.uint8), source, LABELS)
    assert not read_mask(written, like=scan).array.any()


def test_another_size_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((9, 7, 5), np.float32), np.eye(4)), tmp_path / "image.nii.gz")
    with pytest.raises(ValueError, match=r"image\.nii\.gz"):
        write_volume_mask(tmp_path / "out", "case", mask_of((5, 7, 8)), Source.of(tmp_path / "image.nii.gz"), LABELS)
    assert not list((tmp_path / "out").iterdir())


def test_probabilities_keep_their_type(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((9, 7, 5), np.int16), np.diag([2.0, 3, 4, 1])), tmp_path / "image.nii")
    values = np.random.default_rng(0).random((5, 7, 9)).astype(np.float32)
    written = write_volume_like(tmp_path, "p", values, Source.of(tmp_path / "image.nii"))
    assert np.array_equal(read_image(written).array[0], values)
