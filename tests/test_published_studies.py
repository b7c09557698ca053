"""What stands in docs/results of a study: its scores give its summary, its settings are ones that the program takes."""

import gzip
import importlib
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from unifocal.config.schema import StudyConfig

ROOT = Path(__file__).parents[1]
PUBLISHED = sorted(path.parent for path in (ROOT / "docs" / "results").glob("*/config.yaml"))


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_scores_settings_and_summary_belong_together(folder: Path) -> None:
    scores = pd.read_csv(folder / "scores.csv.gz", dtype={"case": str, "patient": str})
    summary = pd.read_csv(folder / "summary.csv").set_index(["loss", "label", "metric"])
    settings = StudyConfig.model_validate(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    assert set(scores["loss"]) == {loss.label for loss in settings.losses}
    assert set(scores["seed"]) == set(settings.seeds)
    cases = scores.groupby(["loss", "label", "metric", "patient", "case"])["value"].mean()
    means = cases.groupby(["loss", "label", "metric", "patient"]).mean().groupby(["loss", "label", "metric"]).mean()
    pd.testing.assert_series_equal(means[summary.index], summary["mean"], check_names=False, rtol=1e-6)
    runs = pd.read_csv(folder / "runs.csv").set_index(["loss", "fold", "seed"])
    done = runs[runs["status"] == "done"]
    assert set(scores.set_index(runs.index.names).index) == set(done.index)
    assert (done["best_epoch"] <= done["epochs"]).all()
    assert (done["epochs"] <= settings.training.epochs).all()
    names = ("scores.csv.gz", "summary.csv", "comparison.csv", "runs.csv", "config.yaml")
    pages = [page.read_text(encoding="utf-8") for page in folder.parent.glob("*.md")]
    assert any(all(f"({folder.name}/{name})" in page for name in names) for page in pages)


def test_publishing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    publish = importlib.import_module("publish")
    study, target = tmp_path / "study", tmp_path / "results" / "mine"
    (study / "figures").mkdir(parents=True)
    (study / "tables").mkdir()
    for fold in (1, 0):
        (study / "runs" / "bce" / f"fold-{fold}-seed-0").mkdir(parents=True)
        record = {"loss": "bce", "fold": fold, "seed": 0, "status": "done", "epochs": 9, "best_epoch": 7 + fold}
        place = study / "runs" / "bce" / f"fold-{fold}-seed-0" / "record.json"
        place.write_text(json.dumps(record | {"wall_seconds": 60.0, "notes": []}))
    (study / "scores.csv").write_text("loss,value\nbce,0.5\n")
    (study / "figures" / "distribution.svg").write_text("<svg/>")
    (study / "tables" / "paper.md").write_text("| the table |")
    for name in ("summary.csv", "comparison.csv", "pooled.csv"):
        (study / name).write_text(name)
    given = StudyConfig(data={"folder": tmp_path}, cache={"folder": tmp_path}, losses="bce", out=tmp_path)
    config = given.model_dump(mode="json")
    told = {
        "unifocal": "1.0",
        "command": "unifocal compare --data ../data",
        "versions": {"torch": "2", "python": "3"},
        "machine": {"cores": 2, "precision": "float32", "threads_per_run": 1},
        "data": {"cases": 3, "patients": 2, "foreground_percent": 1.234, "hash": "abc"},
        "split": {"hash": "def"},
        # As a study's record has it: the network that was built, and the settings that it was asked for by.
        "config": config | {"network": {"name": "unet", "in_channels": 1, "parameters": 1000}},
        "identity": {"network": config["network"]},
    }
    (study / "study.yaml").write_text(yaml.safe_dump(told))
    page = publish.publish(study, target, ["distribution"], "abc1234")
    assert "unifocal compare --data ../data" in page
    assert "2 runs, 2 minutes" in page
    assert "unifocal 1.0 at commit abc1234, torch 2" in page
    assert pd.read_csv(target / "runs.csv")["best_epoch"].tolist() == [7, 8]
    assert "| the table |" in page
    assert "![distribution](mine/distribution.svg)" in page
    assert gzip.decompress((target / "scores.csv.gz").read_bytes()).decode() == "loss,value\nbce,0.5\n"
    settings = (target / "config.yaml").read_text()
    assert str(tmp_path) not in settings
    assert StudyConfig.model_validate(yaml.safe_load(settings)).losses[0].name == "bce"
    assert StudyConfig.model_validate(yaml.safe_load(settings)).training.precision == "float32", "as the machine had"
