"""Volumes from files to masks: oriented any way, several channels, several labels, in patches and windows."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray

Call = Callable[..., tuple[int, str, str]]
SMALL = (
    "--epochs", "2", "--set", "network.width=4", "--set", "network.depth=2", "--set", "training.threads=1",
    "--set", "training.precision=float32", "--set", "training.patches_per_epoch=8",
    "--set", "training.augmentation=none",
)  # fmt: skip


def affine_of(number: int) -> NDArray[np.float64]:
    """Every case lies in its own way: axes turned, some mirrored, a little tilted, slices 3 mm apart."""
    orders = [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)]
    affine = np.zeros((4, 4))
    for axis, world in enumerate(orders[number % 4]):
        affine[world, axis] = (
            (1.0, 1.0, 1.0)[world] * (3.0 if world == 2 else 1.0) * (-1 if (number + axis) % 3 == 0 else 1)
        )
    turn = np.array([[np.cos(0.1), -np.sin(0.1), 0], [np.sin(0.1), np.cos(0.1), 0], [0, 0, 1]])
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3], affine[3, 3] = number, 1
    return affine


def write_volumes(folder: Path, count: int = 6, channels: int = 1) -> None:
    """A bright ball (label 1) with a brighter half (label 2), upright in the patient, whatever the array's axes."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for number in range(count):
        affine = affine_of(number)
        shape = [22, 20, 24]
        axis = int(np.abs(affine[2, :3]).argmax())
        shape[axis] = 9
        grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
        world = grid @ affine[:3, :3].T
        centre = world.reshape(-1, 3).mean(0)
        inside = np.linalg.norm(world - centre, axis=-1) < 6
        upper = inside & (world[..., 2] > centre[2])
        labels = (inside.astype(np.uint8) + upper).astype(np.uint8)
        random = np.random.default_rng(number)
        for channel in range(channels):
            image = random.normal(size=shape) + 3.0 * labels * (channel == 0)
            file = folder / "imagesTr" / f"case{number}_{channel:04d}.nii.gz"
            nib.save(nib.Nifti1Image(image.astype(np.float32), affine), file)
        nib.save(nib.Nifti1Image(labels, affine), folder / "labelsTr" / f"case{number}.nii.gz")
    names = {str(channel): f"c{channel}" for channel in range(channels)}
    content = {"channel_names": names, "labels": {"background": 0, "low": 1, "high": 2}, "numTraining": count,
               "file_ending": ".nii.gz"}  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes") / "data"
    write_volumes(folder)
    return folder


