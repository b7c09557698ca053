"""A study beside a paper's table: differences, and the agreement of rankings, by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

PAPERS = sorted((Path(__file__).parents[1] / "docs" / "results" / "source_b").glob("paper_*.csv"))


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    import beside_paper

    monkeypatch.setattr(beside_paper, "RESAMPLES", 200)
    return beside_paper


def test_agreement_of_rankings(beside: Any) -> None:
    paper = np.array([0.1, 0.2, 0.3])
    certain = np.array([[[0.5, 0.6, 0.7]], [[0.6, 0.7, 0.8]]])
    assert beside.agreement(certain, paper, seeds=False) == (1, 1, 1)
    assert beside.agreement(-certain, paper, seeds=True) == (-1, -1, -1)
    patients = np.array([[[0.5, 0.6, 0.7]], [[0.6, 0.5, 0.7]], [[0.7, 0.6, 0.5]]])
    tau, low, high = beside.agreement(patients, paper, seeds=False)
    assert -1 <= low < tau < high <= 1


def test_trainings_that_differ_widen_the_interval(beside: Any) -> None:
    paper = np.array([0.1, 0.2, 0.3])
    alike = np.array([[0.5, 0.6, 0.7], [0.72, 0.55, 0.61]])  # two trainings, each the same for all patients
    values = np.stack([alike, alike])
    assert beside.agreement(values, paper, seeds=False) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    _, low, high = beside.agreement(values, paper, seeds=True)
    assert (low, high) == pytest.approx((-1 / 3, 1)), "0.72, 0.55, 0.61 and 0.5, 0.6, 0.7"


def written(folder: Path, losses: dict[str, float], *, packed: bool) -> Path:
    """A study of two patients and two seeds in which each loss has one value."""
    folder.mkdir()
    rows = [(loss, seed, case, case[0], "dice", value) for loss, value in losses.items()
            for seed in (0, 1) for case in ("a1", "a2", "b1")]  # fmt: skip
    scores = pd.DataFrame(rows, columns=["loss", "seed", "case", "patient", "metric", "value"])
    scores.to_csv(folder / ("scores.csv.gz" if packed else "scores.csv"), index=False)
    summary = [(loss, "dice", value, value - 0.1, value + 0.1) for loss, value in losses.items()]
    columns = ["loss", "metric", "mean", "lower", "upper"]
    pd.DataFrame(summary, columns=columns).to_csv(folder / "summary.csv", index=False)
    return folder


def test_studies_beside_a_table(beside: Any, tmp_path: Path) -> None:
    focal, other = "focal(alpha=0.25,gamma=2)", "focal(alpha=0.75,gamma=2)"
    first = written(tmp_path / "first", {"dice": 0.8, "focal(alpha=0.25, gamma=2)": 0.6}, packed=True)
    second = written(tmp_path / "second", {"focal(alpha=0.75, gamma=2)": 0.9}, packed=False)
    paper = pd.DataFrame({"loss": ["dice", focal], "metric": "dice", "mean": [0.75, 0.77], "half_width": [0.01, 0.02]})
    text = beside.page([first], paper, {})
    assert "| `dice` | 0.750 ± 0.010 | 0.800 (0.700 to 0.900) | +0.050 |" in text
    assert f"| `{focal}` | 0.770 ± 0.020 | 0.600 (0.500 to 0.700) | -0.170 |" in text
    assert "tau -1.00, 95 % interval -1.00 to -1.00 over patients, -1.00 to -1.00 over patients and trainings." in text
    text = beside.page([first, second], paper, {focal: other})
    assert f"| `{focal}`, here `{other}` | 0.770 ± 0.020 | 0.900 (0.800 to 1.000) | +0.130 |" in text
    assert "tau +1.00" in text


def test_means_over_cases(beside: Any, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    written(folder, {"dice": 0.8, "bce": 0.7}, packed=False)
    scores = pd.read_csv(folder / "scores.csv").assign(fold=0, label=1, unit="1")
    scores.loc[scores["case"] == "b1", "value"] = 0.2
    scores.to_csv(folder / "scores.csv", index=False)
    paper = pd.DataFrame({"loss": ["dice", "bce"], "metric": "dice", "mean": [0.5, 0.4], "half_width": [0.01, 0.02]})
    text = beside.page([folder], paper, {}, by_case=True)
    # Patient a has two of the three cases: 0.6 over cases, 0.5 over patients.
    assert "| `dice` | 0.500 ± 0.010 | 0.600 (" in text
    assert "| `bce` | 0.400 ± 0.020 | 0.533 (" in text
    assert "over cases and trainings" in text


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_the_papers_losses_are_known(beside: Any, path: Path) -> None:
    paper = pd.read_csv(path)
    assert len(paper) == 8 * 4
    assert len({beside.label_of(loss) for loss in paper["loss"]}) == 8
    assert ((paper["mean"] > 0) & (paper["mean"] < 1)).all()
