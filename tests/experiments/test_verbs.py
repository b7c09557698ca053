"""`train`, `predict`, `evaluate`, `losses`, `data phantom`; and bad input to any verb."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

Call = Callable[..., tuple[int, str, str]]
SMALL = (
    "--epochs", "2", "--size", "32", "--set", "network.width=4", "--set", "network.depth=2",
    "--set", "training.threads=1", "--set", "training.precision=float32",
)  # fmt: skip


@pytest.fixture(scope="module")
def model(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from unifocal.cli.app import run

    out = tmp_path_factory.mktemp("model") / "m"
    assert run(["train", "--data", str(phantom), "--out", str(out), *SMALL]) == 0
    return out


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture)


def test_train_leaves_a_model_and_its_history(model: Path) -> None:
    assert {"model.safetensors", "history.csv", "record.json", "study.yaml"} <= {path.name for path in model.iterdir()}
    assert len(pd.read_csv(model / "history.csv")) == 2
    assert not (model / "state.ckpt").exists()


def test_training_again_repeats_nothing_and_elsewhere_gives_the_same(
    model: Path, phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    before = (model / "model.safetensors").stat().st_mtime_ns
    assert unifocal("train", "--data", phantom, "--out", model, *SMALL)[0] == 0
    assert (model / "model.safetensors").stat().st_mtime_ns == before
    assert unifocal("train", "--data", phantom, "--out", tmp_path / "m", *SMALL)[0] == 0
    for folder in (model, tmp_path / "m"):
        assert (
            unifocal(
                "predict", "--model", folder, "--images", phantom / "images", "--out", tmp_path / folder.parent.name
            )[0]
            == 0
        )
    first, second = tmp_path / model.parent.name, tmp_path / tmp_path.name
    assert (first / "sizes.csv").read_bytes() == (second / "sizes.csv").read_bytes()


def test_predict_writes_masks_overlays_and_sizes(model: Path, phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    images = tmp_path / "new"
    images.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (70, 50, 3), np.uint8)).save(images / "colour.jpg")
    for path in sorted((phantom / "images").iterdir())[:2]:
        shutil.copy(path, images)
    (images / "colour.jpg").unlink()
    code, out, _ = unifocal(
        "predict", "--model", model, "--images", images, "--out", tmp_path / "p", "--spacing", "0.5x2"
    )
    assert code == 0
    assert "sizes.csv" in out
    areas = pd.read_csv(tmp_path / "p" / "sizes.csv", dtype={"case": str})
    assert set(areas["unit"]) == {"mm2"}
    for row in areas.itertuples():
        mask = pixels(tmp_path / "p" / "masks" / f"{row.case}.png")
        assert mask.shape == (48, 48)
        assert set(np.unique(mask)) <= {0, 255}
        assert row.size == pytest.approx((mask > 0).sum() * 0.5 * 2)
        assert pixels(tmp_path / "p" / "overlays" / f"{row.case}.png").shape == (48, 48, 3)


def test_predict_takes_one_image_and_a_weights_file(model: Path, phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    image = min((phantom / "images").iterdir())
    arguments = ("--model", model / "model.safetensors", "--images", image, "--out", tmp_path / "p", "--no-overlays")
    assert unifocal("predict", *arguments)[0] == 0
    assert [path.name for path in (tmp_path / "p" / "masks").iterdir()] == [image.name]
    assert not (tmp_path / "p" / "overlays").exists()


def test_evaluate_scores_masks_from_any_tool(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    predicted = tmp_path / "predicted"
    shutil.copytree(phantom / "masks", predicted)
    first = min(predicted.iterdir())
    truth = pixels(first)
    shifted = np.roll(truth, 1, axis=0) // 255
    Image.fromarray(shifted * 255).save(first)
    arguments = ("--truth", phantom / "masks", "--pred", predicted, "--cases", phantom / "cases.csv")
    code, out, _ = unifocal("evaluate", *arguments, "--out", tmp_path / "e", "--spacing", "2")
    assert code == 0
    assert "dice" in out
    scores = pd.read_csv(tmp_path / "e" / "scores.csv", dtype={"case": str}).set_index(["case", "metric"])["value"]
    overlap = ((truth > 0) & (shifted > 0)).sum()
    assert scores[first.stem, "dice"] == pytest.approx(overlap / (truth > 0).sum())
    assert scores[first.stem, "hausdorff"] == 2
    assert (scores.xs("dice", level="metric").drop(first.stem) == 1).all()
    assert pd.read_csv(tmp_path / "e" / "summary.csv").query("metric == 'dice'")["n_patients"].item() == 6


def test_evaluate_names_every_fault(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    predicted = tmp_path / "predicted"
    shutil.copytree(phantom / "masks", predicted)
    names = sorted(path.name for path in predicted.iterdir())
    (predicted / names[0]).unlink()
    (predicted / names[1]).write_bytes((predicted / names[1]).read_bytes()[:60])
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(predicted / names[2])
    code, _, err = unifocal("evaluate", "--truth", phantom / "masks", "--pred", predicted, "--out", tmp_path / "e")
    assert code == 2
    assert all(Path(name).stem in err for name in names[:3])
    assert not (tmp_path / "e").exists()


def test_losses_are_listed_and_explained(unifocal: Call) -> None:
    from unifocal.losses import names

    code, out, _ = unifocal("losses")
    assert code == 0
    for name in names():
        assert name in out.replace("…", "")
        code, one, _ = unifocal("losses", name)
        assert code == 0
        assert len(one) > 200
    code, _, err = unifocal("losses", "unified_fokal")
    assert code == 2
    assert "unified_focal" in err


def test_the_phantom_is_written_and_not_over_others(tmp_path: Path, unifocal: Call) -> None:
    assert unifocal("data", "phantom", "--out", tmp_path / "p", "--patients", "2", "--size", "32")[0] == 0
    assert set(pd.read_csv(tmp_path / "p" / "cases.csv").columns) == {"case", "patient", "class", "plane"}
    code, _, err = unifocal("data", "phantom", "--out", tmp_path / "p")
    assert code == 2
    assert "not an empty folder" in err


def plant_ten_faults(folder: Path) -> list[str]:
    """Break a copy of the phantom in ten ways; the words that must appear, one per fault."""
    names = sorted(path.stem for path in (folder / "images").iterdir())
    image, mask = (lambda n: folder / "images" / f"{names[n]}.png"), (lambda n: folder / "masks" / f"{names[n]}.png")
    mask(0).unlink()
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(folder / "masks" / "extra.png")
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(mask(1))
    image(2).write_bytes(image(2).read_bytes()[:200])
    mask(3).write_bytes(b"")
    blurred = np.clip(np.linspace(0, 255, 48 * 48), 0, 255).astype(np.uint8).reshape(48, 48)
    Image.fromarray(blurred).save(mask(4))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)).save(mask(5))
    Image.fromarray(np.full((48, 48), 9, np.uint8)).save(image(6))
    table = pd.read_csv(folder / "cases.csv", dtype=str)
    table = table[table["case"] != names[7]]
    table.loc[len(table) + 50] = ["ghost", "P999", "glioma", "axial"]
    table.to_csv(folder / "cases.csv", index=False)
    return [names[0], "extra", names[1], names[2], names[3], names[4], names[5], names[6], names[7], "ghost"]


def test_ten_planted_faults_give_one_message_with_all_ten(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    folder = tmp_path / "d"
    shutil.copytree(phantom, folder)
    faults = plant_ten_faults(folder)
    code, out, err = unifocal("compare", "--data", folder, "--out", tmp_path / "s", "--losses", "bce,unifid_focal")
    assert code == 2
    assert "There are 11 problems; nothing was written." in err
    assert all(word in err for word in (*faults, "unifid_focal", "unified_focal"))
    assert "Traceback" not in out + err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--losses", "focal(gama=2)"), ["gama", "gamma"]),
        (("--losses", "no.such:Thing"), ["no.such"]),
        (("--losses", "torch.nn:CosineEmbeddingLoss"), ["CosineEmbeddingLoss", "failed when it was called"]),
        (("--losses", "bce,bce"), ["twice"]),
        (("--folds", "7"), ["6 patients", "7 folds"]),
        (("--folds", "1"), ["split.folds"]),
        (("--set", "metric=dicee"), ["dicee"]),
        (("--set", "training.epoch=3"), ["training.epoch", "epochs"]),
        (("--masks", "nowhere"), ["nowhere"]),
        (("--patient-pattern", "("), ["pattern"]),
        (("--spacing", "-1"), ["spacing"]),
        (("--spacing", "nan"), ["spacing"]),
        (("--set", "data.spacing_mm=[null,1]"), ["spacing"]),
        (("--losses", "bce,cross_entropy"), ["twice"]),
        (("--losses", "focal(gamma=2,gamma=3)"), ["gamma twice"]),
        (("--seeds", "0,0"), ["seeds"]),
        (("--set", "metric=true_positives"), ["true_positives"]),
    ],
)
def test_bad_settings_are_named_and_nothing_is_written(
    phantom: Path, tmp_path: Path, unifocal: Call, arguments: tuple[str, ...], words: list[str]
) -> None:
    code, out, err = unifocal("compare", "--data", phantom, "--out", tmp_path / "s", *arguments)
    assert code == 2, err
    assert all(word in err for word in words), err
    assert "Traceback" not in out + err
    assert not (tmp_path / "s").exists()


def test_a_folder_with_other_things_is_left_alone(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for verb in (("compare",), ("train",)):
        code, _, err = unifocal(*verb, "--data", phantom, "--out", tmp_path)
        assert code == 2
        assert "thesis.txt" in err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_help_is_quick_and_imports_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['unifocal', '--help']\nfrom unifocal.cli.app import run\nassert run(['--help']) == 0\n"
    )
    check = "assert not {'torch', 'pandas', 'numpy', 'matplotlib', 'lightning'} & set(sys.modules)"
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "compare" in done.stdout
    after = os.times()  # of processors: what else this machine does takes none of it
    assert after.children_user + after.children_system - before.children_user - before.children_system < 15


def test_without_the_extras_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None\nfrom unifocal.cli.entry import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'unifocal[all]'" in done.stderr


def test_spacing_known_for_some_images_only_is_refused(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    shutil.copytree(phantom, tmp_path / "d")
    table = pd.read_csv(tmp_path / "d" / "cases.csv", dtype=str)
    table["spacing_mm"] = ["0.5"] * (len(table) - 1) + [None]
    table.to_csv(tmp_path / "d" / "cases.csv", index=False)
    code, _, err = unifocal("compare", "--data", tmp_path / "d", "--out", tmp_path / "s")
    assert code == 2
    assert table["case"].iloc[-1] in err
    assert not (tmp_path / "s").exists()


def test_predict_and_evaluate_never_write_over_what_is_not_theirs(
    model: Path, phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    for name in ("masks", "study"):
        shutil.copytree(phantom / "masks", tmp_path / name / "masks")
    (tmp_path / "study" / "study.yaml").write_text("a: study")
    (tmp_path / "study" / "scores.csv").write_text("precious")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert unifocal("predict", "--model", model, "--images", phantom / "images", "--out", tmp_path / "masks")[0] == 2
    shutil.copytree(phantom / "masks", tmp_path / "predicted")
    before |= {path: path.read_bytes() for path in (tmp_path / "predicted").iterdir()}
    arguments = ("--truth", phantom / "masks", "--pred", tmp_path / "predicted")
    code, _, err = unifocal("evaluate", *arguments, "--out", tmp_path / "study")
    assert code == 2
    assert "holds a study" in err
    assert unifocal("evaluate", *arguments, "--out", tmp_path / "masks")[0] == 2
    assert before == {path: path.read_bytes() for path in before}


def test_predicting_again_leaves_no_stale_masks(model: Path, phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    one = min((phantom / "images").iterdir())
    for images in (phantom / "images", one):
        assert unifocal("predict", "--model", model, "--images", images, "--out", tmp_path / "p")[0] == 0
    assert [path.stem for path in (tmp_path / "p" / "masks").iterdir()] == [one.stem]


def test_predicting_again_after_a_kill_clears_what_was_left(
    model: Path, phantom: Path, tmp_path: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unifocal.experiments import new_images

    use = ("predict", "--model", model, "--images", phantom / "images", "--out", tmp_path / "p")
    assert unifocal(*use)[0] == 0
    before = (tmp_path / "p" / "sizes.csv").read_bytes()
    left = tmp_path / "p" / "masks" / ".ct.nii.gz-abcd1234"
    left.mkdir()
    (left / "ct.nii.gz").touch()
    (tmp_path / "p" / "masks" / "my.notes").mkdir()

    class KilledError(BaseException):
        pass

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(new_images, "_segmented", die)
        with pytest.raises(KilledError):
            unifocal(*use)
    assert not (tmp_path / "p" / "sizes.csv").exists(), "sizes of the masks that are gone"
    assert not left.exists()
    assert unifocal(*use)[0] == 0
    assert (tmp_path / "p" / "sizes.csv").read_bytes() == before
    assert (tmp_path / "p" / "masks" / "my.notes").is_dir()


def test_an_image_that_is_a_link_to_nowhere_is_not_passed_over(
    model: Path, phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    shutil.copytree(phantom / "images", tmp_path / "new")
    (tmp_path / "new" / "later.png").symlink_to(tmp_path / "annex" / "later.png")
    code, _, err = unifocal("predict", "--model", model, "--images", tmp_path / "new", "--out", tmp_path / "p")
    assert code == 2
    assert "later.png" in err
    assert not (tmp_path / "p").exists()


def test_slices_that_are_numbered_from_0000_are_segmented_one_by_one(
    model: Path, phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    (tmp_path / "new").mkdir()
    for number, path in enumerate(sorted((phantom / "images").iterdir())[:3]):
        shutil.copy(path, tmp_path / "new" / f"p1_{number:04d}.png")
    code, _, err = unifocal("predict", "--model", model, "--images", tmp_path / "new", "--out", tmp_path / "p")
    assert code == 0, err
    assert sorted(path.stem for path in (tmp_path / "p" / "masks").iterdir()) == ["p1_0000", "p1_0001", "p1_0002"]


def test_a_training_whose_split_changed_is_another_one(
    model: Path, phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    shutil.copytree(phantom, tmp_path / "d")
    shutil.copytree(model, tmp_path / "m")
    table = pd.read_csv(tmp_path / "d" / "cases.csv", dtype=str)
    table["patient"] = ["A", "B", "C"] * (len(table) // 3)
    table.to_csv(tmp_path / "d" / "cases.csv", index=False)
    code, _, err = unifocal("train", "--data", tmp_path / "d", "--out", tmp_path / "m", *SMALL)
    assert code == 2
    assert "validation_patients" in err


def test_train_takes_exactly_one_loss(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    for losses in ("bce,focal", ""):
        code, _, err = unifocal("train", "--data", phantom, "--out", tmp_path / "m", "--loss", losses)
        assert code == 2
        assert "one loss" in err.lower()


def test_a_lost_model_is_trained_again(model: Path, phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    shutil.copytree(model, tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    assert unifocal("train", "--data", phantom, "--out", tmp_path / "m", *SMALL)[0] == 0
    assert (tmp_path / "m" / "model.safetensors").is_file()


def test_patients_are_found_under_a_capital_letter(phantom: Path, tmp_path: Path) -> None:
    from unifocal.config.schema import DataConfig
    from unifocal.data.datasets import open_dataset
    from unifocal.experiments.request import request_of

    shutil.copytree(phantom, tmp_path / "d")
    table = pd.read_csv(tmp_path / "d" / "cases.csv", dtype=str)
    table.rename(columns={"case": "Case", "patient": "Patient"}).to_csv(tmp_path / "d" / "cases.csv", index=False)
    dataset = open_dataset(request_of(DataConfig(folder=tmp_path / "d"))).dataset
    assert dataset.patients_known
    assert len({case.patient for case in dataset.cases}) == 6


def test_volumes_are_evaluated_in_their_own_millimetres(tmp_path: Path, unifocal: Call) -> None:
    import nibabel as nib

    truth, predicted = np.zeros((2, 8, 9, 10), np.uint8)
    truth[2:5, 2:5, 2:5] = 1
    predicted[2:5, 2:5, 3:6] = 1
    for folder, mask in (("truth", truth), ("pred", predicted)):
        (tmp_path / folder).mkdir()
        nib.save(nib.Nifti1Image(mask, np.diag([1.0, 2.0, 3.0, 1.0])), tmp_path / folder / "a.nii.gz")
    code, _, err = unifocal(
        "evaluate", "--truth", tmp_path / "truth", "--pred", tmp_path / "pred", "--out", tmp_path / "out"
    )
    assert code == 0, err
    scores = pd.read_csv(tmp_path / "out" / "scores.csv").set_index("metric")["value"]
    assert scores["dice"] == pytest.approx(2 / 3)
    assert scores["hausdorff"] == pytest.approx(3.0)
