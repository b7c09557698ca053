"""Volumes that lie askew go in, and what is found in them comes out voxel for voxel in their own space."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from unifocal.data.case import Source
from unifocal.data.read import read_image
from unifocal.inference.volume_writers import write_volume_mask
from unifocal.inference.volumes import predict_volume_indices
from unifocal.inference.windows import Windows
from unifocal.models import load_bundle
from unifocal.preprocessing.pipeline import Pipeline
from unifocal.preprocessing.sample import Sample
from volume_files import TINY, affine_with, declare, save_known_model, write_case, write_nifti

Call = Callable[..., tuple[int, str, str]]
Mask = NDArray[np.uint8]
ZOOMS = (0.7, 1.1, 3.0)
THRESHOLDS = {1: 1.5, 2: 4.5}
ORDERS = list(itertools.permutations(range(3)))
SIGNS = list(itertools.product((1, -1), repeat=3))


def block(shape: Sequence[int]) -> Mask:
    """Labels 1 and 2, different along every axis and from either end, two elements away from the edges."""
    mask = np.zeros(shape, np.uint8)
    mask[2:5, 3:8, 2:9] = 1
    mask[2:4, 3:5, 4:9] = 2
    mask[4, 7, 8] = 0
    return mask


def askew(order: Sequence[int], signs: Sequence[int], tilt: float, zooms: Sequence[float] = ZOOMS) -> Any:
    """Axis k of the array runs along world axis `order[k]`, turned about all three axes by `tilt` radians."""
    directions = np.zeros((3, 3))
    directions[list(order), range(3)] = signs
    c, s = np.cos(tilt), np.sin(tilt)
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return affine_with(about_z @ about_x @ directions, zooms)


def dice(wanted: NDArray[np.bool_], given: NDArray[np.bool_]) -> float:
    return 2 * np.count_nonzero(wanted & given) / (np.count_nonzero(wanted) + np.count_nonzero(given))


def looked_up(mask: Mask, order: Sequence[int], signs: Sequence[int], step: Sequence[int]) -> Mask:
    """The mask that a model gives that looks `step` elements to the top, the front and the right of the patient."""
    for world, length in zip((2, 1, 0), step, strict=True):
        axis = list(order).index(world)
        mask = np.roll(mask, -length * signs[axis], axis)
    return mask


@settings(max_examples=150)
@given(
    st.sampled_from([(order, signs) for order in ORDERS for signs in SIGNS]),
    st.floats(-0.35, 0.35),
    st.tuples(*[st.floats(0.3, 6.0)] * 3),
    st.tuples(*[st.integers(-1, 1)] * 3),
    st.tuples(*[st.integers(11, 14)] * 3),
)
def test_any_orientation_finds_its_way_back(
    tmp_path_factory: pytest.TempPathFactory,
    way: tuple[tuple[int, ...], tuple[int, ...]],
    tilt: float,
    zooms: tuple[float, ...],
    step: tuple[int, ...],
    shape: tuple[int, ...],
) -> None:
    """The model looks in an anatomical direction, so that a grid that was not turned would show."""
    folder = tmp_path_factory.mktemp("way")
    mask = block(shape)
    path = write_nifti(folder / "image.nii", 3 * mask.astype(np.float32), askew(*way, tilt, zooms))
    network, _, details = load_bundle(save_known_model(folder, THRESHOLDS, step=step) / "model.safetensors")
    scan = read_image(path)
    prepared = Pipeline.from_declaration(details["pipeline"]).apply(
        Sample(scan.array, spacing_mm=scan.spacing_mm, affine=scan.affine)
    )
    # Constant weights and a window over everything: what a window sees of its own edge must not count here.
    windows = Windows((16, 16, 16), weights="constant")
    found = predict_volume_indices(network, prepared.image, prepared.geometry, windows, 3)
    written = write_volume_mask(folder / "out", "case", found, Source.of(path), {1: "low", 2: "high"})
    back = nib.load(written)
    assert np.array_equal(np.asarray(back.dataobj), looked_up(mask, *way, step))
    assert np.array_equal(back.affine, nib.load(path).affine)


@pytest.mark.parametrize(("order", "signs"), [(order, signs) for order in ORDERS for signs in SIGNS])
def test_every_one_of_the_48_orientations_is_turned_alike(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    """Whatever the array's axes, the prepared volume of one patient is the same."""
    upright = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    stored = upright.transpose(order)
    stored = np.flip(stored, [axis for axis, sign in enumerate(signs) if sign < 0])
    affine = askew(order, signs, 0.2, [ZOOMS[world] for world in order])
    # The reader's axes are reversed from the file's.
    sample = Sample(stored.transpose()[None], spacing_mm=None, affine=affine[:, [2, 1, 0, 3]])
    prepared = Pipeline.from_declaration(["orient"]).apply(sample)
    assert np.array_equal(prepared.image[0], upright.transpose())


