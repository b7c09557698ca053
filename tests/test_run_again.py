"""Runs of a published study once more: the same scores where nothing changed, and told apart where something did."""

import gzip
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unifocal.config.schema import StudyConfig
from unifocal.experiments.compare import compare
from unifocal.experiments.progress import ConsoleReporter

RUN = {"losses": "bce,dice_cross_entropy", "split": {"folds": 2}, "training": {"epochs": 2}, "seeds": (0,)}
SMALL = {"preprocessing": {"size": (32, 32)}, "network": {"width": 4, "depth": 2}, "jobs": 1}


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    import run_again

    return run_again


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study of the phantom as it would stand in docs/results."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    from publish import publish

    root = tmp_path_factory.mktemp("published")
    given = {"data": {"phantom_patients": 6}, "cache": {"folder": root / "cache"}, "out": root / "study"}
    config = StudyConfig.model_validate(RUN | SMALL | given)
    with ConsoleReporter() as reporter:
        compare(config, command="unifocal compare", reporter=reporter)
    publish(root / "study", root / "results", [], "abc1234")
    sys.path.pop(0)
    return root / "results"


def call(again: Any, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the script; its exit code."""
    monkeypatch.setattr("sys.argv", ["run_again.py", *map(str, arguments)])
    try:
        again.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_run_gives_its_published_scores(
    again: Any, published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = ("--losses", "dice_cross_entropy", "--folds", 1, "--out", tmp_path / "out")
    assert call(again, monkeypatch, published, *asked) == 0
    scores = again.read_scores(published / "scores.csv.gz")
    count = len(scores[(scores["loss"] == "dice_cross_entropy") & (scores["fold"] == 1)])
    out = capsys.readouterr().out
    assert f"{count} of {count}" in out
    assert "`bce`" not in out
    assert [place.name for place in (tmp_path / "out" / "runs").glob("*/*")] == ["fold-1-seed-0"], "nothing else is run"


def test_other_numbers_are_told_apart(
    again: Any, published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(published, forged)
    scores = again.read_scores(published / "scores.csv.gz")
    row = scores.index[(scores["loss"] == "bce") & (scores["fold"] == 0) & (scores["metric"] == "dice")][0]
    scores.loc[row, "value"] = "0.987654"
    with gzip.open(forged / "scores.csv.gz", "wt") as file:
        scores.to_csv(file, index=False)
    assert call(again, monkeypatch, forged, "--losses", "bce", "--folds", 0, "--out", tmp_path / "out") == 1
    count = len(scores[(scores["loss"] == "bce") & (scores["fold"] == 0)])
    assert f"{count - 1} of {count}" in capsys.readouterr().out


def test_cases_that_only_one_side_has_count_as_different(again: Any) -> None:
    row = {"loss": "bce", "fold": 0, "seed": 0, "label": "1", "metric": "dice", "value": "0.5"}
    key = again.RunKey("bce", 0, 0)
    both = pd.DataFrame([row | {"case": "a"}, row | {"case": "b"}])
    assert again.beside(both, both, [key], "dice")[1]
    text, is_same = again.beside(both, both[:1], [key], "dice")
    assert not is_same
    assert "1 of 2" in text
    assert not again.beside(both[:1], both, [key], "dice")[1]


def test_wrong_questions_end_with_code_2(
    again: Any, published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert call(again, monkeypatch, published, "--losses", "focal") == 2
    assert "losses: bce, dice_cross_entropy; folds: 0, 1; seeds: 0" in capsys.readouterr().err
    assert call(again, monkeypatch, published, "--data", tmp_path / "nowhere") == 2
    tuned = Path(__file__).parents[1] / "docs" / "results" / "fairness_brain_t1ce"
    assert call(again, monkeypatch, tuned, "--folds", 0) == 2
    assert "search" in capsys.readouterr().err
