"""`unifocal data profile`: what it prints, writes and refuses."""

import csv
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from PIL import Image

from unifocal.data.phantom import write_phantom

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def unifocal(capfd: pytest.CaptureFixture[str]) -> Call:
    from unifocal.cli.app import run

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "heads"
    write_phantom(folder, patients=4, seed=3, size=64)
    return folder


def test_tables_and_files(heads: Path, tmp_path: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = unifocal("data", "profile", heads, "--size", "32")
    assert code == 0
    assert max(map(len, (line for line in out.splitlines() if "unifocal compare" not in line))) <= 80
    assert "of 4 patients" in out
    assert "vanish at" in out
    assert "Profiling" in err
    folder = tmp_path / "profile-heads"
    assert {path.name for path in folder.iterdir()} == {"profile.html", "profile.json", "cases.csv"}
    shares = []
    with (folder / "cases.csv").open() as file:
        for row in csv.DictReader(file):
            mask = np.asarray(Image.open(heads / "masks" / f"{row['case']}.png")) > 0
            assert int(row["foreground:elements"]) == int(mask.sum())
            shares.append(float(mask.mean()))
    told = json.loads((folder / "profile.json").read_text())
    assert told["foreground"]["share"]["mean"] == pytest.approx(np.mean(shares))
    assert told["training_size"] == [32, 32]
    assert len(told["case_rows"]) == told["cases"] == len(shares)


def test_json_alone_and_the_same_each_time(heads: Path, tmp_path: Path, unifocal: Call) -> None:
    outs = []
    for name in ("a", "b"):
        code, out, _ = unifocal("data", "profile", heads, "--json", "--out", tmp_path / name)
        assert code == 0
        outs.append(out)
        assert json.loads(out) == json.loads((tmp_path / name / "profile.json").read_text())
    assert outs[0] == outs[1]
    assert (tmp_path / "a" / "profile.html").read_bytes() == (tmp_path / "b" / "profile.html").read_bytes()
    told = json.loads(outs[0])
    assert told["schema"] == 1
    assert told["brain_ratio"] is None
    assert {advice["topic"] for advice in told["advice"]} >= {"gradient-balance", "delta", "resizing"}


def test_tumour_to_brain_area_ratio(tmp_path: Path, unifocal: Call) -> None:
    heads = tmp_path / "heads"
    write_phantom(heads, patients=3, seed=1, size=128)
    code, out, _ = unifocal("data", "profile", heads, "--brain", "--out", tmp_path / "out")
    assert code == 0
    assert "over brain" in out
    told = json.loads((tmp_path / "out" / "profile.json").read_text())
    for row in told["case_rows"]:
        assert row["brain_ratio"] == pytest.approx(row["foreground:elements"] / row["brain_elements"])
        assert row["brain_elements"] < row["rows"] * row["columns"]
    ratios = [row["brain_ratio"] for row in told["case_rows"]]
    assert told["brain_ratio"]["median"] == pytest.approx(np.median(ratios))
    assert any(group["brain_ratio"] for group in told["groups"])
    assert 'id="brain"' in (tmp_path / "out" / "profile.html").read_text()


def test_data_with_errors_leave_nothing_behind(tmp_path: Path, unifocal: Call) -> None:
    data = tmp_path / "data"
    write_phantom(data, patients=2, seed=0, size=64)
    first, second, *_ = sorted((data / "images").iterdir())
    first.write_bytes(first.read_bytes()[:200])
    second.unlink()
    code, out, err = unifocal("data", "profile", data, "--out", tmp_path / "out")
    assert code == 2
    assert out == ""
    assert first.name in err
    assert second.stem in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "DATA"),
        (("--size", "3x4"), "size"),
        (("--size", "32x32x32"), "--size"),
        (("--layout", "no-such"), "no-such"),
    ],
)
def test_bad_arguments(arguments: tuple[str, ...], word: str, heads: Path, tmp_path: Path, unifocal: Call) -> None:
    folder = () if not arguments else (heads,)
    code, _, err = unifocal("data", "profile", *folder, *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert word in err
    assert not (tmp_path / "out").exists()


def test_other_people_s_folders_are_left_alone(heads: Path, tmp_path: Path, unifocal: Call) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    code, _, err = unifocal("data", "profile", heads, "--out", tmp_path)
    assert code == 2
    assert "thesis.txt" in err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """Masks with the labels 1, 2 and 4, and the patient in the name."""
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / "d" / folder).mkdir(parents=True)
    for case in range(12):
        mask = np.zeros((48, 48), np.uint8)
        mask[5:20, 5:20], mask[8:14, 8:14], mask[10:12, 10:12] = 1, 2, 4
        image = random.integers(0, 90, mask.shape, dtype=np.uint8) + 20 * mask
        Image.fromarray(image).save(tmp_path / "d" / "images" / f"P{case // 2}_{case}.png")
        Image.fromarray(mask).save(tmp_path / "d" / "masks" / f"P{case // 2}_{case}.png")
    return tmp_path / "d"


