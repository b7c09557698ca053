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
