"""The benchmark of races runs, on scores that are those of the committed studies."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
RECORDED = sorted((ROOT / "docs" / "results").glob("*/dice.csv"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.parent.name)
def test_recorded_scores_have_the_means_and_differences_of_their_study(path: Path) -> None:
    values = pd.read_csv(path, index_col="patient")
    summary = pd.read_csv(path.with_name("summary.csv")).query("metric == 'dice'").set_index("loss")
    assert (summary["n_patients"] == len(values)).all()
    pd.testing.assert_series_equal(values.mean()[summary.index], summary["mean"], check_names=False, atol=2e-6, rtol=0)
    for row in pd.read_csv(path.with_name("comparison.csv")).query("metric == 'dice'").to_dict("records"):
        difference = values[row["loss_a"]] - values[row["loss_b"]]
        ranks = difference[difference != 0].abs().rank()
        effect = (ranks[difference > 0].sum() - ranks[difference < 0].sum()) / ranks.sum()
        assert effect == pytest.approx(row["effect_size"], abs=1e-3), "patients are paired as they were"


def test_a_quick_race(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    options = ["race", "--studies", "1", "--only", "drive_official: ", "--write", page]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "study.py", *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| drive_official")]
    budget = float(row.split("|")[2])
    assert 0 < budget < 100


def profile(folder: Path, **seconds: float) -> Path:
    """A study's profile.csv: the given stages of its runs, and what belongs to none of them."""
    rows = [("reading and checking", "study", 9.0), ("waiting for runs", "study", 99.0)]
    rows += [("starting processes and idle", "processes", 4.0)]
    rows += [(name.replace("_", " "), "runs", value) for name, value in seconds.items()]
    folder.mkdir()
    pd.DataFrame(rows, columns=["stage", "where", "seconds"]).to_csv(folder / "profile.csv", index=False)
    return folder


def test_a_run_costs_what_is_not_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import study_run_cost

    study = profile(tmp_path / "study", training_steps=80.0, waiting_for_batches=8.0, validation=8.0, writing=16.0)
    assert study_run_cost._stages(study) == {"starting processes and idle": 0.5, "writing": 2.0}, "of eight runs"


def test_where_the_time_of_both_ways_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import training_dice

    profile(tmp_path / "fast", training_steps=40.0, writing=0.5)
    profile(tmp_path / "plain", training_steps=100.0, writing=0.5)
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in training_dice.time_spent(tmp_path).split("\n")
    ]
    assert ["training steps", "100.0", "40.0", "2.50"] in cells
    assert ["**all**", "113.5", "53.5", "2.12"] in cells, "waiting for the runs is in the runs' own stages"
    assert not [line for line in cells if line[0:1] == ["writing"]]
