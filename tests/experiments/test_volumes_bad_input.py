"""Volumes that are hard or wrong, through the command line: handled, or every fault named in one go."""

from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from unifocal.models.bundle import read_description
from volume_files import TINY, affine_with, ball, declare, save_known_model, write_case, write_data_set, write_nifti

Call = Callable[..., tuple[int, str, str]]
SHAPE = (16, 18, 20)
STRAIGHT = np.eye(4)
KNOWN = {1: 1.5, 2: 4.5}


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def trained(unifocal: Call, data: Path, out: Path, *flags: object) -> Path:
    code, _, err = unifocal("train", "--data", data, "--out", out, *TINY, *flags)
    assert code == 0, err
    return out


def found_in(unifocal: Call, model: Path, images: Path, out: Path) -> dict[str, NDArray[np.uint8]]:
    code, _, err = unifocal("predict", "--model", model, "--images", images, "--out", out)
    assert code == 0, err
    return {path.name: np.asarray(nib.load(path).dataobj) for path in sorted((out / "masks").iterdir())}


def refused(unifocal: Call, out: Path, *arguments: object) -> str:
    """What is said where nothing was written, in one line."""
    code, _, err = unifocal(*arguments, "--out", out)
    assert code == 2, err
    assert not out.exists()
    return " ".join(err.split())


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return save_known_model(tmp_path / "known", KNOWN)


