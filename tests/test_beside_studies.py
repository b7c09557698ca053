"""Studies beside each other: means and differences by hand."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    import beside_studies

    return beside_studies


def scored(shift: float) -> pd.DataFrame:
    rows = [
        (loss, 0, 0, "1", f"{patient}-{case}", patient, "dice", base + shift * factor, "1")
        for loss, base, factor in (("bce", 0.4, 1), ("focal", 0.5, -2))
        for patient in "abcdefgh"
        for case in (1, 2)
    ]
    return pd.DataFrame(rows, columns=["loss", "fold", "seed", "label", "case", "patient", "metric", "value", "unit"])


def test_each_loss_is_compared_with_itself_in_the_first_study(beside: Any) -> None:
    studies = {"zero": scored(0.0), "more": scored(0.05), "again": scored(0.0)}
    found = beside.page(studies, ["focal", "bce"], "dice").splitlines()
    assert "| Dice, mean of patients | zero | more | again |" in found
    assert "| `focal` | 0.500 (0.500 to 0.500) | 0.400 (0.400 to 0.400) | 0.500 (0.500 to 0.500) |" in found
    assert "| difference | more minus zero | again minus zero |" in found
    assert "| `bce` | +0.050 (+0.050 to +0.050) | +0.000 (+0.000 to +0.000) |" in found
    assert "| `focal` | -0.100 (-0.100 to -0.100) | +0.000 (+0.000 to +0.000) |" in found


def test_losses_are_averaged_case_by_case(beside: Any) -> None:
    found = beside.page({"zero": scored(0.0), "more": scored(0.05)}, ["focal", "bce"], "dice").splitlines()
    # By hand: bce gains 0.05 and Focal loses 0.1.
    assert "| their mean | 0.450 (0.450 to 0.450) | 0.425 (0.425 to 0.425) |" in found
    assert "| their mean | -0.025 (-0.025 to -0.025) |" in found
    alone = beside.page({"zero": scored(0.0), "more": scored(0.05)}, ["bce"], "dice")
    assert "their mean" not in alone


def test_trainings_widen_intervals_where_they_scatter(beside: Any) -> None:
    # Three trainings of each: in one study they agree, in the other they lie 0.1 apart; no patient differs.
    seeds = {name: [scored(0.0).assign(seed=seed) for seed in range(3)] for name in ("zero", "more")}
    for seed, own in enumerate(seeds["more"]):
        own["value"] += 0.1 * (seed - 1)
    studies = {name: pd.concat(each) for name, each in seeds.items()}
    head, _, row = beside.page(studies, ["bce"], "dice").splitlines()[-3:]
    assert head == "| difference | more minus zero | more minus zero, over trainings too |"
    # By hand: the means of three trainings scatter by 0.1 / sqrt(3), and t with 2 degrees of freedom is 4.303.
    assert row == "| `bce` | +0.000 (+0.000 to +0.000) | +0.000 (-0.248 to +0.248) |"


def test_only_cases_that_all_studies_scored_count(beside: Any) -> None:
    half = scored(0.05)
    half = half[half["case"].str.endswith("-1") & (half["patient"] != "a")]
    whole = scored(0.0)
    whole.loc[whole["case"].str.endswith("-2"), "value"] = 0.0
    found = beside.page({"whole": whole, "half": half}, ["bce"], "dice").splitlines()
    assert found[0] == "7 cases of 7 patients."
    assert "| `bce` | 0.400 (0.400 to 0.400) | 0.450 (0.450 to 0.450) |" in found


def test_studies_without_a_common_case_are_refused(beside: Any) -> None:
    other = scored(0.0).assign(case="elsewhere")
    with pytest.raises(SystemExit, match="no case was scored in all"):
        beside.page({"one": scored(0.0), "other": other}, ["bce"], "dice")


def test_published_studies_are_read(beside: Any, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    folder = Path(__file__).parents[1] / "docs" / "results" / "source_a_family"
    monkeypatch.setattr("sys.argv", ["beside_studies.py", f"a={folder}", f"b={folder}", "--losses", "bce"])
    beside.main()
    assert "| `bce` | 0.466 (0.411 to 0.520) | 0.466 (0.411 to 0.520) |" in capsys.readouterr().out
