"""What a run dies of stays with the run, and its record says what it was."""

import errno
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from study_tasks import TINY, tasks_of

from unifocal.config.schema import LossConfig
from unifocal.experiments import run as run_module
from unifocal.experiments.run import RunTask

Call = Callable[..., tuple[int, str, str]]

# Losses are called once before the study begins, with eight columns.
BAD_LOSSES = """
import os, resource
import torch

class Base(torch.nn.BCEWithLogitsLoss):
    def forward(self, logits, target):
        if logits.shape[-1] != 8:
            self.misbehave()
        return super().forward(logits, target) * self.factor(logits)
    def misbehave(self): pass
    def factor(self, logits): return 1

class NotANumber(Base):
    def factor(self, logits): return 1 if logits.shape[-1] == 8 else float("nan")

class Raises(Base):
    def misbehave(self): raise KeyError("a mistake of mine")

class Kills(Base):
    def misbehave(self): os.kill(os.getpid(), 9)

class Greedy(Base):
    def misbehave(self):
        before = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(open("/proc/self/statm").read().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 28), before[1]))
        held = []
        try:
            while True:
                held.append(torch.ones(1 << 22))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
"""


@pytest.fixture(scope="module")
def task(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> RunTask:
    return tasks_of(phantom, tmp_path_factory.mktemp("study") / "s", "--losses", "bce", "--epochs", "3")[0]


@pytest.fixture(scope="module")
def undisturbed(task: RunTask, tmp_path_factory: pytest.TempPathFactory) -> RunTask:
    done = replace(task, study=tmp_path_factory.mktemp("undisturbed"))
    assert done.execute(lambda _record: None)["status"] == "done"
    return done


def same_scores(one: RunTask, other: RunTask) -> bool:
    return (one.folder / "scores.csv").read_bytes() == (other.folder / "scores.csv").read_bytes()


class Killed(BaseException):
    """As sudden as a signal."""


def stop_after(epochs: int) -> Callable[[Any], None]:
    def stop(record: Any) -> None:
        if record.epoch + 1 == epochs:
            raise Killed

    return stop


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by what Linux offers for that")
def test_bad_losses_among_good_ones(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    (tmp_path / "bad_losses.py").write_text(BAD_LOSSES)
    bad = ("NotANumber", "Raises", "Kills", "Greedy")
    losses = ",".join(["bce", *(f"bad_losses:{name}" for name in bad), "focal"])
    sys.path.insert(0, str(tmp_path))
    try:
        code, out, _ = unifocal(
            "compare", "--data", phantom, "--out", tmp_path / "s", "--jobs", "2", *TINY, "--losses", losses,
            "--epochs", "1", "--set", "compute.attempts=2",
        )  # fmt: skip
    finally:
        sys.path.remove(str(tmp_path))
    assert code == 1
    assert "8 runs failed" in out
    assert set(pd.read_csv(tmp_path / "s" / "scores.csv")["loss"]) == {"bce", "focal"}
    page = (tmp_path / "s" / "report.html").read_text()
    told = dict.fromkeys(bad, "")
    for name in bad:
        for record in (tmp_path / "s" / "runs").glob(f"bad_losses_{name}/*/record.json"):
            told[name] = json.loads(record.read_text())["reason"]
        assert f"bad_losses:{name}" in page
    assert "nan" in told["NotANumber"]
    assert "a mistake of mine" in told["Raises"]
    assert "2 times" in told["Kills"]
    assert "SIGKILL" in told["Kills"]
    assert told["Greedy"].startswith("memory ran out twice")


def test_a_damaged_state_is_told_and_training_begins_anew(task: RunTask, undisturbed: RunTask, tmp_path: Path) -> None:
    task = replace(task, study=tmp_path)
    with pytest.raises(Killed):
        task.execute(stop_after(2))
    state = task.folder / "state.ckpt"
    state.write_bytes(state.read_bytes()[:-100])
    heard: list[int] = []
    record = task.execute(lambda epoch: heard.append(epoch.epoch))
    assert heard == [0, 1, 2]
    assert "state file could not be read" in record["notes"][0]
    assert same_scores(task, undisturbed)


@pytest.mark.parametrize(("times", "status"), [(1, "done"), (2, "failed")])
def test_memory_that_runs_out_once_is_forgiven(
    task: RunTask, undisturbed: RunTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, status: str
) -> None:
    task, score, tries = replace(task, study=tmp_path), run_module._score, []

    def refuse(*arguments: Any) -> Any:
        tries.append(1)
        return torch.ones(2**60) if len(tries) <= times else score(*arguments)

    monkeypatch.setattr(run_module, "_score", refuse)
    heard: list[int] = []
    record = task.execute(lambda epoch: heard.append(epoch.epoch))
    assert (record["status"], len(tries), heard) == (status, 2, [0, 1, 2])
    if status == "done":
        assert record["notes"][0].startswith("Memory ran out once")
        assert same_scores(task, undisturbed)
    else:
        assert record["reason"].startswith("memory ran out twice")
    assert json.loads((task.folder / "record.json").read_text()) == record


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no file that is always full")
def test_a_full_disk_leaves_no_halves(
    task: RunTask, undisturbed: RunTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    task = replace(task, study=tmp_path)
    task.folder.mkdir(parents=True)
    (task.folder / "scores.csv.partial").symlink_to("/dev/full")
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_json", full)
        record = task.execute(lambda _record: None)
    assert record["status"] == "failed"
    assert "disk is full" in record["reason"]
    assert not list(tmp_path.rglob("*.partial"))
    assert not (task.folder / "record.json").exists()
    assert not (task.folder / "scores.csv").exists()
    heard: list[int] = []
    assert task.execute(lambda epoch: heard.append(epoch.epoch))["status"] == "done"
    assert not heard
    assert same_scores(task, undisturbed)


def test_a_folder_that_cannot_be_made_is_a_failed_run(task: RunTask, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    record = replace(task, study=tmp_path).execute(lambda _record: None)
    assert record["status"] == "failed"
    assert "runs" in record["reason"]


def test_of_an_inner_run_only_the_scores_stay(task: RunTask, undisturbed: RunTask, tmp_path: Path) -> None:
    task = replace(task, study=tmp_path, keeps_all=False)
    assert task.execute(lambda _record: None)["status"] == "done"
    assert same_scores(task, undisturbed)
    kept = {path.name for path in task.folder.iterdir() if not path.name.startswith(".")}
    assert kept == {"record.json", "history.csv", "scores.csv"}
    heard: list[int] = []
    task.execute(lambda epoch: heard.append(epoch.epoch))
    assert not heard


def test_a_loss_that_leaves_the_program_is_a_failed_run(
    task: RunTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: Any, **__: Any) -> None:
        raise SystemExit(4)

    monkeypatch.setattr(run_module, "build_loss", leave)
    other = replace(task, study=tmp_path, loss=LossConfig(name="dice"))
    assert other.execute(lambda _record: None)["reason"] == "SystemExit: 4"
