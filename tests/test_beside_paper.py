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
    certain = np.array([[0.5, 0.6, 0.7], [0.6, 0.7, 0.8]])
    assert beside.agreement(certain, paper) == (1, 1, 1)
    assert beside.agreement(-certain, paper) == (-1, -1, -1)
    tau, low, high = beside.agreement(np.array([[0.5, 0.6, 0.7], [0.6, 0.5, 0.7], [0.7, 0.6, 0.5]]), paper)
    assert -1 <= low < tau < high <= 1


def test_a_study_beside_a_table(beside: Any, tmp_path: Path) -> None:
    losses, label = ("dice", "focal(alpha=0.25,gamma=2)"), "focal(alpha=0.25, gamma=2)"
    rows = [(loss, seed, case, case[0], "dice", value) for loss, value in (("dice", 0.8), (label, 0.6))
            for seed in (0, 1) for case in ("a1", "a2", "b1")]  # fmt: skip
    pd.DataFrame(rows, columns=["loss", "seed", "case", "patient", "metric", "value"]).to_csv(tmp_path / "scores.csv")
    summary = [("dice", "dice", 0.8, 0.7, 0.9), (label, "dice", 0.6, 0.5, 0.7)]
    pd.DataFrame(summary, columns=["loss", "metric", "mean", "lower", "upper"]).to_csv(tmp_path / "summary.csv")
    paper = pd.DataFrame({"loss": losses, "metric": "dice", "mean": [0.75, 0.77], "half_width": [0.01, 0.02]})
    text = beside.page(tmp_path, paper)
    assert "| `dice` | 0.750 ± 0.010 | 0.800 (0.700 to 0.900) | +0.050 |" in text
    assert f"| `{losses[1]}` | 0.770 ± 0.020 | 0.600 (0.500 to 0.700) | -0.170 |" in text
    assert "Kendall's tau -1.00 (-1.00 to -1.00)" in text


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_the_papers_losses_are_known(beside: Any, path: Path) -> None:
    paper = pd.read_csv(path)
    assert len(paper) == 8 * 4
    assert len({beside.label_of(loss) for loss in paper["loss"]}) == 8
    assert ((paper["mean"] > 0) & (paper["mean"] < 1)).all()
