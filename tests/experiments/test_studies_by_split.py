"""`compare` with every kind of split: who is tested, and what the report says of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

QUICK = (
    "--losses", "bce", "--epochs", "1", "--size", "16", "--jobs", "1",
    "--set", "network.width=2", "--set", "network.depth=1", "--set", "resamples=200",
    "--set", "training.threads=1", "--set", "training.precision=float32",
)  # fmt: skip
Call = Callable[..., tuple[int, str, str]]


def times_scored(out: Path) -> "pd.Series[int]":
    """How often each case was scored."""
    scores = pd.read_csv(out / "scores.csv", dtype={"case": str})
    return scores[scores["metric"] == "dice"]["case"].value_counts()


def method(out: Path) -> str:
    return " ".join((out / "report.html").read_text(encoding="utf-8").split())


@pytest.fixture
def with_sites(phantom: Path, tmp_path: Path) -> Path:
    data = tmp_path / "sites"
    shutil.copytree(phantom, data)
    cases = pd.read_csv(data / "cases.csv", dtype=str)
    patients = sorted(cases["patient"].unique())
    cases["site"] = [["north", "south"][patients.index(patient) % 2] for patient in cases["patient"]]
    cases.to_csv(data / "cases.csv", index=False)
    return data


@pytest.fixture
def retina(tmp_path: Path) -> Path:
    """A small data set in the layout of DRIVE."""
    data, random = tmp_path / "DRIVE", np.random.default_rng(0)
    for part, numbers in (("training", range(21, 26)), ("test", range(1, 4))):
        for number in numbers:
            image = random.integers(40, 200, (24, 20, 3), dtype=np.uint8)
            vessels = image[..., 1] > 150
            for name, picture in (
                (f"images/{number:02}_{part}.tif", image),
                (f"1st_manual/{number:02}_manual1.gif", np.where(vessels, 255, 0).astype(np.uint8)),
                (f"mask/{number:02}_{part}_mask.gif", np.full((24, 20), 255, np.uint8)),
            ):
                path = data / part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(path)
    return data


def test_the_official_test_part_alone_is_scored(retina: Path, tmp_path: Path, unifocal: Call) -> None:
    code, _, err = unifocal("compare", "--data", retina, "--split", "official", "--out", tmp_path / "s", *QUICK)
    assert code == 0, err
    assert sorted(times_scored(tmp_path / "s").index) == ["01_test", "02_test", "03_test"]
    recorded = yaml.safe_load((tmp_path / "s" / "study.yaml").read_text())
    assert recorded["split"]["kind"] == "official"
    assert len(recorded["split"]["folds"]) == 1
    assert recorded["data"]["layout"] == "drive"
    assert "official split" in method(tmp_path / "s")


def test_one_site_after_the_other_is_left_out(with_sites: Path, tmp_path: Path, unifocal: Call) -> None:
    out = tmp_path / "s"
    code, _, err = unifocal("compare", "--data", with_sites, "--split", "leave_one_group_out", "--out", out, *QUICK)
    assert code == 0, err
    cases = pd.read_csv(out / "cases.csv", dtype=str)
    assert cases.groupby("site")["fold"].unique().map(list).to_dict() == {"north": ["0"], "south": ["1"]}
    assert set(times_scored(out)) == {1}
    assert "One fold per site (2 in all)" in method(out)


def test_repeats_score_every_case_as_often(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    out = tmp_path / "s"
    code, _, err = unifocal("compare", "--data", phantom, "--folds", "2", "--repeats", "2", "--out", out, *QUICK)
    assert code == 0, err
    assert set(times_scored(out)) == {2}
    summary = pd.read_csv(out / "summary.csv")
    assert set(summary[summary["metric"] == "dice"]["n_cases"]) == {len(times_scored(out))}
    assert set(summary[summary["metric"] == "dice"]["n_patients"]) == {6}
    assert "2-fold cross-validation over patients, drawn 2 times" in method(out)


def test_folds_over_images_are_named_a_fault(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    out = tmp_path / "s"
    code, _, err = unifocal(
        "compare", "--data", phantom, "--folds", "2", "--out", out, *QUICK, "--set", "split.by=image"
    )
    assert code == 0, err
    assert set(times_scored(out)) == {1}
    assert "The split is over images: the same patient may stand in training and test" in method(out)
    (first, _) = yaml.safe_load((out / "study.yaml").read_text())["split"]["folds"]
    assert set(first["test"]) <= set(times_scored(out).index)


def test_a_file_decides_who_is_tested(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    cases = pd.read_csv(phantom / "cases.csv", dtype=str)
    patients = sorted(cases["patient"].unique())
    rows = [f"{patient},{'test' if place == 0 else 'training'}" for place, patient in enumerate(patients)]
    (tmp_path / "split.csv").write_text("\n".join(["patient,part", *rows]))
    out = tmp_path / "s"
    code, _, err = unifocal("compare", "--data", phantom, "--split", tmp_path / "split.csv", "--out", out, *QUICK)
    assert code == 0, err
    assert sorted(times_scored(out).index) == sorted(cases[cases["patient"] == patients[0]]["case"])


def test_a_split_that_the_data_do_not_allow_writes_nothing(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    for split, said in (("official", "no official training and test parts"), ("leave_one_group_out", "'site'")):
        code, _, err = unifocal("compare", "--data", phantom, "--split", split, "--out", tmp_path / "s", *QUICK)
        assert code == 2
        assert said in err
        assert not (tmp_path / "s").exists()
