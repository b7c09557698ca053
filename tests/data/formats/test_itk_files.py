"""NRRD and MetaImage: written by SimpleITK or by hand, read in the patient's axes; damage and path tricks refused."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st

from unifocal.data.read import UnreadableError, digest, files_of, read_image, read_mask

Array = np.ndarray[Any, Any]
NAMES = ["a.nrrd", "a.nhdr", "a.mha", "a.mhd"]
ARRAY = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)

META = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = {compressed}
{more}DimSize = 6 5 4
ElementType = MET_SHORT
ElementDataFile = {file}
"""
NRRD = """NRRD0004
type: short
dimension: 3
sizes: 6 5 4
endian: little
encoding: {encoding}
{more}
"""


def oblique() -> sitk.Image:
    rotation, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    image = sitk.GetImageFromArray(ARRAY)
    image.SetSpacing((0.7, 1.3, 4.0))
    image.SetOrigin((-31.5, 12.25, 7))
    image.SetDirection((rotation * np.sign(np.linalg.det(rotation))).ravel().tolist())
    return image


def meta(
    folder: Path, *, file: str = "LOCAL", more: str = "", data: bytes | None = None, compressed: bool = False
) -> Path:
    text = META.format(file=file, more=more, compressed=compressed).encode()
    path = folder / "a.mha"
    path.write_bytes(text + ((ARRAY.tobytes() if data is None else data) if file == "LOCAL" else b""))
    return path


def nrrd(folder: Path, *, more: str = "", data: bytes | None = None, encoding: str = "raw") -> Path:
    text = NRRD.format(more=more, encoding=encoding).encode()
    path = folder / "a.nrrd"
    path.write_bytes(text + (b"\n" if more else b"") + (ARRAY.tobytes() if data is None else data))
    return path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compress", [False, True])
def test_an_oblique_volume_lies_where_nifti_says(tmp_path: Path, name: str, compress: bool) -> None:
    """Through ITK's NIfTI writer and nibabel, which share no code with our way from LPS to RAS."""
    sitk.WriteImage(oblique(), tmp_path / name, useCompression=compress)
    sitk.WriteImage(oblique(), tmp_path / "a.nii")
    reference = nib.Nifti1Image.from_filename(tmp_path / "a.nii")
    scan = read_image(tmp_path / name)
    np.testing.assert_array_equal(scan.array[0], ARRAY)
    np.testing.assert_array_equal(read_mask(tmp_path / name).array, ARRAY)
    assert scan.affine is not None
    np.testing.assert_allclose(scan.affine[:, [2, 1, 0, 3]], reference.affine, atol=1e-4)
    np.testing.assert_allclose(scan.spacing_mm, (4.0, 1.3, 0.7), rtol=1e-6)
    assert scan.array.flags.c_contiguous
    assert scan.array.flags.writeable
    assert scan.notes == ()


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_vectors_and_a_fourth_axis_are_channels(tmp_path: Path, name: str) -> None:
    many = np.random.default_rng(1).integers(0, 9, (3, 4, 5, 6)).astype(np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(np.moveaxis(many, 0, -1), isVector=True), tmp_path / name)
    np.testing.assert_array_equal(read_image(tmp_path / name).array, many)
    with pytest.raises(UnreadableError, match="3 channels"):
        read_mask(tmp_path / name)
    sitk.WriteImage(sitk.GetImageFromArray(many, isVector=False), tmp_path / name)
    scan = read_image(tmp_path / name)
    np.testing.assert_array_equal(scan.array, many)
    assert scan.spacing_mm is not None
    assert len(scan.spacing_mm) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_flat_picture(tmp_path: Path, name: str) -> None:
    image = sitk.GetImageFromArray(ARRAY[0])
    image.SetSpacing((0.5, 0.25))
    sitk.WriteImage(image, tmp_path / name)
    scan = read_image(tmp_path / name)
    np.testing.assert_array_equal(scan.array, ARRAY[:1])
    assert (scan.spacing_mm, scan.affine) == ((0.25, 0.5), None)


@pytest.mark.parametrize(("space", "signs"), [("RAS", (1, 1, 1)), ("LPS", (-1, -1, 1)), ("LAS", (-1, 1, 1))])
def test_nrrd_s_spaces(tmp_path: Path, space: str, signs: tuple[int, ...]) -> None:
    names = {"RAS": "right-anterior-superior", "LPS": "left-posterior-superior", "LAS": "left-anterior-superior"}
    for said in (space, names[space]):
        more = f"space: {said}\nspace directions: (2,0,0) (0,3,0) (0,0,5)\nspace origin: (7,8,9)"
        affine = read_image(nrrd(tmp_path, more=more)).affine
        assert affine is not None
        expected = np.diag([*signs, 1]) @ np.array([[2, 0, 0, 7], [0, 3, 0, 8], [0, 0, 5, 9], [0, 0, 0, 1]])
        np.testing.assert_allclose(affine[:, [2, 1, 0, 3]], expected)


def test_what_a_header_does_not_say_is_not_made_up(tmp_path: Path) -> None:
    for path in (nrrd(tmp_path), meta(tmp_path)):
        scan = read_image(path)
        np.testing.assert_array_equal(scan.array[0], ARRAY)
        assert (scan.spacing_mm, scan.affine) == (None, None)
    for path in (nrrd(tmp_path, more="spacings: 2 3 5"), meta(tmp_path, more="ElementSpacing = 2 3 5\n")):
        scan = read_image(path)
        assert (scan.spacing_mm, scan.affine) == ((5, 3, 2), None)


