"""DICOM made by hand with pydicom, held against ITK's GDCM and against what was put in."""

import hashlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from formats_dicom import AXIAL, dataset, oblique_cosines, positions, write, write_enhanced, write_series
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from unifocal.data.case import Source
from unifocal.data.formats.dicom_header import patient_of
from unifocal.data.formats.dicom_series import find_series
from unifocal.data.read import UnreadableError, is_readable, read_image, read_mask, stem_of
from unifocal.data.scan import Scan

Array = np.ndarray[Any, Any]


def volume(shape: tuple[int, ...] = (6, 8, 10), dtype: Any = np.int16, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def kinds(scan: Scan) -> list[tuple[str, bool]]:
    return [(note.kind, note.is_warning) for note in scan.notes]


def series(paths: list[Path]) -> Source:
    return Source.of(*paths, joined="slices")


def by_itk(paths: list[Path]) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths])
    return reader.Execute()


@pytest.mark.parametrize("cosines", [AXIAL, (0, 1, 0, 0, 0, -1), oblique_cosines(1), oblique_cosines(2)])
def test_a_series_lies_where_itk_says(tmp_path: Path, cosines: tuple[float, ...]) -> None:
    stored = volume()
    paths = write_series(tmp_path, stored, cosines=cosines, RescaleSlope=2, RescaleIntercept=-1024)
    scan, reference = read_image(series(sorted(paths))), by_itk(paths)
    np.testing.assert_array_equal(scan.array[0], stored * 2.0 - 1024)
    np.testing.assert_array_equal(scan.array[0], sitk.GetArrayFromImage(reference))
    np.testing.assert_allclose(scan.spacing_mm, (2.5, 0.7, 0.5), rtol=1e-6)
    assert scan.affine is not None
    for index in [(0, 0, 0), (9, 0, 0), (0, 7, 0), (0, 0, 5), (9, 7, 5)]:
        place = np.array(reference.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        np.testing.assert_allclose((scan.affine @ [*index[::-1], 1])[:3], place, atol=1e-4)
    assert scan.notes == ()
    assert scan.array.flags.c_contiguous


@settings(max_examples=15)
@given(st.permutations(range(6)))
def test_the_order_of_files_does_not_matter(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    stored = volume()
    paths = write_series(tmp_path_factory.mktemp("shuffled"), stored, cosines=oblique_cosines(3))
    np.testing.assert_array_equal(read_image(series([paths[index] for index in order])).array[0], stored)
    sources, problems = find_series([paths[index] for index in order])
    assert ([source.paths for source in sources], problems) == ([tuple(paths)], [])
    np.testing.assert_array_equal(read_mask(sources[0]).array, stored)


def test_a_single_slice_is_flat(tmp_path: Path) -> None:
    cosines, pixels = oblique_cosines(4), volume()[0]
    path = write(tmp_path / "1.2.840.77", pixels, ImageOrientationPatient=list(cosines), ImagePositionPatient=[1, 2, 3])
    assert is_readable(path)
    assert stem_of(path) == "1.2.840.77"
    scan = read_image(path)
    np.testing.assert_array_equal(scan.array, pixels[None])
    assert scan.spacing_mm == (0.7, 0.5)
    assert scan.affine is not None
    assert scan.affine.shape == (4, 3)
    place = np.array([1, 2, 3]) + 5 * 0.7 * np.array(cosines[3:]) + 9 * 0.5 * np.array(cosines[:3])
    np.testing.assert_allclose((scan.affine @ [5, 9, 1])[:3], place * (-1, -1, 1), atol=1e-9)


def test_frames_of_an_enhanced_file_are_sorted_and_scaled_one_by_one(tmp_path: Path) -> None:
    stored, order = volume((5, 8, 10)), [3, 0, 4, 1, 2]
    slopes = np.array([1.0, 2.0, 3.0, 0.5, 1.5])
    path = write_enhanced(tmp_path / "a.dcm", stored[order], positions(5, AXIAL, 2.5)[order], slopes[order])
    scan = read_image(path)
    np.testing.assert_allclose(scan.array[0], stored * slopes[:, None, None] - 1000)
    np.testing.assert_allclose(scan.spacing_mm, (2.5, 0.7, 0.5))
    assert scan.affine is not None
    np.testing.assert_allclose(scan.affine[:3, 3], (20, -5, 100))
    assert scan.notes == ()
    assert find_series([path])[0] == [Source.of(path)]


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 12), (np.uint16, 16), (np.int16, 16)])
def test_monochrome1_is_turned_round(tmp_path: Path, dtype: Any, bits: int) -> None:
    pixels = volume(dtype=dtype)[0]
    options = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": bits, "HighBit": bits - 1, "RescaleSlope": 2}
    path = write(tmp_path / "a.dcm", pixels, RescaleIntercept=0, **options)
    highest_and_lowest = -1 if dtype == np.int16 else 2**bits - 1
    np.testing.assert_array_equal(read_image(path).array[0], 2.0 * (highest_and_lowest - pixels.astype(int)))
    np.testing.assert_array_equal(read_mask(path).array, pixels)