def test_volumes_smaller_than_a_patch(tmp_path: Path, unifocal: Call, known: Path) -> None:
    shapes = [(6, 20, 7), (20, 18, 22), (5, 5, 6)]
    data = write_data_set(tmp_path / "data", [ball(shape, radius=2.4) for shape in shapes])
    model = trained(unifocal, data, tmp_path / "model", "--size", "16x16x16")
    found = found_in(unifocal, model, data / "imagesTr", tmp_path / "p")
    assert [mask.shape for mask in found.values()] == shapes
    sharp = tmp_path / "sharp"
    for number, shape in enumerate(shapes):
        write_case(sharp, f"case{number}", ball(shape, radius=2.4), noise=0.0)
    for mask, shape in zip(found_in(unifocal, known, sharp / "imagesTr", tmp_path / "k").values(), shapes, strict=True):
        assert np.array_equal(mask, ball(shape, radius=2.4))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_volumes_of_one_slice(tmp_path: Path, unifocal: Call, known: Path, axis: int) -> None:
    """Alone and among thicker ones, whichever axis has the length 1."""
    slice_ = np.take(ball(SHAPE), [SHAPE[axis] // 2], axis)
    data = tmp_path / "data"
    for number, mask in enumerate((slice_, slice_, ball(SHAPE))):
        write_case(data, f"case{number}", mask, seed=number, noise=0.0)
    declare(data, {"low": 1, "high": 2}, 3)
    model = trained(unifocal, data, tmp_path / "model")
    assert found_in(unifocal, model, data / "imagesTr", tmp_path / "p")["case0.nii.gz"].shape == slice_.shape
    found = found_in(unifocal, known, data / "imagesTr", tmp_path / "k")
    assert np.array_equal(found["case0.nii.gz"], slice_)
    assert np.array_equal(found["case2.nii.gz"], ball(SHAPE))
    for name in ("case2_0000.nii.gz", "case2.nii.gz"):
        next(data.glob(f"*/{name}")).unlink()
    alone = trained(unifocal, data, tmp_path / "alone")
    found = found_in(unifocal, alone, data / "imagesTr", tmp_path / "a")
    assert [mask.shape for mask in found.values()] == [slice_.shape] * 2


def test_slices_ten_times_as_far_apart(tmp_path: Path, unifocal: Call) -> None:
    affine = affine_with(np.eye(3), (1, 1, 10))
    data = write_data_set(tmp_path / "data", [ball((24, 24, 5), (1, 1, 10), radius=9)] * 3, affine)
    model = trained(unifocal, data, tmp_path / "model")
    description = read_description(model / "model.safetensors")
    # In the plane alone: after two poolings the slices still lie 10 mm apart, the pixels 4.
    assert description["network"]["arguments"]["strides"] == [[1, 2, 2], [1, 2, 2]]
    assert description["details"]["grid"] == {"size": [8, 24, 24], "spacing_mm": [10.0, 1.0, 1.0]}
    found = found_in(unifocal, model, data / "imagesTr", tmp_path / "p")
    assert {mask.shape for mask in found.values()} == {(24, 24, 5)}


def test_a_declared_label_that_no_mask_holds(tmp_path: Path, unifocal: Call) -> None:
    data = write_data_set(tmp_path / "data", [np.minimum(ball(SHAPE), 1)] * 3)
    code, said, _ = unifocal("data", "check", data)
    assert code == 0
    assert "no mask holds the label 2 (high)" in " ".join(said.split())
    code, _, err = unifocal("train", "--data", data, "--out", tmp_path / "model", *TINY)
    assert code == 0, err
    assert "No mask holds the label 2 (high): it is not trained." in " ".join(err.split())
    model = tmp_path / "model"
    assert read_description(model / "model.safetensors")["details"]["labels"] == [1]
    found = found_in(unifocal, model, data / "imagesTr", tmp_path / "p")
    assert set(np.unique(list(found.values()))) <= {0, 1}


@pytest.mark.usefixtures("no_report")
def test_a_label_that_only_a_tested_case_holds(tmp_path: Path, unifocal: Call) -> None:
    """The network of that fold never saw it; its score there is a number all the same, and nobody else's is."""
    data = write_data_set(tmp_path / "data", [ball(SHAPE), *[np.minimum(ball(SHAPE), 1)] * 4])
    arguments = ("--data", data, "--losses", "dice_cross_entropy", "--folds", "2", "--jobs", "1", *TINY)
    code, _, err = unifocal("compare", *arguments, "--out", tmp_path / "s")
    assert code == 0, err
    assert "no training case holds label 2" in err
    scores = pd.read_csv(tmp_path / "s" / "scores.csv")
    recall = scores[(scores["metric"] == "recall") & (scores["label"] == 2)].set_index("case")["value"]
    assert recall.notna().to_dict() == {"case0": True} | {f"case{number}": False for number in range(1, 5)}
    reasons = scores[(scores["metric"] == "recall") & (scores["label"] == 2) & scores["value"].isna()]["reason"]
    assert reasons.notna().all()


def faulty(folder: Path) -> Path:
    """Nine cases, six of them each wrong in its own way."""
    data = write_data_set(folder, [ball(SHAPE)] * 9)
    images, masks = data / "imagesTr", data / "labelsTr"
    cut_short(images / "case0_0000.nii.gz")
    write_nifti(masks / "case1.nii.gz", np.where(ball(SHAPE) == 2, 3, ball(SHAPE)).astype(np.uint8), STRAIGHT)
    write_nifti(masks / "case2.nii.gz", ball((16, 18, 19)), STRAIGHT)
    write_nifti(masks / "case3.nii.gz", ball(SHAPE), np.diag([-1.0, 1, 1, 1]))
    holes = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    holes[3, 4, 5], holes[6, 7, 8] = np.nan, np.inf
    write_nifti(images / "case4_0000.nii.gz", holes, STRAIGHT)
    write_nifti(images / "case5_0000.nii.gz", np.random.default_rng(1).normal(size=(*SHAPE, 4)), STRAIGHT)
    return data


TOLD = (
    ("imagesTr/case0_0000.nii.gz", "is cut short", "Copy it again"),
    ("labelsTr/case1.nii.gz", "has the values 3", "Mend the mask or the declaration"),
    ("labelsTr/case2.nii.gz", "has 19 x 18 x 16 elements, but its image case2_0000.nii.gz has 20 x 18 x 16", "Export"),
    ("labelsTr/case3.nii.gz", "lies elsewhere in space than its image case3_0000.nii.gz", "Export"),
    ("imagesTr/case4_0000.nii.gz", "not finite (NaN or infinite): 2 of 5760", "Replace them"),
    ("imagesTr/case5_0000.nii.gz", "has 4 channels, but 1 are declared", "Mend the image"),
)


@pytest.mark.parametrize("verb", [("train",), ("compare", "--folds", "2", "--losses", "bce,dice")])
def test_every_fault_is_named_before_anything_is_trained(tmp_path: Path, unifocal: Call, verb: Sequence[str]) -> None:
    said = refused(unifocal, tmp_path / "out", *verb, "--data", faulty(tmp_path / "data"), *TINY)
    for where, what, remedy in TOLD:
        _, _, rest = said.partition(where)
        assert what in rest.partition("->")[0], where
        assert rest.partition("-> ")[2].startswith(remedy), where


def test_predict_names_every_fault_and_says_what_became_of_the_others(
    tmp_path: Path, unifocal: Call, known: Path
) -> None:
    images = faulty(tmp_path / "data") / "imagesTr"
    arguments = ("predict", "--model", known, "--images", images)
    said = refused(unifocal, tmp_path / "out", *arguments)
    assert "There are 3 problems; nothing was written." in said
    assert "case0_0000.nii.gz is cut short" in said
    assert "case4_0000.nii.gz has values that are not finite" in said
    assert "case5_0000.nii.gz" in said
    assert said.count("The other 6 images are sound and were not segmented either") == 1
    for number in (0, 4, 5):
        (images / f"case{number}_0000.nii.gz").unlink()
    assert sorted(found_in(unifocal, known, images, tmp_path / "out")) == [
        f"case{n}.nii.gz" for n in (1, 2, 3, 6, 7, 8)
    ]


@pytest.mark.parametrize(("volumes", "told"), [(3, "has 3 channels, but other volumes have 1"), (5, "is 4D")])
def test_time_points_are_not_taken_for_channels_or_colours(
    tmp_path: Path, unifocal: Call, known: Path, volumes: int, told: str
) -> None:
    random = np.random.default_rng(0)
    write_nifti(tmp_path / "images" / "a.nii.gz", random.normal(size=(*SHAPE, volumes)), STRAIGHT)
    for name in ("b", "c"):
        write_nifti(tmp_path / "images" / f"{name}.nii.gz", random.normal(size=SHAPE), STRAIGHT)
    said = refused(unifocal, tmp_path / "out", "predict", "--model", known, "--images", tmp_path / "images")
    assert told in said
    assert "a.nii.gz" in said
    assert "colour" not in said


@pytest.mark.parametrize("spacing", ["1e300x1x1", "1x1e-300x1", "1x1x20000"])
def test_distances_that_no_scanner_has_are_refused(tmp_path: Path, unifocal: Call, known: Path, spacing: str) -> None:
    data = write_data_set(tmp_path / "data", [ball(SHAPE)] * 3)
    said = refused(unifocal, tmp_path / "out", "train", "--data", data, "--spacing", spacing, *TINY)
    assert "There is 1 problem" in said
    assert "(as 2 other images)" in said
    arguments = ("predict", "--model", known, "--images", data / "imagesTr")
    said = refused(unifocal, tmp_path / "out", *arguments, "--spacing", spacing)
    assert "There is 1 problem" in said
    assert "--spacing is" in said


def test_a_file_whose_unit_is_wrong_is_named(tmp_path: Path, unifocal: Call) -> None:
    """A header in micrometres that says millimetres: resampled, the volume would have a billion times the elements."""
    data = write_data_set(tmp_path / "data", [ball(SHAPE)] * 4)
    write_case(data, "case3", ball(SHAPE), affine_with(np.eye(3), (1000, 1000, 1000)))
    said = refused(unifocal, tmp_path / "out", "train", "--data", data, *TINY)
    assert "case3 is 20 x 18 x 16 with a spacing of 1000 x 1000 x 1000 mm, and would be 20000 x 18000 x 16000" in said
    write_case(data, "case3", ball(SHAPE), affine_with(np.eye(3), (1e6, 1, 1)))
    said = refused(unifocal, tmp_path / "out", "train", "--data", data, *TINY)
    assert "case3_0000.nii.gz has a spacing of 1 x 1 x 1e+06 mm, and only 1e-06 to 10000 mm can be used" in said


@pytest.mark.parametrize(
    ("patients", "folds", "what", "remedy"),
    [
        (1, 2, "has 1 patient", "Add patients."),
        (2, 2, "2 patients are too few for 2 folds", "At least 3 patients are needed."),
        (2, 3, "has 2 patients", "Add patients."),
        (3, 2, "3 patients are too few for 2 folds", "Give --folds 3, or add patients."),
        (4, 5, "has 4 patients", "Give --folds 4, or add patients."),
    ],
)
def test_too_few_patients_are_told_what_would_do(
    tmp_path: Path, unifocal: Call, patients: int, folds: int, what: str, remedy: str
) -> None:
    data = write_data_set(tmp_path / "data", [ball(SHAPE)] * patients)
    said = refused(unifocal, tmp_path / "out", "compare", "--data", data, "--folds", folds, "--losses", "bce", *TINY)
    assert what in said
    assert remedy in said
