"""The benchmark of the metrics runs; how fast anything is, it says and no test does."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL = ["--rounds", "1", "--volume", "24", "24", "16", "--picture", "32", "32", "--pictures", "10"]


@pytest.fixture
def _beside_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


def test_scoring_is_timed(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    parts = ["ways", "volumes", "pictures", "probabilities"]
    command = [sys.executable, BENCHMARKS / "metrics.py", *SMALL, "--only", *parts]
    subprocess.run([*command, "--write", page], check=True, timeout=300, capture_output=True, cwd=tmp_path)
    text = page.read_text(encoding="utf-8")
    assert re.findall("^## (.*)$", text, re.MULTILINE) == [
        "Ways to the nearest boundary",
        "`score_case` in 3D",
        "`score_case` in 2D",
        "Probabilities",
    ]
    times = re.findall(r"^\| (?:atlas of 100 labels|2 processes) \| (\S+) \|$", text, re.MULTILINE)
    times += re.findall(r"^\| one lesion \| (\S+) \| (\S+) \| (\S+) \|$", text, re.MULTILINE)[0]
    assert len(times) == 5
    assert all(float(time) > 0 for time in times)


@pytest.mark.usefixtures("_beside_benchmarks")
def test_its_predictions_err_as_networks_do() -> None:
    import mask_pairs

    for truth, prediction in mask_pairs.picture_pairs(10):
        shared = np.count_nonzero(truth & prediction)
        assert 0.6 < 2 * shared / (truth.sum() + prediction.sum()) < 1
    truth, _ = mask_pairs.atlas_pair(20, (60, 60, 40))
    assert len(np.unique(truth)) == 21


@pytest.mark.usefixtures("_beside_benchmarks")
@pytest.mark.filterwarnings(
    "ignore:Please import .* from the `scipy.ndimage` namespace:DeprecationWarning",
    "ignore:.*always_return_as_numpy:FutureWarning",
)
def test_the_page_of_peers_says_what_they_give(monkeypatch: pytest.MonkeyPatch) -> None:
    import metrics_peers

    monkeypatch.setattr("peers.medpy_metrics", lambda: None)
    kept = (BENCHMARKS.parent / "docs" / "results" / "metrics_peers.md").read_text(encoding="utf-8")
    rows = [line for line in metrics_peers.page("-").splitlines() if line.startswith("| ")]
    numbers = re.compile(r"-?\d+\.\d+")
    for row, old in zip(
        rows, [line for line in kept.splitlines() if line.startswith("| ") and "MedPy" not in line], strict=True
    ):
        assert numbers.sub("", row) == numbers.sub("", old)
        assert [float(n) for n in numbers.findall(row)] == pytest.approx(
            [float(n) for n in numbers.findall(old)], abs=2e-4
        )