def test_colours(tmp_path: Path) -> None:
    pixels = volume((8, 10, 3), np.uint8)
    np.testing.assert_array_equal(read_image(write(tmp_path / "a.dcm", pixels)).array, np.moveaxis(pixels, 2, 0))
    planar = np.ascontiguousarray(np.moveaxis(pixels, 2, 0)).tobytes()
    path = write(tmp_path / "b.dcm", pixels, PlanarConfiguration=1, PixelData=planar)
    np.testing.assert_array_equal(read_image(path).array, np.moveaxis(pixels, 2, 0))
    with pytest.raises(UnreadableError, match="3 channels"):
        read_mask(path)


def test_ybr_becomes_rgb(tmp_path: Path) -> None:
    luma = np.dstack([volume((8, 10), np.uint8), np.full((8, 10), 128, np.uint8), np.full((8, 10), 128, np.uint8)])
    image = read_image(write(tmp_path / "a.dcm", luma, PhotometricInterpretation="YBR_FULL")).array
    np.testing.assert_allclose(image, np.stack([luma[..., 0]] * 3), atol=1)


def test_a_palette_becomes_its_colours(tmp_path: Path) -> None:
    indices = volume(dtype=np.uint8)[0] % 4
    tables = {"Red": [0, 10, 20, 30], "Green": [255, 0, 1, 2], "Blue": [9, 8, 7, 6]}
    elements: dict[str, Any] = {}
    for colour, table in tables.items():
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, 8]
        elements[f"{colour}PaletteColorLookupTableData"] = bytes(table)
    path = write(tmp_path / "a.dcm", indices, PhotometricInterpretation="PALETTE COLOR", **elements)
    expected = np.stack([np.array(table)[indices] for table in tables.values()])
    np.testing.assert_array_equal(read_image(path).array, expected)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_plain_transfer_syntaxes(tmp_path: Path, syntax: Any) -> None:
    pixels = volume()[0]
    stored = pixels.astype(">i2") if syntax == ExplicitVRBigEndian else pixels
    np.testing.assert_array_equal(read_image(write(tmp_path / "a", stored, syntax=syntax)).array[0], pixels)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_transfer_syntaxes(tmp_path: Path, syntax: Any) -> None:
    pixels = volume(dtype=np.uint16)[0]
    ds = dataset(pixels, RescaleSlope=1, RescaleIntercept=-1024)
    ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").array[0], pixels - 1024.0)