def write_itk(path: Path, values: NDArray[Any], seed: int) -> sitk.Image:
    """An image whose array is (x, y, z), lying as `askew` has it but in ITK's patient axes."""
    affine = np.diag([-1, -1, 1, 1]) @ askew(ORDERS[seed], SIGNS[seed], 0.3)
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose()))
    image.SetSpacing(ZOOMS)
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / ZOOMS).ravel().tolist())
    sitk.WriteImage(image, str(path))
    return image


@pytest.mark.parametrize("step", [(0, 0, 0), (1, 0, -1)])
def test_nifti_files_keep_their_headers(tmp_path: Path, unifocal: Call, step: tuple[int, ...]) -> None:
    """Codes 1 and 4, a scaling, a time unit; stored compressed and not, as NIfTI-1 and NIfTI-2."""
    images = tmp_path / "images"
    images.mkdir()
    kinds: dict[str, Any] = {"a.nii.gz": nib.Nifti1Image, "b.nii": nib.Nifti1Image, "c.nii.gz": nib.Nifti2Image}
    mask, expected = block((13, 12, 14)), {}
    for number, (name, kind) in enumerate(kinds.items(), start=2):
        order, signs = ORDERS[number], SIGNS[number + 1]
        affine = askew(order, signs, 0.25)
        image = kind((mask * np.int16(6)).astype(np.int16), affine)
        image.set_qform(affine, code=1)
        image.set_sform(affine, code=(4, 0, 2)[number - 2])
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_slope_inter(0.5, 0)
        image.header["descrip"] = b"T1 of somebody"
        nib.save(image, images / name)
        expected[name] = looked_up(mask, order, signs, step)
    model = save_known_model(tmp_path / "model", THRESHOLDS, size=(16, 16, 16), step=step)
    code, _, _ = unifocal("predict", "--model", model, "--images", images, "--out", tmp_path / "out")
    assert code == 0
    for name, wanted in expected.items():
        original, found = nib.load(images / name), nib.load(tmp_path / "out" / "masks" / f"{name[0]}.nii.gz")
        assert type(found) is type(original)
        assert np.array_equal(np.asarray(found.dataobj), wanted)
        assert np.array_equal(found.affine, original.affine)
        for field in ("dim", "pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x",
                      "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units", "descrip"):  # fmt: skip
            assert np.array_equal(found.header[field], original.header[field]), field


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_itk_files_keep_their_place(tmp_path: Path, unifocal: Call, ending: str) -> None:
    images = tmp_path / "images"
    images.mkdir()
    mask, step = block((11, 13, 12)), (0, 1, 1)
    originals = {f"case{seed}": write_itk(images / f"case{seed}{ending}", mask * np.int16(3), seed) for seed in (1, 4)}
    model = save_known_model(tmp_path / "model", THRESHOLDS, size=(16, 16, 16), step=step)
    assert unifocal("predict", "--model", model, "--images", images, "--out", tmp_path / "out")[0] == 0
    (written,) = {path.suffix for path in (tmp_path / "out" / "masks").iterdir()}
    for seed, (name, original) in zip((1, 4), originals.items(), strict=True):
        found = sitk.ReadImage(str(tmp_path / "out" / "masks" / f"{name}{written}"))
        wanted = looked_up(mask, ORDERS[seed], SIGNS[seed], step)
        assert np.array_equal(sitk.GetArrayFromImage(found).transpose(), wanted)
        for told in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            assert getattr(found, told)() == pytest.approx(getattr(original, told)(), abs=1e-9), told


