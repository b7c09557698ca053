"""`unifocal status`: the table, JSON, --watch; a real study while it runs; loggers from the command line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from study_folders import end, make_mixed_study, make_study, place, train

from unifocal.experiments.folder import RunKey, slug
from unifocal.experiments.status import StudyStatus, read_status

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return make_mixed_study(tmp_path / "study")


def test_json_says_the_same_to_programs(study: Path, unifocal: Call) -> None:
    train(place(study, "bce", 1), [0.3, "nan"])
    code, out, err = unifocal("status", study, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert set(told) == {"format", "folder", "kind", "active", "over", "seconds_left", "counts", "best", "runs"}
    assert told["format"] == 1
    assert told["counts"] == {"running": 0, "waiting": 1, "stopped": 1, "done": 1, "failed": 1} | {
        "dropped": 0, "not needed": 0,
    }  # fmt: skip
    kinds: dict[str, tuple[type, ...]] = {
        "name": (str,), "loss": (str,), "fold": (int,), "seed": (int,), "trial": (type(None),), "state": (str,),
        "reason": (str,), "epoch": (int,), "epochs": (int,), "dice": (float, type(None)),
        "best_dice": (float, type(None)), "seconds_per_epoch": (float, type(None)),
        "overhead_seconds": (float, type(None)),
    }  # fmt: skip
    for run in told["runs"]:
        assert set(run) == set(kinds)
        assert all(isinstance(run[name], kind) for name, kind in kinds.items())
    assert told["runs"][2]["dice"] is None
    assert told["runs"][2]["best_dice"] == 0.3


def test_the_table_tells_everything_once(study: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = unifocal("status", study)
    assert code == 0
    rows = {tuple(cell.strip() for cell in line.strip("│").split("│")) for line in out.splitlines() if "│" in line}
    assert ("bce", "0", "0", "done", "3 of 10", "0.500", "0.600", "2.0 s") in rows
    assert ("bce", "1", "0", "stopped", "2 of 10", "0.400", "0.400", "2.0 s") in rows
    assert ("focal(gamma=3)", "1", "0", "waiting", "0 of 10", "", "", "") in rows
    assert "focal(gamma=3), fold 0, seed 0: failed: the loss is nan" in out
    assert "1 of 4 runs done, 1 waiting, 1 stopped, 1 failed" in out
    assert "the same command goes on (about 26 s of work is left)" in out
    assert "Best so far: bce, fold 0, seed 0: validation Dice 0.600" in out


@pytest.mark.parametrize("is_terminal", [False, True])
def test_watching_ends_when_all_is_done(
    study: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    from unifocal.cli import status as verb

    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            for loss in ("bce", "focal(gamma=3)"):
                end(train(place(study, loss, 1), [0.7]), RunKey(loss, 1, 0))
        assert len(naps) < 5

    monkeypatch.setattr(verb.time, "sleep", sleep)
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    code, out, _ = unifocal("status", study, "--watch")
    assert code == 0
    assert len(naps) == 2
    assert "3 of 4 runs done, 1 failed; nothing left to do" in out
    if not is_terminal:
        assert out.count("1 of 4 runs done") == 1


def test_an_interruption_ends_watching_and_is_no_failure(
    study: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unifocal.cli import status as verb

    monkeypatch.setattr(verb.time, "sleep", lambda _seconds: signal.raise_signal(signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, _, err = unifocal("status", study, "--watch")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, err) == (0, "")


def test_json_and_watch_exclude_each_other(study: Path, unifocal: Call) -> None:
    assert unifocal("status", study, "--watch", "--json")[0] == 2


def test_a_large_study_fits_the_screen(tmp_path: Path) -> None:
    from rich.console import Console

    from unifocal.cli.show_status import overview

    study = make_study(tmp_path / "s", losses=[f"my.module:Loss{number}" for number in range(20)], folds=5)
    train(place(study, "my.module:Loss19", 4), [0.5])
    console = Console(width=100, record=True, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    console.print(overview(read_status(study), rows=10))
    console.file.close()
    lines = console.export_text().splitlines()
    assert len(lines) < 20
    assert any("Loss19" in line and "stopped" in line for line in lines)
    assert "and 90 more" in lines


def test_a_real_study_while_it_runs_and_after_it_was_killed(phantom: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    command = [
        Path(sys.executable).with_name("unifocal"), "compare", "--data", phantom, "--out", study, "--losses", "bce",
        "--folds", "3", "--jobs", "1", "--epochs", "30", "--size", "32",
    ]  # fmt: skip
    settings = ("training.stop_patience=99", "training.augmentation=none", "network.width=4", "network.depth=2")
    command += [word for setting in settings for word in ("--set", setting)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
    try:
        running = _wait_for(study, process, {"done": 1, "running": 1, "waiting": 1})
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert running.is_active
    assert [run.state for run in running.runs] == ["done", "running", "waiting"]
    assert running.runs[0].epoch == 30 == running.runs[0].epochs
    assert running.runs[0].seconds_per_epoch
    assert running.seconds_left
    killed = read_status(study)
    assert not killed.is_active
    assert killed.runs[0].state == "done"
    assert {run.state for run in killed.runs} <= {"done", "stopped", "waiting"}


def _wait_for(study: Path, process: "subprocess.Popen[bytes]", counts: dict[str, int]) -> StudyStatus:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if (study / "study.yaml").is_file():
            found = read_status(study)
            if all(found.counts[state] == count for state, count in counts.items()) and found.runs[1].epoch:
                return found
        time.sleep(0.05)
    pytest.fail("the study did not come so far")


def test_a_training_with_a_logger_from_the_command_line(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    pytest.importorskip("tensorboard")
    out = tmp_path / "model"
    tiny = ["--epochs", "2", "--size", "32", "--set", "network.width=4", "--set", "network.depth=2"]
    code, _, err = unifocal(
        "train", "--data", phantom, "--loss", "focal(gamma=3)", "--log", "tensorboard", "--out", out, *tiny
    )
    assert code == 0, err
    assert len(list((out / "logs" / "tensorboard" / slug("focal(gamma=3)")).glob("events.out.tfevents.*"))) == 1
    told: dict[str, Any] = json.loads(unifocal("status", out, "--json")[1])
    assert [(run["state"], run["epoch"]) for run in told["runs"]] == [("done", 2)]
    shutil.rmtree(out / "logs")
    code, _, err = unifocal("train", "--data", phantom, "--log", "wandb", "--out", tmp_path / "other", *tiny)
    assert code == 2
    assert "tensorboard" in err