def test_lossless_jpeg_goes_through_gdcm(tmp_path: Path) -> None:
    pixels = volume(dtype=np.uint16)[0]
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor("JPEG")
    writer.SetFileName(str(tmp_path / "a.dcm"))
    writer.Execute(sitk.GetImageFromArray(pixels))
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    for slope, intercept in ((1, 0), (2, -1024)):
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
        ds.save_as(tmp_path / "b.dcm")
        np.testing.assert_array_equal(read_image(tmp_path / "b.dcm").array[0], pixels * float(slope) + intercept)
        np.testing.assert_array_equal(read_mask(tmp_path / "b.dcm").array, pixels)
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    ds.save_as(tmp_path / "c.dcm")
    with pytest.raises(UnreadableError, match=r"MPEG2") as caught:
        read_image(tmp_path / "c.dcm")
    assert caught.value.problems[0].kind == "dicom-transfer-syntax"


def test_a_missing_slice_is_an_error_and_keeps_the_distance(tmp_path: Path) -> None:
    paths = write_series(tmp_path, volume())
    scan = read_image(series(paths[:2] + paths[4:]))
    assert kinds(scan) == [("dicom-missing-slice", False)]
    assert "lacks 2 slices" in scan.notes[0].what
    np.testing.assert_allclose(scan.spacing_mm, (2.5, 0.7, 0.5))


def test_uneven_and_repeated_slices(tmp_path: Path) -> None:
    where = positions(6, AXIAL, 2.5)
    where[3, 2] += 0.8
    assert ("uneven-spacing", False) in kinds(read_image(series(write_series(tmp_path / "a", volume(), where=where))))
    where = positions(6, AXIAL, 2.5)
    where[3] = where[2]
    found = kinds(read_image(series(write_series(tmp_path / "b", volume(), where=where))))
    assert ("dicom-duplicate-slice", False) in found
    where = positions(6, AXIAL, 2.5)
    where[3, 0] += 3
    assert kinds(read_image(series(write_series(tmp_path / "c", volume(), where=where)))) == [("uneven-spacing", False)]
    where = positions(6, AXIAL, 2.5)
    where[1:5, 2] += np.array([0.004, -0.003, 0.002, 0.004])
    assert read_image(series(write_series(tmp_path / "d", volume(), where=where))).notes == ()


def test_a_tilted_gantry_keeps_its_shear(tmp_path: Path) -> None:
    where = positions(6, AXIAL, 2.5)
    where[:, 1] += np.arange(6) * 0.8
    scan = read_image(series(write_series(tmp_path, volume(), where=where)))
    assert kinds(scan) == [("gantry-tilt", True)]
    assert scan.affine is not None
    np.testing.assert_allclose((scan.affine @ [5, 0, 0, 1])[:3], where[5] * (-1, -1, 1), atol=1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Rows": 4, "PixelData": bytes(80)}, "Rows"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "orientation"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "PhotometricInterpretation"),
    ],
)
def test_slices_that_differ_are_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    paths = write_series(tmp_path, volume())
    ds = pydicom.dcmread(paths[2])
    for name, value in change.items():
        setattr(ds, name, value)
    ds.save_as(paths[2])
    with pytest.raises(UnreadableError, match=said):
        read_image(series(paths))


def test_series_without_positions_and_of_two_patients(tmp_path: Path) -> None:
    stored = volume()
    paths = write_series(tmp_path, stored)
    for path in paths:
        ds = pydicom.dcmread(path)
        del ds.ImagePositionPatient
        ds.PatientID = "other" if path == paths[1] else "P7"
        ds.save_as(path)
    scan = read_image(series(sorted(paths)))
    np.testing.assert_array_equal(scan.array[0], stored)
    assert (scan.spacing_mm, scan.affine) == (None, None)
    assert kinds(scan) == [("dicom-no-position", False), ("dicom-two-patients", False)]


def test_a_detector_s_spacing_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a", volume()[0], PixelSpacing=None, ImagerPixelSpacing=[0.2, 0.1])
    scan = read_image(path)
    assert scan.spacing_mm == (0.2, 0.1)
    assert kinds(scan) == [("dicom-detector-spacing", True)]
    bare = read_image(write(tmp_path / "b", volume()[0], PixelSpacing=None, ImagePositionPatient=None))
    assert (bare.spacing_mm, bare.affine, bare.notes) == (None, None, ())