@pytest.fixture(scope="module")
def study(volumes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from unifocal.cli.app import run

    out = tmp_path_factory.mktemp("study") / "s"
    arguments = ["compare", "--data", str(volumes), "--out", str(out), "--losses", "dice_cross_entropy,unified_focal",
                 "--folds", "2", "--jobs", "1", "--size", "8x16x16", *SMALL, "--epochs", "12",
                 "--set", "training.learning_rate=0.01", "--set", "network.deep_supervision=1"]  # fmt: skip
    assert run(arguments) == 0
    return out


def test_a_study_of_volumes_scores_every_case_and_label(study: Path) -> None:
    scores = pd.read_csv(study / "scores.csv")
    assert set(scores["label"]) == {1, 2}
    assert scores.groupby("loss")["case"].nunique().tolist() == [6, 6]
    assert {"volume_truth", "hd95", "average_precision"} <= set(scores["metric"])
    assert set(scores.loc[scores["metric"] == "volume_truth", "unit"]) == {"ml"}
    found = scores[scores["metric"] == "dice"].groupby("loss")["value"].mean()
    assert found.min() > 0.5
    assert (study / "report.html").is_file()
    settings = yaml.safe_load((study / "study.yaml").read_text())
    assert settings["config"]["network"]["strides"][0] == [1, 2, 2]
    steps = [next(iter(step)) for step in settings["preprocessing"]["steps"]]
    assert steps == ["channels", "orient", "z_score"]


def test_predicted_masks_lie_where_their_images_lie(study: Path, volumes: Path) -> None:
    masks = sorted(study.glob("runs/unified_focal/*/predictions/*.nii.gz"))
    assert len(masks) == 6
    for path in masks:
        truth = nib.load(volumes / "labelsTr" / path.name)
        mask = nib.load(path)
        assert np.array_equal(mask.affine, truth.affine)
        wanted, given = np.asarray(truth.dataobj), np.asarray(mask.dataobj)
        # Mirrored or turned masks of this half-ball would overlap by little more than a half.
        assert 2 * np.count_nonzero((wanted == 2) & (given == 2)) / np.count_nonzero(wanted == 2) > 1.2
        assert given.shape == wanted.shape


def test_new_volumes_are_segmented_where_they_lie(study: Path, volumes: Path, tmp_path: Path, unifocal: Call) -> None:
    model = study / "runs" / "unified_focal" / "fold-0-seed-0"
    arguments = ("predict", "--model", model, "--images", volumes / "imagesTr", "--out", tmp_path / "p")
    assert unifocal(*arguments, "--probabilities")[0] == 0
    for number in range(6):
        mask = nib.load(tmp_path / "p" / "masks" / f"case{number}.nii.gz")
        assert np.array_equal(mask.affine, nib.load(volumes / "imagesTr" / f"case{number}_0000.nii.gz").affine)
        assert (tmp_path / "p" / "overlays" / f"case{number}.png").is_file()
        high = np.asarray(nib.load(tmp_path / "p" / "probabilities" / f"case{number}_label2.nii.gz").dataobj)
        assert (high[np.asarray(mask.dataobj) == 2] > 1 / 3).all()
    sizes = pd.read_csv(tmp_path / "p" / "sizes.csv")
    assert set(sizes["unit"]) == {"ml"}
    first = nib.load(tmp_path / "p" / "masks" / "case0.nii.gz")
    expected = np.count_nonzero(np.asarray(first.dataobj) == 1) * abs(np.linalg.det(first.affine[:3, :3])) / 1000
    assert sizes.iloc[0]["size"] == pytest.approx(expected, abs=1e-4)


def test_the_same_segmentation_with_and_without_probabilities(
    study: Path, volumes: Path, tmp_path: Path, unifocal: Call
) -> None:
    model = study / "runs" / "unified_focal" / "fold-0-seed-0"
    for flags in ((), ("--probabilities",)):
        out = tmp_path / f"p{len(flags)}"
        assert unifocal("predict", "--model", model, "--images", volumes / "imagesTr", "--out", out, *flags)[0] == 0
    for number in range(6):
        first, second = (
            np.asarray(nib.load(tmp_path / out / "masks" / f"case{number}.nii.gz").dataobj) for out in ("p0", "p1")
        )
        assert np.array_equal(first, second)


def test_several_channels_and_a_missing_one(tmp_path: Path, unifocal: Call) -> None:
    write_volumes(tmp_path / "data", count=4, channels=2)
    assert unifocal("train", "--data", tmp_path / "data", "--out", tmp_path / "m", "--size", "8x16x16", *SMALL)[0] == 0
    images = tmp_path / "data" / "imagesTr"
    code, _, _ = unifocal("predict", "--model", tmp_path / "m", "--images", images, "--out", tmp_path / "p")
    assert code == 0
    assert len(list((tmp_path / "p" / "masks").iterdir())) == 4
    (images / "case2_0001.nii.gz").unlink()
    code, _, err = unifocal("predict", "--model", tmp_path / "m", "--images", images, "--out", tmp_path / "q")
    assert code == 2
    assert "case2" in err
    assert not (tmp_path / "q").exists()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--size", "64"), "--size"),
        (("--size", "8x16x16", "--set", "network.name=source_b_2d"), "2D"),
        (("--size", "8x16x16", "--set", "network.name=monai:NoNet"), "NoNet"),
        (("--size", "8x16x16", "--set", "network.deep_supervision=3"), "deep_supervision"),
        (("--size", "8x16x16", "--set", "network.arguments={depth: deep}"), "network.arguments.depth"),
        (("--size", "8x16x16", "--set", "inference.memory=0"), "inference.memory"),
        (("--size", "8x16x16", "--set", "inference.memory=plenty"), "inference.memory"),
    ],
)
def test_what_does_not_suit_volumes_is_told_before_training(
    volumes: Path, tmp_path: Path, unifocal: Call, flags: tuple[str, ...], told: str
) -> None:
    code, _, err = unifocal("train", "--data", volumes, "--out", tmp_path / "m", "--epochs", "1", *flags)
    assert code == 2
    assert told in err
    assert not (tmp_path / "m").exists()