@pytest.mark.usefixtures("no_report")
def test_the_command_it_gives_means_the_same_data_and_runs(several: Path, tmp_path: Path, unifocal: Call) -> None:
    flags = ("--labels", "4", "--patient-pattern", r"^(P\d+)_")
    code, out, err = unifocal("data", "profile", several, *flags, "--size", "32", "--out", tmp_path / "p")
    assert code == 0, err
    (command,) = [line for line in out.splitlines() if line.startswith("Start with: ")]
    words = shlex.split(command.removeprefix("Start with: "))
    assert words[:2] == ["unifocal", "compare"]
    quick = ("--folds", "2", "--epochs", "1", "--size", "16", "--jobs", "1", "--set", "network.width=2")
    rest = (
        "--set",
        "network.depth=1",
        "--set",
        "resamples=200",
        "--set",
        "training.threads=1",
        "--out",
        tmp_path / "s",
    )
    code, _, err = unifocal(*words[1:], *quick, *rest)
    assert code == 0, err
    recorded = yaml.safe_load((tmp_path / "s" / "study.yaml").read_text())["data"]
    assert recorded["labels"] == [4]
    assert recorded["patients"] == 6


@pytest.mark.usefixtures("no_report")
def test_overlapping_regions_get_a_command_that_runs(several: Path, tmp_path: Path, unifocal: Call) -> None:
    regions = "data.regions={whole: [1, 2, 4], core: [2, 4]}"
    code, out, err = unifocal("data", "profile", several, "--set", regions, "--size", "32", "--out", tmp_path / "p")
    assert code == 0, err
    assert "regions yet" not in (tmp_path / "p" / "profile.html").read_text()
    (command,) = [line for line in out.splitlines() if line.startswith("Start with: ")]
    words = shlex.split(command.removeprefix("Start with: "))
    quick = ("--folds", "2", "--epochs", "1", "--size", "16", "--jobs", "1", "--set", "network.width=2")
    small = ("--set", "network.depth=1", "--set", "resamples=200", "--set", "training.threads=1")
    code, _, err = unifocal(*words[1:], *quick, *small, "--out", tmp_path / "s")
    assert code == 0, err
    recorded = yaml.safe_load((tmp_path / "s" / "study.yaml").read_text())["data"]
    assert recorded["regions"] == {"whole": [1, 2, 4], "core": [2, 4]}


def test_volumes_get_a_command(tmp_path: Path, unifocal: Call) -> None:
    random = np.random.default_rng(0)
    for case in range(3):
        mask = np.zeros((12, 14, 10), np.uint8)
        mask[4:8, 4:8, 3:7] = 1
        volume = random.integers(0, 90, mask.shape, dtype=np.int16) + 100 * mask
        for part, array in (("images", volume), ("masks", mask)):
            (tmp_path / "d" / part).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "d" / part / f"c{case}.nii.gz")
    code, out, err = unifocal("data", "profile", tmp_path / "d", "--out", tmp_path / "p")
    assert code == 0, err
    assert "Start with: unifocal compare" in out
    assert "2D images so far" not in (tmp_path / "p" / "profile.html").read_text()