def test_patients_are_hashed(tmp_path: Path) -> None:
    pixels = volume()[0]
    assert read_image(write(tmp_path / "a", pixels)).patient == hashlib.sha256(b"P7").hexdigest()[:12]
    assert patient_of(tmp_path / "a") == hashlib.sha256(b"P7").hexdigest()[:12]
    named = read_image(write(tmp_path / "b", pixels, PatientID=None)).patient
    assert named == hashlib.sha256(b"Doe^Jane|19700101").hexdigest()[:12]
    assert read_image(write(tmp_path / "c", pixels, PatientID="", PatientName="")).patient == ""


def test_files_are_grouped_by_series(tmp_path: Path) -> None:
    first = write_series(tmp_path / "a", volume())
    second = write_series(tmp_path / "b", volume((3, 8, 10)), SeriesInstanceUID="1.2.3", cosines=oblique_cosines(8))
    (tmp_path / "DICOMDIR").write_bytes(b"anything")
    report = dataset(volume()[0], SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Rows=None, Columns=None, PixelData=None)
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    (tmp_path / "broken.dcm").write_bytes(b"text" * 100)
    paths = [*first, tmp_path / "DICOMDIR", tmp_path / "report.dcm", *second, tmp_path / "broken.dcm"]
    sources, problems = find_series(paths)
    assert [source.paths for source in sources] == [tuple(first), tuple(second)]
    assert [(Path(each.where).name, each.kind, each.is_warning) for each in problems] == [
        ("report.dcm", "dicom-no-image", True),
        ("broken.dcm", "unreadable", False),
    ]
    with pytest.raises(UnreadableError, match="holds no image"):
        read_image(tmp_path / "report.dcm")


def test_absurd_sizes_and_bombs_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a", volume()[0], Rows=60000, Columns=60000)
    with pytest.raises(UnreadableError, match="million elements"):
        read_image(path)
    path = write(tmp_path / "b", volume()[0], Rows=600)
    with pytest.raises(UnreadableError):
        read_image(path)


def test_a_deflated_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", volume()[0], syntax=DeflatedExplicitVRLittleEndian)
    head = path.read_bytes()
    at = 144 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
    engine = zlib.compressobj(wbits=-15)
    path.write_bytes(head[:at] + engine.compress(bytes(5_000_000)) + engine.flush())
    monkeypatch.setenv("UNIFOCAL_MAX_ELEMENTS", "1000000")
    with pytest.raises(UnreadableError, match="inflates to more"):
        read_image(path)


@settings(max_examples=40)
@given(st.data(), st.sampled_from(["plain", "rle", "deflated"]))
def test_a_file_cut_short_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.dcm"
    ds = dataset(volume()[0], syntax=DeflatedExplicitVRLittleEndian if kind == "deflated" else "1.2.840.10008.1.2.1")
    if kind == "rle":
        ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(path, enforce_file_format=True)
    whole = path.read_bytes()
    # What ends a compressed file (a mark, a byte of padding) holds no pixels.
    spare = {"plain": 0, "rle": 10, "deflated": 1}[kind]
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1 - spare))])
    for read in (read_image, read_mask):
        with pytest.raises(UnreadableError):
            read(path)


@settings(max_examples=80)
@given(st.data(), st.binary(min_size=1, max_size=6), st.booleans())
def test_damage_gives_an_array_or_the_one_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, noise: bytes, is_compressed: bool
) -> None:
    path = tmp_path_factory.mktemp("noise") / "a.dcm"
    ds = dataset(volume()[0])
    if is_compressed:
        ds.compress(JPEGLSLossless, generate_instance_uid=False)
    ds.save_as(path, enforce_file_format=True)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    for read in (read_image, read_mask, lambda file: find_series([file])):
        try:
            read(path)
        except UnreadableError:
            continue