def test_images_for_a_model_of_volumes_are_refused(study: Path, phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    model = study / "runs" / "unified_focal" / "fold-0-seed-0"
    code, _, err = unifocal("predict", "--model", model, "--images", phantom / "images", "--out", tmp_path / "p")
    assert code == 2
    assert "2D images" in err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--set", "inference.foo=1"), "inference.foo"),
        (("--set", "inference.overlap=1.5"), "inference.overlap"),
        (("--set", "inference.memory=0"), "inference.memory"),
        (("--spacing", "1"), "--spacing"),
    ],
)
def test_what_does_not_suit_new_volumes_is_told_before_anything_is_written(
    study: Path, volumes: Path, tmp_path: Path, unifocal: Call, flags: tuple[str, ...], told: str
) -> None:
    model = study / "runs" / "unified_focal" / "fold-0-seed-0"
    arguments = ("predict", "--model", model, "--images", volumes / "imagesTr", "--out", tmp_path / "p", *flags)
    code, _, err = unifocal(*arguments)
    assert code == 2
    assert told in err
    assert not (tmp_path / "p").exists()


def test_predicting_records_what_was_used_and_refuses_three_scans_for_one(
    study: Path, volumes: Path, tmp_path: Path, unifocal: Call
) -> None:
    model = study / "runs" / "unified_focal" / "fold-0-seed-0"
    image = volumes / "imagesTr" / "case0_0000.nii.gz"
    arguments = ("predict", "--model", model, "--out", tmp_path / "p", "--set", "inference.mirror=true")
    assert unifocal(*arguments, "--images", image)[0] == 0
    used = yaml.safe_load((tmp_path / "p" / "predict.yaml").read_text())["inference"]
    assert used["mirror"] is True
    assert used["overlap"] == 0.5
    one = nib.load(image)
    three = np.stack([np.asarray(one.dataobj) * factor for factor in (1, 2, 3)], -1)
    nib.save(nib.Nifti1Image(three, one.affine), tmp_path / "three.nii.gz")
    code, _, err = unifocal("predict", "--model", model, "--images", tmp_path / "three.nii.gz", "--out", tmp_path / "q")
    assert code == 2
    assert "has 3 channels" in err
    assert not (tmp_path / "q").exists()


def test_monais_stacked_outputs_are_supervised_deeply(volumes: Path, tmp_path: Path, unifocal: Call) -> None:
    network = (
        "network.arguments={kernel_size: [3, 3, 3], strides: [1, 2, 2], upsample_kernel_size: [2, 2], "
        "filters: [4, 8, 8], deep_supervision: true, deep_supr_num: 1}"
    )
    settings = ("--set", "network.name=monai:DynUNet", "--set", network, "--set", "training.patches_per_epoch=4")
    flags = ("--size", "8x16x16", "--epochs", "1", "--out", tmp_path / "m", "--set", "training.batch_size=2")
    assert unifocal("train", "--data", volumes, *flags, *settings)[0] == 0
    assert np.isfinite(pd.read_csv(tmp_path / "m" / "history.csv")["train_loss"]).all()


def test_a_model_becomes_onnx_with_its_preparation(study: Path, tmp_path: Path, unifocal: Call) -> None:
    import onnx

    model = study / "runs" / "unified_focal" / "fold-0-seed-0"
    code, out, _ = unifocal("export", "--model", model, "--out", tmp_path / "m.onnx")
    assert code == 0
    assert "ONNX Runtime gives PyTorch's logits" in out
    written = onnx.load(tmp_path / "m.onnx")
    said = json.loads(next(prop.value for prop in written.metadata_props if prop.key == "unifocal"))
    assert said["labels"] == [1, 2]
    assert said["grid"]["size"] == [8, 16, 16]
    assert unifocal("export", "--model", model, "--out", tmp_path / "m.bin")[0] == 2


def test_a_model_becomes_a_monai_bundle_with_its_preparation(study: Path, tmp_path: Path, unifocal: Call) -> None:
    model = study / "runs" / "unified_focal" / "fold-0-seed-0"
    code, out, _ = unifocal("export", "--model", model, "--out", tmp_path / "bundle")
    assert code == 0
    assert "MONAI builds the same network" in out
    config = json.loads((tmp_path / "bundle" / "configs" / "inference.json").read_text())
    steps = [next(iter(step)) for step in config["preprocessing"]["transforms"][0]["steps"]]
    assert steps == ["channels", "orient", "z_score"]
    assert config["inferer"]["roi_size"] == [8, 16, 16]
    assert config["postprocessing"]["transforms"][-1]["label_names"] == ["1: low", "2: high"]
