"""Trials that lag behind are stopped, by Ray Tune on this machine."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tuning_studies import NETWORK

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.usefixtures("no_tuning_report")
def test_a_bad_trial_is_stopped_and_stays_so(phantom: Path, tmp_path: Path, unifocal: Call, pushing_loss: str) -> None:
    pytest.importorskip("ray")
    given = (
        "tune", "--data", phantom, "--loss", f"{pushing_loss}(push=-1.0)", "--over", "push=-1.0|1.0|-2.0",
        "--search", "grid", "--scheduler", "asha", "--epochs", "4", "--set", "training.learning_rate=0.05",
        "--inner-folds", "2", "--jobs", "1", *NETWORK, "--out", tmp_path / "t",
    )  # fmt: skip
    with warnings.catch_warnings():
        # Ray opens files and sockets that it leaves to the interpreter to close, and warns of its own future.
        warnings.simplefilter("ignore")
        code, out, _ = unifocal(*given)
    assert code == 0
    table = pd.read_csv(tmp_path / "t" / "trials.csv", keep_default_na=False)
    assert list(table["status"]) == ["done", "stopped", "done"]
    assert list(table["epochs_trained"]) == [8, 1, 8]
    assert "stopped at 12 %" in table["reason"][1]
    assert "1 of 3 trials stopped" in out
    settings = yaml.safe_load((tmp_path / "t" / "study.yaml").read_text())
    assert settings["tuning"]["stops_early"]
    record = json.loads((tmp_path / "t" / "trials" / "trial-1" / "record.json").read_text())
    assert (record["status"], record["objective"]) == ("stopped", {"dice": None})
    assert not list((tmp_path / "t" / "trials" / "trial-1").glob("runs/*/*/record.json"))
    # All trials ended: without starting Ray again, the same command gives the same table.
    assert unifocal(*given)[0] == 0
    again = pd.read_csv(tmp_path / "t" / "trials.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(again, table)
