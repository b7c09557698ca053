"""Two folders with volumes: formats mixed, DICOM in folders or in one tree."""

from pathlib import Path

import numpy as np
import pytest
from layout_files import cases_of, kinds_of, opened, touch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from unifocal.problems import InputError


def write_series(folder: Path, slices: int = 3, patient: str = "P1", extension: str = ".dcm") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    series = generate_uid()
    for number in range(slices):
        header = Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.file_meta.MediaStorageSOPClassUID = CTImageStorage
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, generate_uid()
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.SeriesInstanceUID, header.PatientID = series, patient
        header.Modality, header.InstanceNumber = "CT", number + 1
        header.Rows = header.Columns = 4
        header.PixelSpacing, header.ImageOrientationPatient = [1, 1], [1, 0, 0, 0, 1, 0]
        header.ImagePositionPatient = [0, 0, -number]
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated = header.BitsStored = 16
        header.HighBit, header.PixelRepresentation = 15, 1
        header.PixelData = np.zeros((4, 4), np.int16).tobytes()
        header.save_as(folder / f"slice{number}{extension}", enforce_file_format=True)
    return folder


def test_extensions_may_be_mixed(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii.gz", "images/b.nrrd", "images/c.mha", "images/d.NII", "images/e.mhd", "images/e.raw")
    touch(tmp_path, "masks/a.nii", "masks/b.nii.gz", "masks/c.nrrd", "masks/d.nii.gz", "masks/e.mha")
    reading = opened(tmp_path)
    assert reading.problems == ()
    assert reading.dataset.declared.layout == "folders"
    assert list(cases_of(reading)) == ["a", "b", "c", "d", "e"]


def test_a_table_names_volumes_with_or_without_their_extension(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii.gz", "images/b.nii.gz", "masks/a.nii.gz", "masks/b.nii.gz")
    (tmp_path / "cases.csv").write_text("case,patient,spacing_slice_mm,spacing_mm,site\na.nii.gz,p,3,1,x\nb,q,,,y\n")
    cases = cases_of(opened(tmp_path, spacing_mm=(5.0, 1.0, 1.0)))
    assert [case.spacing_mm for case in cases.values()] == [(3, 1, 1), (5, 1, 1)]
    assert [case.attributes for case in cases.values()] == [{"site": "x"}, {"site": "y"}]


def test_two_volumes_of_one_name_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii.gz", "images/a.nrrd", "images/b.nii", "masks/a.nii.gz", "masks/b.nii.gz")
    reading = opened(tmp_path)
    assert kinds_of(reading.problems) == [("image-ambiguous", False)]
    assert list(cases_of(reading)) == ["b"]


def test_folders_of_slices(tmp_path: Path) -> None:
    write_series(tmp_path / "images" / "pat.1", patient="one")
    write_series(tmp_path / "images" / "pat.2" / "study" / "series", patient="two", extension="")
    touch(tmp_path, "masks/pat.1.nii.gz", "masks/pat.2.nii.gz", "images/pat.1/notes.txt")
    reading = opened(tmp_path)
    cases = cases_of(reading)
    assert reading.problems == ()
    assert list(cases) == ["pat.1", "pat.2"]
    assert cases["pat.1"].image.joined == "slices"
    assert {len(case.image.paths) for case in cases.values()} == {3}
    assert reading.dataset.patients_known
    assert len({case.patient for case in cases.values()} | {"one", "two"}) == 4


def test_a_tree_of_several_series_per_patient(tmp_path: Path) -> None:
    write_series(tmp_path / "scans" / "p1" / "ct")
    write_series(tmp_path / "scans" / "p1" / "mr")
    write_series(tmp_path / "scans" / "p2" / "ct", patient="P2")
    reading = opened(tmp_path, images=Path("scans"), with_masks=False)
    assert sorted(cases_of(reading)) == ["p1_ct", "p1_mr", "p2"]
    assert len({case.patient for case in reading.dataset.cases}) == 2


def test_all_slices_in_one_folder(tmp_path: Path) -> None:
    images = write_series(tmp_path / "images", slices=2)
    for path in sorted(images.iterdir()):
        path.rename(path.with_name(f"a_{path.name}"))
    write_series(images, slices=4)
    reading = opened(tmp_path, images=Path("images"), with_masks=False)
    assert sorted(len(case.image.paths) for case in reading.dataset.cases) == [2, 4]


def test_loops_of_links_end(tmp_path: Path) -> None:
    write_series(tmp_path / "images" / "p1")
    (tmp_path / "images" / "p1" / "again").symlink_to(tmp_path / "images")
    (tmp_path / "images" / "self").symlink_to(tmp_path / "images" / "self")
    touch(tmp_path, "masks/p1.nii.gz")
    assert list(cases_of(opened(tmp_path))) == ["p1"]


def test_folders_too_deep_are_told(tmp_path: Path) -> None:
    deep = tmp_path.joinpath("images", *"abcdefghijklmnop")
    write_series(deep)
    with pytest.raises(InputError) as caught:
        opened(tmp_path, images=Path("images"), with_masks=False)
    assert kinds_of(caught.value.problems) == [("folder-too-deep", False)]
