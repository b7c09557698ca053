"""Trials that lag behind are stopped, by Ray Tune on this machine."""

import json
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pool_work import Heard
from study_tasks import tasks_of
from tuning_studies import NETWORK

from unifocal.config.sections import ComputeConfig
from unifocal.experiments.attempts import Attempts
from unifocal.experiments.storage import stored
from unifocal.experiments.tuning.trials import TrialEpoch, TrialTask
from unifocal.training.records import EpochRecord

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.usefixtures("no_tuning_report", "patient_ray")
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


def test_a_trial_that_was_stopped_elsewhere_keeps_its_epochs(phantom: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from unifocal.experiments.on_ray.trials import _Trials

    runs = tuple(tasks_of(phantom, tmp_path / "s", "--losses", "bce", "--epochs", "3")[:1])
    task = TrialTask("trial 0", tmp_path / "s", "trials/trial-0", 0, {}, ("dice",), runs)

    def fail(record: EpochRecord) -> None:
        if record.epoch == 1:
            raise RuntimeError

    compute = ComputeConfig(storage=str(tmp_path / "bucket"))
    stored(task, str(compute.storage), is_elsewhere=True).execute(fail)
    plan = SimpleNamespace(most_epochs=3, search=SimpleNamespace(trials=1))
    trials = _Trials(plan, compute, Heard())  # type: ignore[arg-type]
    trials.tasks, trials.records = [task], [None]
    trials.close(0, {"percent": 12.0, "dice": 0.3}, has_died=False)
    assert trials.records[0] is not None
    assert (trials.records[0]["status"], trials.records[0]["epochs"]) == ("stopped", 2)


@given(st.integers(1, 4), st.lists(st.integers(0, 2), max_size=12))
def test_deaths_with_epochs_between_them_never_add_up(limit: int, epochs: list[int]) -> None:
    pytest.importorskip("ray")
    from ray.tune.experiment import Trial

    from unifocal.experiments.on_ray.trials import _Told

    task = SimpleNamespace(name="trial 0")
    told = _Told(SimpleNamespace(tasks=[task], reporter=Heard(), compute=ComputeConfig(attempts=limit)))  # type: ignore[arg-type]
    trial, attempts = Trial("stub", stub=True, max_failures=limit - 1), Attempts(limit)
    result = {"epoch": json.dumps(asdict(TrialEpoch(0, 0.5, 0.5, 0.5, 0.1, 1.0, 10.0, 0.5))), "config": {"trial": 0}}
    for closed in epochs:
        for _ in range(closed):
            told.on_trial_result(1, [], trial, result)
        trial.run_metadata.num_failures += 1
        is_tried_again = attempts.died(0, closed)
        assert trial.should_recover() == is_tried_again
        if not is_tried_again:
            return
