"""Which failed trials the same command tries again, and what of them it may use."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unifocal.experiments.attempts import explain, is_from_outside
from unifocal.experiments.folder import RunKey, write_json
from unifocal.experiments.tuning import nested, trials
from unifocal.experiments.tuning.trials import TrialTask


class Inner:
    """An inner run, as far as a trial looks at it."""

    key = RunKey("bce", 0, 0)

    def __init__(self, study: Path) -> None:
        self.study = study

    @property
    def folder(self) -> Path:
        return self.study / self.key.place


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrialTask:
    monkeypatch.setattr(trials, "replace", lambda run, study: type(run)(study))
    monkeypatch.setattr(trials._Meter, "begin", lambda *_: None)
    monkeypatch.setattr(trials, "judge", lambda *_: {"dice": 0.5})
    runs: Any = (Inner(tmp_path),)
    return TrialTask("focal, trial 0", tmp_path, "trials/trial-0", 0, {"gamma": 2.0}, ("dice",), runs)


def outcome(monkeypatch: pytest.MonkeyPatch, **record: Any) -> list[Path]:
    """Let inner runs end like this; the folders of those that are done from now on."""
    done: list[Path] = []

    def execute(task: Inner, _: Any) -> dict[str, Any]:
        done.append(task.folder)
        task.folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"case": ["a"], "value": [1.0]}).to_csv(task.folder / "scores.csv")
        return {"status": "done", "reason": "", "epochs": 1, "seconds": 1.0} | record

    monkeypatch.setattr(trials, "execute", execute)
    return done


OUTSIDE = [
    explain(OSError(28, "No space left on device")),
    explain(OSError(5, "Input/output error")),
    explain(PermissionError(13, "Permission denied")),
    f"memory ran out twice ({explain(MemoryError())})",
    "memory ran out (OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB)",
    "its process died 3 times without an epoch between (SIGKILL)",
    "UnreadableError: /data/a.png: cannot be opened (Stale file handle). Check that it exists.",
]
LOST = [
    "its process died 3 times without an epoch between (SIGKILL); perhaps memory ran out: fewer --jobs need less",
    "s3://bucket/study: ClientError: throttled",
    "/mnt/bucket: ValueError: half a file",
    "its results are not at /mnt/bucket",
    "the results cannot be fetched (no route)",
]
OWN = [
    "DivergedError: the loss became NaN in epoch 1",
    "ArithmeticError: pushed too hard",
    "ValueError: gamma must not be negative",
    "no inner test case has a defined hd95",
]


@pytest.mark.parametrize("reason", OUTSIDE)
def test_what_fails_for_an_outside_reason_is_tried_again(
    trial: TrialTask, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    outcome(monkeypatch, status="failed", reason=reason)
    assert trial.execute(lambda _: None)["status"] == "failed"
    assert json.loads((trial.folder / "record.json").read_text())["reason"].endswith(reason)
    outcome(monkeypatch)
    assert trial.finished() is None
    assert trial.execute(lambda _: None)["status"] == "done"


@pytest.mark.parametrize("reason", LOST)
def test_a_trial_that_was_lost_is_tried_again(trial: TrialTask, reason: str) -> None:
    trial.folder.mkdir(parents=True)
    trial.lost(reason)
    assert trial.finished() is None


@pytest.mark.parametrize("reason", OWN)
def test_what_would_fail_again_has_failed_for_good(
    trial: TrialTask, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    assert not is_from_outside(reason)
    outcome(monkeypatch, status="failed", reason=reason)
    first = trial.execute(lambda _: None)
    done = outcome(monkeypatch)
    assert trial.execute(lambda _: None) == first
    assert not done


def test_a_trial_that_a_finished_run_rests_on_is_left_as_it_is(
    trial: TrialTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome(monkeypatch, status="failed", reason=OUTSIDE[0])
    trial.execute(lambda _: None)
    assert replace(trial, is_settled=True).finished() is not None


def test_a_run_of_the_fold_that_is_done_or_under_way_settles_its_search(tmp_path: Path) -> None:
    assert not nested.is_settled(tmp_path, "focal(gamma=1)", 2)
    done = tmp_path / RunKey("focal(gamma=1)", 2, 7).place
    write_json(done / "record.json", {"loss": "focal", "fold": 2, "seed": 7, "status": "failed", "reason": "x"})
    assert not nested.is_settled(tmp_path, "focal(gamma=1)", 2)
    write_json(done / "record.json", {"loss": "focal", "fold": 2, "seed": 7, "status": "done", "reason": "",
                                      "keeps_all": False})  # fmt: skip
    (done / "scores.csv").touch()
    assert nested.is_settled(tmp_path, "focal(gamma=1)", 2)
    assert not nested.is_settled(tmp_path, "focal(gamma=1)", 1)
    begun = tmp_path / RunKey("focal(gamma=1)", 1, 0).place / "state.ckpt"
    begun.parent.mkdir(parents=True)
    begun.touch()
    assert nested.is_settled(tmp_path, "focal(gamma=1)", 1)


@pytest.mark.parametrize("is_ended", [True, False])
def test_what_other_values_left_in_the_folder_is_not_used(
    trial: TrialTask, monkeypatch: pytest.MonkeyPatch, is_ended: bool
) -> None:
    outcome(monkeypatch)
    trial.execute(lambda _: None)
    stale = trial.folder / trial.runs[0].key.place / "record.json"
    stale.write_text("{}")
    if not is_ended:
        (trial.folder / "record.json").unlink()
    other = replace(trial, values={"gamma": 3.0})
    seen: list[bool] = []
    monkeypatch.setattr(other.runs[0], "study", trial.study)
    original = trials.execute

    def look(task: Any, on_epoch: Any) -> dict[str, Any]:
        seen.append(stale.exists())
        return original(task, on_epoch)

    monkeypatch.setattr(trials, "execute", look)
    assert other.execute(lambda _: None)["values"] == {"gamma": 3.0}
    assert seen == [False]


def test_a_trial_that_was_killed_goes_on_with_what_it_has(trial: TrialTask, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome(monkeypatch)
    trial.execute(lambda _: None)
    (trial.folder / "record.json").unlink()
    state = trial.folder / "runs" / "bce" / "fold-0-seed-0" / "state.ckpt"
    state.touch()
    trial.execute(lambda _: None)
    assert state.exists()