def test_small_windows_and_another_spacing_change_little(tmp_path: Path, unifocal: Call) -> None:
    """Through windows of 8 elements and a grid of 1 mm and back, only the object's surface may differ."""
    shape, order, signs = (30, 26, 16), ORDERS[3], SIGNS[5]
    affine = askew(order, signs, 0.2, (0.7, 0.9, 1.6))
    mask = np.zeros(shape, np.uint8)
    mask[5:20, 4:18, 3:11] = 1
    mask[5:12, 4:10, 3:7] = 2
    write_nifti(tmp_path / "images" / "a.nii.gz", 3 * mask.astype(np.float32), affine)
    steps = ("orient", {"resample": {"spacing_mm": [1.0, 1.0, 1.0]}})
    model = save_known_model(tmp_path / "model", THRESHOLDS, steps=steps)
    assert unifocal("predict", "--model", model, "--images", tmp_path / "images", "--out", tmp_path / "out")[0] == 0
    found = nib.load(tmp_path / "out" / "masks" / "a.nii.gz")
    assert np.array_equal(found.affine, nib.load(tmp_path / "images" / "a.nii.gz").affine)
    given = np.asarray(found.dataobj)
    assert dice(mask > 0, given > 0) > 0.9
    assert dice(mask == 2, given == 2) > 0.8
    for axis in range(3):
        assert dice(mask > 0, np.flip(given, axis) > 0) < 0.8


def test_what_was_trained_on_turned_volumes_is_found_again_voxel_for_voxel(tmp_path: Path, unifocal: Call) -> None:
    """Training and prediction together: each case in an orientation of its own, and new ones in others."""
    shape, data = (12, 13, 14), tmp_path / "data"
    for number in range(6):
        order, signs = ORDERS[number], SIGNS[7 - number]
        affine = askew(order, signs, 0.3, [ZOOMS[world] for world in order])
        write_case(data, f"case{number}", block(shape), affine, seed=number, noise=0.0)
    declare(data, {"low": 1, "high": 2}, 6)
    arguments = ["--data", data, "--out", tmp_path / "model", *TINY[:2], *TINY[6:], "--epochs", "60",
                 "--set", "training.learning_rate=2", "--set", "network.name=torch.nn:Conv3d",
                 "--set", "network.arguments={kernel_size: 1}", "--loss", "cross_entropy"]  # fmt: skip
    code, _, err = unifocal("train", *arguments)
    assert code == 0, err
    new = tmp_path / "new"
    for number in range(4):
        order, signs = ORDERS[5 - number], SIGNS[number]
        affine = askew(order, signs, -0.3, [ZOOMS[world] for world in order])
        write_nifti(new / f"n{number}.nii.gz", 3 * block(shape).astype(np.float32), affine)
    for images, count in ((data / "imagesTr", 6), (new, 4)):
        out = tmp_path / f"found{count}"
        assert unifocal("predict", "--model", tmp_path / "model", "--images", images, "--out", out)[0] == 0
        found = sorted((out / "masks").iterdir())
        assert len(found) == count
        for path in found:
            image = nib.load(next(images.glob(path.name.replace(".nii.gz", "*"))))
            mask = nib.load(path)
            assert np.array_equal(np.asarray(mask.dataobj), block(shape)), path.name
            assert np.array_equal(mask.affine, image.affine)
