"""One tree of DICOM files: segmentations find their series by what they refer to, never by where they lie."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from layout_files import cases_of, kinds_of, opened, touch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

from unifocal.data.check.whole import check_data
from unifocal.data.layouts.dicom_tree import recognises
from unifocal.data.read import read_image, read_mask
from unifocal.problems import InputError

Array = np.ndarray[Any, Any]
SHAPE = (5, 8, 10)
STUDY, FRAME = generate_uid(entropy_srcs=["study of the tree"]), generate_uid(entropy_srcs=["frame of the tree"])


def label_map(case: int) -> Array:
    """A box whose place and size tell the cases apart."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:4, case + 1 : case + 4, 2:6] = 1
    return mask


def ct_slice(pixels: Array, index: int, series: str, patient: str) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = STUDY, series, FRAME
    ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = patient, "Doe^Jane", "19700101", "F"
    ds.StudyID, ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "1", "20200101", "120000", "1"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", 1, index + 1
    ds.ReferringPhysicianName = ds.Manufacturer = ""
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 2.5 * index], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [0.7, 0.5], 2.5
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 1
    ds.PixelData = pixels.tobytes()
    return ds


def ct_series(case: int, patient: str) -> list[Dataset]:
    """Slices that are bright where `label_map` is 1."""
    noise = np.random.default_rng(case).integers(-20, 20, SHAPE)
    volume = (noise + 500 * label_map(case).astype(int)).astype(np.int16)
    series = generate_uid()
    return [ct_slice(pixels, index, series, patient) for index, pixels in enumerate(volume)]


