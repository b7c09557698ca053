"""`compare --tune`: every loss is tuned inside every fold, and the outer runs take what was chosen."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from unifocal.data.phantom import write_phantom
from unifocal.models.bundle import read_description

Call = Callable[..., tuple[int, str, str]]
TINY = (
    "--losses", "focal,unified_focal(gamma=0.4)", "--folds", "2", "--epochs", "1", "--size", "32", "--jobs", "1",
    "--tune", "2", "--set", "tuning.over=gamma,learning_rate", "--set", "tuning.inner_folds=2",
    "--set", "network.width=4", "--set", "network.depth=2", "--set", "resamples=200", "--set", "training.threads=1",
    "--set", "training.precision=float32",
)  # fmt: skip


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eight") / "data"
    write_phantom(folder, patients=8, seed=4, size=48)
    return folder


@pytest.mark.usefixtures("no_report")
def test_a_nested_study(eight: Path, tmp_path: Path, unifocal: Call) -> None:
    out = tmp_path / "s"
    assert unifocal("compare", "--data", eight, "--out", out, *TINY)[0] == 0
    trials = pd.read_csv(out / "tuning.csv")
    assert trials.groupby(["loss", "fold"]).size().tolist() == [2] * 4
    assert trials.groupby(["loss", "fold"])["chosen"].sum().tolist() == [1] * 4
    chosen = trials[trials["chosen"]]
    for row in chosen.to_dict("records"):
        values = json.loads(row["values"])
        folder = out / "runs" / row["loss"].replace("(", "_").replace(")", "") / f"fold-{row['fold']}-seed-0"
        details = read_description(folder / "model.safetensors")["details"]
        assert details["loss"] == row["loss"]
        assert details["tuned"] == values
        assert details["training"]["learning_rate"] == values["learning_rate"]
    scores = pd.read_csv(out / "scores.csv")
    assert set(scores["loss"]) == {"focal", "unified_focal(gamma=0.4)"}, "a loss keeps its name whatever was chosen"
    settings = yaml.safe_load((out / "study.yaml").read_text())
    assert settings["identity"]["tuning"]["trials"] == 2

    before = {path: path.stat().st_mtime_ns for path in (out / "tuning").rglob("record.json")}
    kept = {name: (out / name).read_bytes() for name in ("scores.csv", "tuning.csv")}
    shutil.rmtree(out / "runs" / "focal" / "fold-1-seed-0")
    assert unifocal("compare", "--data", eight, "--out", out, *TINY)[0] == 0
    assert {name: (out / name).read_bytes() for name in kept} == kept
    assert {path: path.stat().st_mtime_ns for path in (out / "tuning").rglob("record.json")} == before
    code, _, said = unifocal("compare", "--data", eight, "--out", out, *TINY)
    assert code == 0
    assert "All runs were done before" in said
    code, _, said = unifocal("compare", "--data", eight, "--out", out, *TINY, "--tune", "3")
    assert code == 2
    assert "tuning.trials" in said


def test_what_cannot_be_tuned_is_told_before_anything_is_written(eight: Path, tmp_path: Path, unifocal: Call) -> None:
    code, _, said = unifocal(
        "compare", "--data", eight, "--out", tmp_path / "s", *TINY, "--set", "tuning.over=nonsense", "--race"
    )
    assert code == 2
    assert "nonsense" in said
    code, _, said = unifocal(
        "compare", "--data", eight, "--out", tmp_path / "s", *TINY, "--set", "tuning.inner_folds=9"
    )
    assert code == 2
    assert "inner_folds" in said
    assert not (tmp_path / "s").exists()
