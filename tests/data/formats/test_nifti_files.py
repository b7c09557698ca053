"""NIfTI against SimpleITK, which shares no code with nibabel's header and our reading; and damaged files."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st

from real_images import real_data
from unifocal.data.read import UnreadableError, digest, files_of, read_image, read_mask
from unifocal.data.scan import Scan

Array = np.ndarray[Any, Any]
PERMUTED = [
    np.diag([-2.0, 3.0, 5.0, 1.0]),
    np.array([[0, 0, -2.5, 30], [1.5, 0, 0, -7], [0, -0.75, 0, 12], [0, 0, 0, 1]]),
    np.array([[0, 4.0, 0, 1], [0, 0, 0.5, 2], [-1, 0, 0, 3], [0, 0, 0, 1]]),
]


def oblique(seed: int, spacing: tuple[float, float, float] = (0.7, 1.3, 4.0)) -> Array:
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * spacing, (-31.5, 12.25, 7)
    return affine


def volume(shape: tuple[int, ...] = (4, 5, 6), dtype: Any = np.int16, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)


def saved(path: Path, array: Array, affine: Array | None = None, **fields: Any) -> Path:
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    if fields:  # nibabel would mend them while it saves
        content = bytearray(path.read_bytes())
        header = np.ndarray((), nib.Nifti1Header.template_dtype, content)
        for name, value in fields.items():
            header[name] = value
        path.write_bytes(content)
    return path


def world_itk(path: Path, index: tuple[int, int, int]) -> Array:
    """The place of an element (x, y, z) by ITK, turned from LPS to RAS."""
    point = sitk.ReadImage(str(path)).TransformIndexToPhysicalPoint(index)
    return np.array(point) * (-1, -1, 1)


def world(scan: Scan, index: tuple[int, ...]) -> Array:
    assert scan.affine is not None
    return (scan.affine @ [*index, 1])[:3]


def kinds(scan: Scan) -> list[tuple[str, bool]]:
    return [(note.kind, note.is_warning) for note in scan.notes]


@pytest.mark.parametrize("affine", [*PERMUTED, oblique(1), oblique(2)])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_values_and_places_are_itk_s(tmp_path: Path, affine: Array, name: str) -> None:
    path = saved(tmp_path / name, volume(), affine)
    scan = read_image(path)
    reference = sitk.ReadImage(str(path))
    assert scan.array.shape == (1, 6, 5, 4)
    np.testing.assert_array_equal(scan.array[0], sitk.GetArrayFromImage(reference))
    np.testing.assert_allclose(scan.spacing_mm, reference.GetSpacing()[::-1], rtol=1e-5)
    for index in [(0, 0, 0), (3, 0, 0), (0, 4, 0), (0, 0, 5), (3, 4, 5)]:
        np.testing.assert_allclose(world(scan, index[::-1]), world_itk(path, index), atol=1e-4)
    assert scan.notes == ()


@pytest.mark.parametrize("affine", PERMUTED)
def test_what_itk_writes_comes_back(tmp_path: Path, affine: Array) -> None:
    array = volume(dtype=np.float32)
    image = sitk.GetImageFromArray(array)
    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, tmp_path / "a.nii.gz")
    scan = read_image(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(scan.array[0], array)
    assert scan.affine is not None
    np.testing.assert_allclose(scan.affine[:, [2, 1, 0, 3]], affine, atol=1e-5)


@settings(max_examples=30)
@given(st.permutations([0, 1, 2]), st.tuples(*[st.booleans()] * 3), st.integers(0, 2**16))
def test_a_point_in_the_patient_keeps_its_intensity_however_it_is_stored(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], flips: tuple[bool, ...], seed: int
) -> None:
    """Turn the axes of a stored volume, as nibabel does, and look the same places up again."""
    folder = tmp_path_factory.mktemp("turned")
    image = nib.Nifti1Image(volume(seed=seed), oblique(seed))
    turns = np.array([[axis, -1 if flip else 1] for axis, flip in zip(order, flips, strict=True)])
    nib.save(image, folder / "a.nii")
    nib.save(image.as_reoriented(turns), folder / "b.nii")
    first, second = read_image(folder / "a.nii"), read_image(folder / "b.nii")
    assert second.affine is not None
    back = np.linalg.inv(second.affine)
    for index in [(0, 0, 0), (5, 4, 3), (2, 3, 1)]:
        there = (back @ [*world(first, index), 1])[:3]
        np.testing.assert_allclose(there, np.rint(there), atol=1e-3)
        assert second.array[0][tuple(np.rint(there).astype(int))] == first.array[0][index]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_and_byte_order(tmp_path: Path, dtype: Any, order: str) -> None:
    array = volume(dtype=dtype)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
    nib.save(nib.Nifti1Image(array, np.eye(4), header), tmp_path / "a.nii")
    image, mask = read_image(tmp_path / "a.nii").array, read_mask(tmp_path / "a.nii").array
    np.testing.assert_array_equal(image[0], array.T)
    np.testing.assert_array_equal(mask, array.T)
    assert image.dtype == np.float32
    assert mask.dtype.kind in "iu"
    for each in (image, mask):
        assert each.flags.c_contiguous
        assert each.flags.writeable
        assert each.dtype.isnative


def test_slope_and_intercept_apply_to_images_and_masks(tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume(), np.eye(4))
    image.header.set_slope_inter(2, -1000)
    nib.save(image, tmp_path / "a.nii")
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nii")))
    np.testing.assert_allclose(read_image(tmp_path / "a.nii").array[0], expected)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.nii").array, expected)


def test_a_mask_of_fractions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"not whole numbers.*0\.5"):
        read_mask(saved(tmp_path / "a.nii", np.full((2, 3, 4), 0.5, np.float32)))


def test_a_fourth_axis_is_channels_and_a_fourth_of_one_is_none(tmp_path: Path) -> None:
    array = volume((3, 4, 5, 2))
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.nii", array)).array, array.T)
    with pytest.raises(UnreadableError, match="2 channels"):
        read_mask(tmp_path / "a.nii")
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "b.nii", array[..., :1])).array, array[..., 0].T)
    vector = saved(tmp_path / "c.nii", array[:, :, :, None])
    np.testing.assert_array_equal(read_image(vector).array, array.T)


def test_two_axes_are_a_picture_and_a_third_of_one_is_a_volume(tmp_path: Path) -> None:
    flat = read_image(saved(tmp_path / "a.nii", volume((3, 4)), oblique(3)))
    assert flat.array.shape == (1, 4, 3)
    assert flat.affine is not None
    assert flat.affine.shape == (4, 3)
    np.testing.assert_allclose(flat.spacing_mm, (1.3, 0.7), rtol=1e-5)
    np.testing.assert_allclose(world(flat, (2, 1)), (oblique(3) @ [1, 2, 0, 1])[:3], rtol=1e-5)
    assert read_image(saved(tmp_path / "b.nii", volume((3, 4, 1)))).array.shape == (1, 1, 4, 3)


def test_colours_become_channels(tmp_path: Path) -> None:
    colours = volume((3, 4, 5, 3), np.uint8)
    packed = colours.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.nii", packed)).array, colours.T)


def test_a_pair_of_files_reads_by_either_name(tmp_path: Path) -> None:
    array = volume()
    nib.save(nib.Nifti1Pair(array, oblique(1)), tmp_path / "a.img")
    for name in ("a.hdr", "a.img"):
        np.testing.assert_array_equal(read_image(tmp_path / name).array[0], array.T)
        assert files_of(tmp_path / name) == (tmp_path / "a.hdr", tmp_path / "a.img")
    before = digest(tmp_path / "a.hdr")
    (tmp_path / "a.img").write_bytes((tmp_path / "a.img").read_bytes()[:-1] + b"\7")
    assert digest(tmp_path / "a.hdr") != before
    (tmp_path / "a.img").unlink()
    with pytest.raises(UnreadableError, match=r"a\.img: cannot be opened"):
        read_image(tmp_path / "a.hdr")


def test_nifti_2_reads_as_nifti_1(tmp_path: Path) -> None:
    nib.save(nib.Nifti2Image(volume(), oblique(4)), tmp_path / "b.nii")
    first, second = read_image(saved(tmp_path / "a.nii", volume(), oblique(4))), read_image(tmp_path / "b.nii")
    np.testing.assert_array_equal(first.array, second.array)
    np.testing.assert_allclose(first.affine, second.affine, rtol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("mm", 1), ("micron", 1e-3), ("unknown", 1)])
def test_units_become_mm(tmp_path: Path, unit: str, factor: float) -> None:
    image = nib.Nifti1Image(volume(), np.diag([2.0, 3.0, 5.0, 1.0]))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(read_image(tmp_path / "a.nii").spacing_mm, np.array([5, 3, 2]) * factor)


def test_without_codes_only_the_spacing_is_known(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii", volume(), np.diag([2.0, 3.0, 5.0, 1.0]), sform_code=0, qform_code=0)
    scan = read_image(path)
    assert scan.affine is None
    assert scan.spacing_mm == (5, 3, 2)
    assert kinds(scan) == [("nifti-no-orientation", True)]


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_spacing_of_nothing_is_an_error(tmp_path: Path, value: float) -> None:
    pixdim = [1, value, 1, 1, 0, 0, 0, 0]
    scan = read_image(saved(tmp_path / "a.nii", volume(), sform_code=0, qform_code=0, pixdim=pixdim))
    assert (scan.spacing_mm, scan.affine, kinds(scan)) == (None, None, [("nifti-bad-spacing", False)])


def test_an_affine_without_volume_is_an_error(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii", volume(), srow_x=[1, 0, 0, 0], srow_y=[2, 0, 0, 0], sform_code=1, qform_code=0)
    scan = read_image(path)
    assert (scan.affine, kinds(scan)) == (None, [("nifti-singular-affine", False)])


def test_two_orientations_are_told(tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume(), np.diag([2.0, 3.0, 5.0, 1.0]))
    image.set_sform(np.diag([2.0, 3.0, 5.1, 1.0]), 1)
    image.set_qform(np.diag([2.0, 3.0, 5.0, 1.0]), 1)
    nib.save(image, tmp_path / "a.nii")
    scan = read_image(tmp_path / "a.nii")
    assert kinds(scan) == [("nifti-two-orientations", True)]
    np.testing.assert_allclose(scan.spacing_mm, (5.1, 3, 2), rtol=1e-6)


@settings(max_examples=60)
@given(st.data(), st.sampled_from(["a.nii", "a.nii.gz"]))
def test_a_file_cut_short_is_refused_wherever_it_ends(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str
) -> None:
    path = saved(tmp_path_factory.mktemp("cut") / name, volume())
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    for read in (read_image, read_mask):
        with pytest.raises(UnreadableError):
            read(path)


@settings(max_examples=100)
@given(st.data(), st.binary(min_size=1, max_size=6), st.sampled_from(["a.nii", "a.nii.gz"]))
def test_damage_gives_an_array_or_the_one_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, noise: bytes, name: str
) -> None:
    path = saved(tmp_path_factory.mktemp("noise") / name, volume())
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    try:
        scan = read_image(path)
    except UnreadableError:
        return
    assert scan.array.ndim in (3, 4)


def test_a_wrong_checksum_and_two_members_of_gzip(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii", volume())
    plain = path.read_bytes()
    packed = bytearray(gzip.compress(plain))
    packed[-5] ^= 1
    (tmp_path / "b.nii.gz").write_bytes(packed)
    with pytest.raises(UnreadableError, match="incorrect"):
        read_image(tmp_path / "b.nii.gz")
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(plain[:400]) + gzip.compress(plain[400:]) + bytes(20))
    np.testing.assert_array_equal(read_image(tmp_path / "c.nii.gz").array, read_image(path).array)
    (tmp_path / "d.nii").write_bytes(gzip.compress(plain))
    np.testing.assert_array_equal(read_image(tmp_path / "d.nii").array, read_image(path).array)


def test_absurd_sizes_are_refused_before_memory_is_set_aside(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii", volume())
    content = bytearray(path.read_bytes())
    content[42:48] = np.int16([30000, 30000, 30000]).tobytes()
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"27000000 million elements.*UNIFOCAL_MAX_ELEMENTS"):
        read_image(path)
    content[42:48] = np.int16([4, -5, 6]).tobytes()
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match="holds nothing"):
        read_image(path)


def test_more_than_the_header_promises_is_refused(tmp_path: Path) -> None:
    plain = saved(tmp_path / "a.nii", volume()).read_bytes()
    (tmp_path / "more.nii").write_bytes(plain + b"more")
    (tmp_path / "padded.nii").write_bytes(plain + bytes(100))
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(plain + b"\1" * 50_000_000))
    for name in ("bomb.nii.gz", "more.nii"):
        with pytest.raises(UnreadableError, match="goes on after"):
            read_image(tmp_path / name)
    np.testing.assert_array_equal(read_image(tmp_path / "padded.nii").array[0], volume().T)


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "text.nii").write_text("not a volume\n" * 100)
    with pytest.raises(UnreadableError, match="not a NIfTI file"):
        read_image(tmp_path / "text.nii")
    with pytest.raises(UnreadableError, match="cannot be opened"):
        read_image(tmp_path / "absent.nii.gz")
    with pytest.raises(UnreadableError, match="complex64"):
        read_image(saved(tmp_path / "c.nii", volume(dtype=np.complex64)))


@pytest.mark.parametrize("folder", ["msd_hippocampus", "brats2015"])
def test_real_volumes_are_itk_s(folder: str) -> None:
    path = min(real_data(folder).rglob("*.nii.gz"))
    scan, reference = read_image(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(scan.array[0], sitk.GetArrayFromImage(reference))
    last = tuple(length - 1 for length in reference.GetSize())
    np.testing.assert_allclose(world(scan, last[::-1]), world_itk(path, last), atol=1e-4)  # type: ignore[arg-type]


@pytest.mark.parametrize(("stored", "meant"), [(0, 1), (1, 1), (-1, -1), (0.5, 1), (float("nan"), 1)])
def test_a_handedness_that_is_not_said_is_as_in_the_formats_own_library(
    tmp_path: Path, stored: float, meant: int
) -> None:
    image = nib.Nifti1Image(volume(), np.eye(4))
    image.set_sform(None, 0)
    image.set_qform(np.diag([2.0, 3.0, 5.0, 1.0]), 1)
    nib.save(image, tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    header = np.ndarray((), nib.Nifti1Header.template_dtype, content)
    header["pixdim"][0] = stored
    (tmp_path / "a.nii").write_bytes(content)
    for read in (read_image, read_mask):
        scan = read(tmp_path / "a.nii")
        assert scan.spacing_mm == (5, 3, 2)
        assert scan.affine is not None
        assert scan.affine[2, 0] == 5 * meant
        assert not scan.notes