def segmentation(slices: Sequence[Dataset], mask: Array, said: str = "tumour manual", name: str = "tumour") -> Dataset:
    segment = hd.seg.SegmentDescription(
        1,
        name,
        codes.SCT.MorphologicallyAbnormalStructure,
        codes.SCT.Neoplasm,
        hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    return hd.seg.Segmentation(
        slices, mask, "BINARY", [segment], generate_uid(), 2, generate_uid(), 1, "unifocal", "test", "1", "1",
        series_description=said,
    )  # fmt: skip


def save(path: Path, ds: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def write_case(folder: Path, case: int, patient: str) -> None:
    slices = ct_series(case, patient)
    for index, ds in enumerate(slices):
        save(folder / "ct" / f"{(index * 3) % 5}.dcm", ds)
    save(folder / "seg" / "seg.dcm", segmentation(slices, label_map(case)))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    for case in range(3):
        write_case(folder / f"p{case}", case, patient=f"P{case % 2}")
    return folder


@pytest.fixture
def export(written: Path, tmp_path: Path) -> Path:
    """Three patients' folders, two of one patient."""
    return shutil.copytree(written, tmp_path / "export")


def flattened(export: Path, name_of: Callable[[int], str]) -> Path:
    flat = export.parent / "flat"
    flat.mkdir()
    paths = sorted(export.rglob("*.dcm"))
    for number, place in enumerate(np.random.default_rng(7).permutation(len(paths))):
        paths[place].rename(flat / name_of(number))
    return flat


def without_series(ds: Dataset) -> None:
    del ds.ReferencedSeriesSequence


def without_instances(ds: Dataset) -> None:
    for each in ds.iterall():
        if each.keyword == "ReferencedSOPInstanceUID":
            each.value = generate_uid()


def change(path: Path, edit: Callable[[Dataset], Any]) -> None:
    ds = pydicom.dcmread(path)
    edit(ds)
    ds.save_as(path)


def test_a_tree_is_recognised_and_checked(export: Path) -> None:
    reading = opened(export)
    assert reading.problems == ()
    cases = cases_of(reading)
    assert list(cases) == ["p0", "p1", "p2"]
    assert [str(case.mask) for case in cases.values()] == [str(export / f"p{i}/seg/seg.dcm") for i in range(3)]
    assert (reading.dataset.declared.layout, reading.dataset.declared.modality) == ("dicom", "CT")
    assert reading.dataset.declared.labels == {1: "tumour"}
    assert reading.dataset.patients_known
    assert cases["p0"].patient == cases["p2"].patient != cases["p1"].patient
    result = check_data(reading, workers=1)
    assert result.errors == ()
    assert result.checked is not None
    assert result.checked.labels == (1,)
    assert all(fact.size == SHAPE for fact in result.checked.facts)
    assert [fact.spacing_mm for fact in result.checked.facts] == [pytest.approx((2.5, 0.7, 0.5))] * 3


@pytest.mark.parametrize("name_of", ["x{}.dcm", "IM{}"])
@pytest.mark.parametrize("edit", [without_instances, without_series], ids=["by series", "by instances"])
def test_shuffled_names_in_one_folder_pair_what_lies_together(
    export: Path, name_of: str, edit: Callable[[Dataset], Any]
) -> None:
    for path in export.rglob("seg.dcm"):
        change(path, edit)
    reading = opened(flattened(export, name_of.format))
    assert reading.problems == ()
    assert len(reading.dataset.cases) == 3
    sizes = set()
    for case in reading.dataset.cases:
        assert case.mask is not None
        image = read_image(case.image)
        mask = read_mask(case.mask, like=image)
        np.testing.assert_array_equal(mask.array == 1, image.array[0] > 250)
        assert mask.notes == ()
        sizes.add(mask.array.tobytes())
    assert len(sizes) == 3


def test_nothing_that_identifies_goes_into_the_cases(export: Path) -> None:
    for path in export.rglob("*.dcm"):
        change(path, lambda ds: setattr(ds, "PatientID", "SECRET-77"))
    said = repr(opened(export)).replace(str(export), "")
    assert not any(word in said for word in ("SECRET", "Doe", "Jane", "1970", "2020"))


def test_several_segmentations_of_one_series_are_chosen_by_description(export: Path) -> None:
    slices = [pydicom.dcmread(path) for path in (export / "p1" / "ct").iterdir()]
    slices.sort(key=lambda ds: ds.InstanceNumber)
    save(export / "p1" / "other.dcm", segmentation(slices, label_map(2), said="auto"))
    reading = opened(export)
    assert list(cases_of(reading)) == ["p0", "p2"]
    assert kinds_of(reading.problems) == [("mask-ambiguous", False)]
    assert all(text in reading.problems[0].what for text in ("p1/other.dcm (auto", "p1/seg/seg.dcm (tumour manual"))
    chosen = opened(export, options={"segmentation": "MANUAL"})
    assert chosen.problems == ()
    assert [str(case.mask) for case in chosen.dataset.cases] == [str(export / f"p{i}/seg/seg.dcm") for i in range(3)]
    alone = opened(export, options={"segmentation": "auto"})
    assert list(cases_of(alone)) == ["p1"]
    assert kinds_of(alone.problems) == [("mask-missing", True)]
    with pytest.raises(InputError) as caught:
        opened(export, options={"segmentation": "nobody"})
    assert "auto" in str(caught.value)
    assert "tumour manual" in str(caught.value)


def test_series_and_segmentations_that_stand_alone(export: Path) -> None:
    (export / "p0" / "seg" / "seg.dcm").unlink()
    for path in (export / "p1" / "ct").iterdir():
        path.unlink()
    reading = opened(export)
    assert list(cases_of(reading)) == ["p2"]
    assert kinds_of(reading.problems) == [("mask-missing", True), ("mask-without-image", False)]
    assert "p0" in next(problem.what for problem in reading.problems if problem.is_warning)
    assert next(p.where for p in reading.problems if not p.is_warning) == str(export / "p1" / "seg" / "seg.dcm")
    images = opened(export, with_masks=False)
    assert (list(cases_of(images)), images.problems) == (["p0", "p2"], ())
    assert all(case.mask is None for case in images.dataset.cases)


def test_a_series_of_several_volumes_is_told_apart_by_instances(tmp_path: Path) -> None:
    """Files of many frames are images of their own, and may share a series."""
    series = generate_uid()
    uids = []
    for number in range(2):
        ds = ct_slice(np.zeros((8, 10), np.int16), 0, series, "P")
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
        ds.NumberOfFrames, ds.PixelData = 2, bytes(2 * 8 * 10 * 2)
        uids.append(ds.SOPInstanceUID)
        save(tmp_path / f"volume{number}.dcm", ds)
    others = ct_series(0, "P")
    for index, ds in enumerate(others):
        save(tmp_path / "others" / f"{index}.dcm", ds)
    seg = segmentation(others, label_map(0))
    seg.ReferencedSeriesSequence[0].SeriesInstanceUID = series
    referred = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    referred[0].ReferencedSOPInstanceUID = uids[1]
    save(tmp_path / "seg.dcm", seg)
    reading = opened(tmp_path)
    assert [case.name for case in reading.dataset.cases] == ["volume1"]
    referred[1].ReferencedSOPInstanceUID = uids[0]
    save(tmp_path / "seg.dcm", seg)
    with pytest.raises(InputError) as caught:
        opened(tmp_path)
    assert ("mask-ambiguous", False) in kinds_of(caught.value.problems)


def test_names_of_labels_that_differ_are_told(export: Path) -> None:
    change(export / "p2" / "seg" / "seg.dcm", lambda ds: setattr(ds.SegmentSequence[0], "SegmentLabel", "kidney"))
    reading = opened(export)
    assert kinds_of(reading.problems) == [("mask-names-differ", True)]
    assert "1 is kidney or tumour" in reading.problems[0].what
    assert reading.dataset.declared.labels == {}


@pytest.mark.parametrize("keep", [0, 100, 200, 700])
def test_damaged_files_are_listed(export: Path, keep: int) -> None:
    broken = [export / "p0" / "seg" / "seg.dcm", export / "p1" / "ct" / "0.dcm"]
    for path in broken:
        path.write_bytes(path.read_bytes()[:keep])
    reading = opened(export)
    assert "p2" in cases_of(reading)
    told = {problem.where for problem in reading.problems if problem.kind != "mask-missing"}
    assert told == {str(path) for path in broken}


@pytest.mark.parametrize("seed", range(12))
def test_headers_of_noise_end_in_problems(export: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    for path in (export / "p0" / "seg" / "seg.dcm", export / "p1" / "ct" / "0.dcm"):
        data = np.frombuffer(path.read_bytes(), np.uint8).copy()
        places = draw.integers(132, len(data), 40)
        data[places] = draw.integers(0, 256, 40)
        path.write_bytes(data.tobytes())
    assert "p2" in cases_of(opened(export, layout="dicom"))


def test_what_is_not_claimed(export: Path, tmp_path: Path) -> None:
    assert recognises(export)
    assert not recognises(export / "p0" / "ct")
    assert not recognises(export / "p0" / "seg")
    touch(tmp_path / "pictures", "a/1.png", "b/1.png", "c/noise.dcm", "c/more")
    assert not recognises(tmp_path / "pictures")
    two = tmp_path / "two"
    for name, usual in (("ct", "images"), ("seg", "masks")):
        (two / usual).mkdir(parents=True)
        for case in range(2):
            (export / f"p{case}" / name).rename(two / usual / f"c{case}")
    reading = opened(two)
    assert reading.dataset.declared.layout == "folders"
    assert list(cases_of(reading)) == ["c0", "c1"]
    assert list(cases_of(opened(two, layout="dicom"))) == ["images_c0", "images_c1"]


def test_folders_of_other_files_do_not_hide_it(export: Path) -> None:
    touch(export, "README.txt", "DICOMDIR", *(f"A-viewer/{number}.dll" for number in range(200)))
    assert opened(export).dataset.declared.layout == "dicom"
    assert opened(export).problems == ()


@pytest.mark.parametrize("folder", ["ct", "seg"])
def test_half_of_it_is_refused_in_plain_words(export: Path, folder: str) -> None:
    with pytest.raises(InputError) as caught:
        opened(export / "p0" / folder, layout="dicom")
    assert not all(problem.is_warning for problem in caught.value.problems)
    assert kinds_of(caught.value.problems) == [({"ct": "mask-missing", "seg": "nothing-found"}[folder], False)]
    if folder == "ct":
        assert len(opened(export / "p0" / folder, layout="dicom", with_masks=False).dataset.cases) == 1