@pytest.mark.parametrize("where", ["../b.raw", "/etc/hostname", "sub/../../b.raw", "C:\\b.raw", "..\\b.raw"])
def test_a_data_file_outside_the_folder_is_refused(tmp_path: Path, where: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "b.raw").write_bytes(ARRAY.tobytes())
    for path in (meta(inside, file=where), nrrd(inside, more=f"data file: {where}", data=b"")):
        for read in (read_image, read_mask, files_of, digest):
            with pytest.raises(UnreadableError, match="outside its own folder") as caught:
                read(path)
            assert [problem.kind for problem in caught.value.problems] == ["path-outside"]


@pytest.mark.parametrize("spelling", ["data file", "datafile", "Data File", "DATAFILE"])
def test_every_spelling_of_the_data_file_is_seen(tmp_path: Path, spelling: str) -> None:
    with pytest.raises(UnreadableError, match="outside its own folder"):
        read_image(nrrd(tmp_path, more=f"{spelling}: ../b.raw"))


@pytest.mark.parametrize("where", ["LIST", "LIST 2", "b%03d.raw 1 4 1"])
def test_data_in_many_files_are_refused(tmp_path: Path, where: str) -> None:
    for path in (meta(tmp_path, file=where), nrrd(tmp_path, more=f"data file: {where}")):
        with pytest.raises(UnreadableError, match="several files"):
            read_image(path)


def test_one_question_with_two_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="twice"):
        read_image(nrrd(tmp_path, more="sizes: 6 5 4"))
    with pytest.raises(UnreadableError, match="twice"):
        read_image(meta(tmp_path, more="DimSize = 1 1 1\n"))


def test_the_data_file_beside_counts_to_the_digest(tmp_path: Path) -> None:
    sitk.WriteImage(oblique(), tmp_path / "a.mhd")
    assert files_of(tmp_path / "a.mhd") == (tmp_path / "a.mhd", tmp_path / "a.raw")
    before = digest(tmp_path / "a.mhd")
    (tmp_path / "a.raw").write_bytes(bytes(ARRAY.nbytes))
    assert digest(tmp_path / "a.mhd") != before
    (tmp_path / "a.raw").unlink()
    with pytest.raises(UnreadableError, match=r"a\.raw: cannot be opened"):
        read_image(tmp_path / "a.mhd")


def test_absurd_sizes_and_bombs_are_refused(tmp_path: Path) -> None:
    for path in (nrrd(tmp_path), meta(tmp_path)):
        path.write_bytes(path.read_bytes().replace(b"6 5 4", b"60000 50000 40000"))
        with pytest.raises(UnreadableError, match="million elements"):
            read_image(path)
        path.write_bytes(path.read_bytes().replace(b"60000 50000 40000", b"600 500 400"))
        with pytest.raises(UnreadableError, match="cut short"):
            read_image(path)
        path.write_bytes(path.read_bytes().replace(b"600 500 400", b"6 0 4"))
        with pytest.raises(UnreadableError, match="holds nothing"):
            read_image(path)
    bomb = bytes(30_000_000)
    for path in (
        nrrd(tmp_path, data=gzip.compress(bomb), encoding="gzip"),
        meta(tmp_path, data=zlib.compress(bomb), compressed=True),
    ):
        with pytest.raises(UnreadableError, match="holds more"):
            read_image(path)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_a_changed_byte_in_compressed_data_is_noticed(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(oblique(), tmp_path / name, useCompression=True)
    whole = (tmp_path / name).read_bytes()
    for back in (3, 10, 50, 90):
        changed = bytearray(whole)
        changed[-back] ^= 0xFF
        (tmp_path / name).write_bytes(changed)
        if name == "a.nrrd" and back == 3:  # in gzip's length field
            with pytest.raises(UnreadableError, match="length"):
                read_image(tmp_path / name)
        with pytest.raises(UnreadableError):
            read_image(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(data=st.data(), compress=st.booleans())
def test_a_file_cut_short_is_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject, compress: bool
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    sitk.WriteImage(oblique(), folder / name, useCompression=compress)
    last = files_of(folder / name)[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(UnreadableError):
        read_image(folder / name)


@settings(max_examples=100)
@given(data=st.data(), name=st.sampled_from(["a.nrrd", "a.mha"]), noise=st.binary(min_size=1, max_size=6))
def test_damage_gives_an_array_or_the_one_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str, noise: bytes
) -> None:
    path = tmp_path_factory.mktemp("noise") / name
    sitk.WriteImage(oblique(), path, useCompression=data.draw(st.booleans()))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    try:
        scan = read_image(path)
    except UnreadableError:
        return
    assert scan.array.ndim in (3, 4)


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_text("patient,age\n1,40\n" * 20)
        with pytest.raises(UnreadableError, match="not an NRRD or MetaImage"):
            read_image(tmp_path / name)
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(UnreadableError, match="0 bytes"):
            read_image(tmp_path / name)


def test_a_nifti_saved_as_metaimage_by_simpleitk_is_read(tmp_path: Path) -> None:
    """Its header keeps NIfTI's fields, such as `dim[0] = 3`."""
    nib.save(nib.Nifti1Image(ARRAY.transpose(), np.diag([1.0, 2, 3, 1])), tmp_path / "x.nii.gz")
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "x.nii.gz")), str(tmp_path / "x.mha"))
    assert b"dim[0] = " in (tmp_path / "x.mha").read_bytes()
    assert np.array_equal(read_image(tmp_path / "x.mha").array[0], ARRAY)
