"""`evaluate`: masks of several tools, in 2D and 3D, from files to the report."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from evaluation_scores import QUICK, scores_of

Call = Callable[..., tuple[int, str, str]]
STEPS = np.array([1.0, 2.0, 3.0])  # along x, y, z of the NIfTI files
ONE = (*QUICK, "--labels", "3")  # of fourteen labels


no_report = pytest.mark.usefixtures("no_report")


def atlas(random: np.random.Generator) -> np.ndarray:
    """Fourteen labels in boxes; (x, y, z)."""
    mask = np.zeros((28, 12, 9), np.uint8)
    for label in range(1, 15):
        start = 4 * ((label - 1) % 7), 6 * ((label - 1) // 7)
        height = random.integers(3, 8)
        mask[start[0] : start[0] + 3, start[1] : start[1] + 4, 1 : 1 + height] = label
    return mask


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Truth, and the predictions of two tools: one is shifted, the other never finds label 9 nor background's place."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("volumes")
    for name in ("truth", "shifted", "forgetful", "images"):
        (folder / name).mkdir()
    for number in range(4):
        truth = atlas(random)
        if number == 1:
            truth[truth == 5] = 0
        forgetful = np.where(truth == 9, 0, truth).astype(np.uint8)
        files = {"truth": truth, "shifted": np.roll(truth, 1, axis=2), "forgetful": forgetful}
        for name, mask in files.items():
            save(folder / name / f"case_{number}.nii.gz", mask)
        save(folder / "images" / f"case_{number}_0000.nii.gz", (truth * 10).astype(np.int16))
    (folder / "shifted" / "dataset.json").write_text("{}")
    return folder


def save(path: Path, mask: np.ndarray, steps: np.ndarray = STEPS, origin: float = 0.0) -> None:
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = origin
    nib.save(nib.Nifti1Image(mask, affine), path)


@pytest.fixture(scope="module")
def evaluation(volumes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from unifocal.cli.app import run

    out = tmp_path_factory.mktemp("evaluation") / "o"
    assert run(["evaluate", *map(str, asked(volumes)), "--out", str(out), *QUICK]) == 0
    return out


def asked(volumes: Path) -> tuple[object, ...]:
    pairs = ("--pred", volumes / "shifted", "--pred", f"the second={volumes / 'forgetful'}")
    return ("--truth", volumes / "truth", *pairs, "--images", volumes / "images", "--label", 3)


def read(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_fourteen_labels_in_3d_are_scored_in_millimetres(evaluation: Path, volumes: Path) -> None:
    scores = scores_of(evaluation)
    assert set(scores["label"]) == set(range(1, 15))
    assert set(scores["loss"]) == {"shifted", "the second"}
    table = scores.set_index(["loss", "case", "label", "metric"]).sort_index()
    for number in range(4):
        truth = read(volumes / "truth" / f"case_{number}.nii.gz")
        for method, folder in (("shifted", "shifted"), ("the second", "forgetful")):
            predicted = read(volumes / folder / f"case_{number}.nii.gz")
            for label in range(1, 15):
                mine, theirs = (
                    set(map(tuple, np.argwhere(truth == label))),
                    set(map(tuple, np.argwhere(predicted == label))),
                )
                row = table.loc[(method, f"case_{number}", label, "dice")]
                if not mine:
                    assert np.isnan(row["value"])
                    assert "neither mask" in row["reason"]
                else:
                    assert row["value"] == pytest.approx(2 * len(mine & theirs) / (len(mine) + len(theirs)))
                volume = table.loc[(method, f"case_{number}", label, "volume_truth")]
                assert volume["value"] == pytest.approx(len(mine) * STEPS.prod() / 1000)
                assert volume["unit"] == "ml"
    # Shifted by one slice of 3 mm; a label that was never found is a diagonal away.
    assert table.loc[("shifted", "case_0", 3, "hausdorff"), "value"] == pytest.approx(3.0)
    diagonal = np.linalg.norm((np.array([28, 12, 9]) - 1) * STEPS)
    assert table.loc[("the second", "case_0", 9, "hausdorff"), "value"] == pytest.approx(diagonal)
    assert table.loc[("the second", "case_0", 9, "dice"), "value"] == 0


def test_the_folder_is_one_that_a_report_can_be_built_from(evaluation: Path, volumes: Path) -> None:
    from unifocal.data.case import Source
    from unifocal.reporting.study import read_study

    settings = yaml.safe_load((evaluation / "study.yaml").read_text())
    assert settings["kind"] == "evaluation"
    assert settings["losses"] == [{"label": "shifted"}, {"label": "the second"}]
    assert settings["data"] | {"foreground_percent": 0} == {
        "name": "truth", "folder": str(volumes / "truth"), "cases": 4, "patients": 4, "patients_known": False,
        "labels": list(range(1, 15)), "spacing_known": True, "axes": 3, "foreground_percent": 0,
        "black_and_white": False, "mask_threshold": None, "kept_values": None,
    }  # fmt: skip
    shares = [100 * (read(path) > 0).mean() for path in (volumes / "truth").iterdir()]
    assert settings["data"]["foreground_percent"] == pytest.approx(np.mean(shares), abs=1e-3)
    cases = pd.read_csv(evaluation / "cases.csv", dtype=str, keep_default_na=False)
    predictions = pd.read_csv(evaluation / "predictions.csv", dtype=str, keep_default_na=False)
    for row in cases.itertuples():
        assert Source.from_text(row.mask, evaluation).path == volumes / "truth" / f"{row.case}.nii.gz"
        assert Source.from_text(row.image, evaluation).path == volumes / "images" / f"{row.case}_0000.nii.gz"
        assert row.spacing_mm == "3x2x1"
    assert {Path(file) for file in predictions["file"]} == {
        volumes / folder / f"case_{number}.nii.gz" for folder in ("shifted", "forgetful") for number in range(4)
    }
    assert not (evaluation / "runs").exists()
    assert not (evaluation / "probabilities.csv.gz").exists()
    study = read_study(evaluation)
    assert study.losses == ("shifted", "the second")
    assert "case_3" in (evaluation / "report.html").read_text()


def test_the_report_of_an_evaluation_is_rebuilt(volumes: Path, tmp_path: Path, unifocal: Call) -> None:
    out = tmp_path / "o"
    assert unifocal("evaluate", *asked(volumes)[:-2], "--labels", "3,9", "--label", "3", "--out", out, *QUICK)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    code, shown, _ = unifocal("report", out, "--metric", "hd95", "--label", 9)
    assert code == 0
    assert "hd95" in shown
    assert "method" in shown
    assert (out / "report.html").read_bytes() != before[out / "report.html"]
    assert unifocal("report", out)[0] == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_killed_anywhere_it_leaves_no_half_and_the_same_command_ends_the_same(volumes: Path, tmp_path: Path) -> None:
    names = ("scores.csv", "cases.csv", "predictions.csv", "summary.csv", "pooled.csv", "comparison.csv")
    program = [str(Path(sys.executable).with_name("unifocal")), "evaluate"]
    arguments = [*map(str, asked(volumes)), "--labels", "3", *QUICK]
    whole, out = tmp_path / "whole", tmp_path / "o"
    subprocess.run([*program, *arguments, "--out", str(whole)], check=True, capture_output=True)
    command = [*program, *arguments, "--out", str(out)]
    for stage, wait in (("", 2.0), ("study.yaml", 0.0), ("summary.csv", 0.2)):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while stage and not (out / stage).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(wait)
        process.kill()
        process.wait()
        for name in names:
            if (out / name).exists():
                assert (out / name).read_bytes() == (whole / name).read_bytes()
    subprocess.run(command, check=True, capture_output=True)
    for name in names:
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert (out / "report.html").is_file()
    assert not list(out.rglob("*.partial"))


@no_report
def test_the_same_again_keeps_its_date_and_other_masks_do_not(volumes: Path, tmp_path: Path, unifocal: Call) -> None:
    shutil.copytree(volumes / "shifted", tmp_path / "p")
    arguments = ("evaluate", "--truth", volumes / "truth", "--pred", tmp_path / "p", "--out", tmp_path / "o", *ONE)
    assert unifocal(*arguments)[0] == 0
    path = tmp_path / "o" / "study.yaml"
    path.write_text(path.read_text().replace("created: '20", "created: '19"))
    first = path.read_bytes()
    assert unifocal(*arguments)[0] == 0
    assert path.read_bytes() == first
    scores = (tmp_path / "o" / "scores.csv").read_bytes()
    save(tmp_path / "p" / "case_0.nii.gz", read(volumes / "truth" / "case_0.nii.gz"))
    assert unifocal(*arguments, "--tolerance", "1")[0] == 0
    assert path.read_bytes() != first
    assert (tmp_path / "o" / "scores.csv").read_bytes() != scores


@no_report
def test_masks_are_read_in_other_processes_alone(
    volumes: Path, tmp_path: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unifocal.experiments import evaluation_case

    monkeypatch.setattr(evaluation_case, "read_mask", None)
    arguments = ("--truth", volumes / "truth", "--pred", volumes / "shifted", "--out", tmp_path / "o", *ONE)
    assert unifocal("evaluate", *arguments)[0] == 0


def test_every_fault_is_named_at_once_and_nothing_is_written(volumes: Path, tmp_path: Path, unifocal: Call) -> None:
    for name in ("truth", "shifted"):
        shutil.copytree(volumes / name, tmp_path / name)
    wrong = tmp_path / "shifted"
    (wrong / "case_0.nii.gz").unlink()
    whole = (wrong / "case_1.nii.gz").read_bytes()
    (wrong / "case_1.nii.gz").write_bytes(whole[: len(whole) // 2])
    save(wrong / "case_2.nii.gz", np.zeros((28, 12, 8), np.uint8))
    save(wrong / "case_3.nii.gz", read(volumes / "shifted" / "case_3.nii.gz"), steps=np.array([1.0, 2.0, 2.5]))
    shutil.copytree(volumes / "forgetful", tmp_path / "other")
    save(tmp_path / "other" / "case_0.nii.gz", read(volumes / "truth" / "case_0.nii.gz"), origin=20.0)
    blurred = np.random.default_rng(0).integers(0, 250, (28, 12, 9), np.uint8)
    save(tmp_path / "other" / "case_1.nii.gz", blurred)
    code, out, err = unifocal(
        "evaluate", "--truth", tmp_path / "truth", "--pred", wrong, "--pred", tmp_path / "other",
        "--out", tmp_path / "o", "--label", 99,
    )  # fmt: skip
    assert code == 2
    assert "Traceback" not in out + err
    told = [" ".join(entry.split()) for entry in re.split(r"\n\s+\d+\. ", err)]
    for words in (
        ("no prediction for 1 of 4", "case_0"), ("case_1", "cut short"), ("case_2", "elements"),
        ("case_3", "spacing"), ("other", "case_0", "elsewhere"), ("case_1", "different values"), ("--label 99",),
    ):  # fmt: skip
        assert any(all(word in entry for word in words) for entry in told), (words, err)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--metric", "dicee"), ["dicee", "hd95"]),
        (("--metric", "true_positives"), ["true_positives"]),
        (("--metric", "brier"), ["brier", "--probabilities"]),
        (("--pred", "nowhere"), ["nowhere", "not a folder"]),
        (("--images", "nowhere"), ["--images nowhere"]),
        (("--margin", "-1"), ["margin"]),
        (("--tolerance", "nan"), ["tolerance"]),
        (("--pair-by", "sound"), ["pair_by"]),
        (("--spacing", "1x1"), ["2 distances", "3 axes"]),
    ],
)
def test_bad_settings_are_named(
    volumes: Path, tmp_path: Path, unifocal: Call, arguments: tuple[str, ...], words: list[str]
) -> None:
    given = ("--truth", volumes / "truth", "--pred", volumes / "shifted", "--out", tmp_path / "o")
    code, out, err = unifocal("evaluate", *given, *arguments)
    assert code == 2, out
    assert all(word in err for word in words), err
    assert "Traceback" not in out + err
    assert not (tmp_path / "o").exists()


def test_two_folders_of_one_name_need_names(volumes: Path, tmp_path: Path, unifocal: Call) -> None:
    shutil.copytree(volumes / "shifted", tmp_path / "shifted")
    given = ("--truth", volumes / "truth", "--pred", volumes / "shifted", "--out", tmp_path / "o")
    code, _, err = unifocal("evaluate", *given, "--pred", tmp_path / "shifted")
    assert code == 2
    assert "NAME=DIR" in err
    code, _, err = unifocal("evaluate", "--truth", volumes / "truth", "--out", tmp_path / "o")
    assert code == 2
    assert "predictions" in err


@no_report
def test_missing_predictions_may_count_as_empty(volumes: Path, tmp_path: Path, unifocal: Call) -> None:
    shutil.copytree(volumes / "shifted", tmp_path / "some")
    (tmp_path / "some" / "case_2.nii.gz").unlink()
    save(tmp_path / "some" / "stranger.nii.gz", np.zeros((3, 3, 3), np.uint8))
    arguments = ("--truth", volumes / "truth", "--pred", tmp_path / "some", "--pred", volumes / "forgetful")
    code, _, err = unifocal("evaluate", *arguments, "--out", tmp_path / "o", "--allow-missing", *ONE)
    assert code == 0
    assert "stranger" in err
    scores = scores_of(tmp_path / "o")
    absent = scores.query("loss == 'some' and case == 'case_2' and metric == 'dice'")
    assert (absent["value"] == 0).all()
    assert absent["reason"].str.contains("only the truth").all()
    settings = yaml.safe_load((tmp_path / "o" / "study.yaml").read_text())
    assert settings["predictions"]["some"]["missing"] == ["case_2"]
    assert any("stranger" in warning for warning in settings["warnings"])
    table = pd.read_csv(tmp_path / "o" / "predictions.csv", dtype=str, keep_default_na=False).set_index(
        ["loss", "case"]
    )
    assert table.loc[("some", "case_2"), "file"] == ""


@no_report
def test_only_the_labels_asked_for_are_scored(volumes: Path, tmp_path: Path, unifocal: Call) -> None:
    arguments = ("--truth", volumes / "truth", "--pred", volumes / "shifted", *QUICK)
    assert unifocal("evaluate", *arguments, "--labels", "3,5", "--out", tmp_path / "o")[0] == 0
    assert set(scores_of(tmp_path / "o")["label"]) == {3, 5}
    code, _, err = unifocal("evaluate", *arguments, "--labels", "3,77", "--out", tmp_path / "p")
    assert code == 0
    assert "77" in err
    assert scores_of(tmp_path / "p").query("label == 77 and metric == 'dice'")["value"].isna().all()


@no_report
def test_one_method_prints_its_scores_and_two_the_verdict(volumes: Path, tmp_path: Path, unifocal: Call) -> None:
    given = ("--truth", volumes / "truth", "--pred", volumes / "shifted", "--labels", "3", "--out", tmp_path / "o")
    code, out, _ = unifocal("evaluate", *given, *QUICK)
    assert code == 0
    assert "hd95 (mm)" in out
    assert "probability of being best" not in out
    code, out, _ = unifocal("evaluate", *given, "--pred", volumes / "forgetful", "--margin", "0.3", *QUICK)
    assert code == 0
    assert "probability of being best" in out
    assert "loss" not in out.replace("losses", "").lower()
    assert yaml.safe_load((tmp_path / "o" / "study.yaml").read_text())["config"]["margin"] == 0.3


@no_report
def test_a_table_names_patients_and_may_hold_more_cases(volumes: Path, tmp_path: Path, unifocal: Call) -> None:
    rows = ["case,patient,site", *(f"case_{n},p{n // 2},s{n % 2}" for n in range(4)), "elsewhere,p9,s1"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    given = ("--truth", volumes / "truth", "--pred", volumes / "shifted", "--out", tmp_path / "o", *ONE)
    assert unifocal("evaluate", *given, "--cases", tmp_path / "t.csv")[0] == 0
    cases = pd.read_csv(tmp_path / "o" / "cases.csv", dtype=str)
    assert cases["patient"].tolist() == ["p0", "p0", "p1", "p1"]
    assert cases["site"].tolist() == ["s0", "s1", "s0", "s1"]
    summary = pd.read_csv(tmp_path / "o" / "summary.csv")
    assert set(summary.query("metric == 'dice' and label == 3")["n_patients"]) == {2}


@no_report
def test_the_table_beside_the_truth_is_used_where_it_fits(volumes: Path, tmp_path: Path, unifocal: Call) -> None:
    shutil.copytree(volumes / "truth", tmp_path / "d" / "truth")
    table = tmp_path / "d" / "cases.csv"
    given = ("--truth", tmp_path / "d" / "truth", "--pred", volumes / "shifted", "--out", tmp_path / "o", *ONE)
    table.write_text("case,patient\n" + "\n".join(f"case_{n},p{n // 2}" for n in range(5)))
    assert unifocal("evaluate", *given)[0] == 0
    assert pd.read_csv(tmp_path / "o" / "cases.csv", dtype=str)["patient"].tolist() == ["p0", "p0", "p1", "p1"]
    table.write_text("case,patient\ncase_0,p0\n")
    code, _, err = unifocal("evaluate", *given)
    assert code == 0
    assert "is not used" in err
    assert pd.read_csv(tmp_path / "o" / "cases.csv", dtype=str)["patient"].nunique() == 4
    code, _, err = unifocal("evaluate", *given, "--cases", table)
    assert code == 2
    assert "case_1" in err
