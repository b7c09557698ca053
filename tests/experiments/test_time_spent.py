"""`compare --profile`: where the time went adds up, costs no score, and is added to by later attempts."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from study_tasks import TINY, tasks_of

from unifocal.clock import Clock, Moment, Spent, measuring, now
from unifocal.experiments import time_spent
from unifocal.experiments.time_spent import IDLE, START, WAITING, read_stages, timed_study, waiting
from unifocal.training.stages import BATCHES, STATE, STEPS, VALIDATION

ARGUMENTS = ("--losses", "bce,unified_focal", "--epochs", "2", *TINY)
EXACT = ("scores.csv", "probabilities.csv.gz", "summary.csv", "comparison.csv", "pooled.csv")
Call = Callable[..., tuple[int, str, str]]


class Killed(BaseException):
    """As sudden as a signal."""


@pytest.fixture(scope="module")
def measured(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two runs at once, with its report."""
    from unifocal.cli.app import run

    out = tmp_path_factory.mktemp("measured") / "s"
    arguments = ["compare", "--data", str(phantom), "--out", str(out), "--jobs", "2", "--profile", *ARGUMENTS]
    assert run(arguments, started=now()) == 0
    return out


def table(study: Path) -> pd.DataFrame:
    return pd.read_csv(study / "profile.csv").set_index(["where", "stage"])


def test_all_stages_are_there_and_shares_add_up(measured: Path) -> None:
    rows = table(measured)
    assert rows["share_percent"].sum() == pytest.approx(100, abs=0.05)
    assert rows["share_percent"].isna().sum() == 1
    assert pd.isna(rows.loc[("study", WAITING), "share_percent"])
    study = {"reading and checking", "preparing", "joining scores", "analysis", "report: figures", "other", START}
    assert study <= set(rows.loc["study"].index)
    runs = {BATCHES, STEPS, VALIDATION, STATE, "test prediction", "reading", "writing", "other"}
    runs |= {"metrics: overlap", "metrics: surface", "metrics: lesions", "metrics: probabilities"}
    assert runs <= set(rows.loc["runs"].index)
    assert (rows.loc["runs", "runs"] == 4).all()
    assert ("processes", IDLE) in rows.index
    assert (rows["seconds"] >= 0).all()


def test_calls_are_those_of_the_work(measured: Path) -> None:
    runs = table(measured).loc["runs"]
    history = [len(pd.read_csv(path)) for path in measured.glob("runs/*/*/history.csv")]
    assert history == [2, 2, 2, 2]
    assert runs.loc[VALIDATION, "calls"] == runs.loc[STATE, "calls"] == 8
    assert runs.loc[BATCHES, "calls"] == runs.loc[STEPS, "calls"] + 8
    assert runs.loc["metrics: surface", "calls"] == 2 * len(pd.read_csv(measured / "cases.csv"))


def test_the_studys_rows_are_the_sums_of_the_runs(measured: Path) -> None:
    parts = [read_stages(path) for path in measured.glob("runs/*/*/profile.csv")]
    assert len(parts) == 4
    rows = table(measured).loc["runs"]
    for name in (STEPS, "other"):
        assert rows.loc[name, "seconds"] == pytest.approx(sum(part[name].seconds for part in parts), abs=1e-3)
    waited, idle = (
        table(measured).loc[("study", WAITING), "seconds"],
        table(measured).loc[("processes", IDLE), "seconds"],
    )
    assert rows["seconds"].sum() + idle == pytest.approx(2 * waited, rel=0.05)


@pytest.mark.usefixtures("no_report")
def test_without_it_results_are_the_same_and_nothing_is_measured(
    measured: Path, phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    code, out, _ = unifocal("compare", "--data", phantom, "--out", tmp_path / "s", "--jobs", "1", *ARGUMENTS)
    assert code == 0
    assert "where the time went" not in out
    for name in EXACT:
        assert (tmp_path / "s" / name).read_bytes() == (measured / name).read_bytes()
    assert not list(tmp_path.rglob("profile.csv"))


def test_the_report_says_it(measured: Path) -> None:
    page = (measured / "report.html").read_text(encoding="utf-8")
    assert '<section id="time">' in page
    assert "Where the time went" in page
    assert "Measured in 4 of 4 runs" in page
    assert (measured / "tables" / "time.tex").is_file()
    written = pd.read_csv(measured / "tables" / "time.csv")
    assert written["Share (%)"].sum() == pytest.approx(100, abs=0.05)
    assert set(written["Stage"]) >= {"report: figures", STEPS, WAITING}


@pytest.mark.usefixtures("no_report")
def test_the_console_says_it_and_the_same_command_again_adds_to_it(
    measured: Path, unifocal: Call, phantom: Path, tmp_path: Path
) -> None:
    shutil.copytree(measured, tmp_path / "s")
    before = (tmp_path / "s" / "scores.csv").read_bytes()
    code, out, err = unifocal("compare", "--data", phantom, "--out", tmp_path / "s", "--profile", *ARGUMENTS)
    assert code == 0
    assert "All runs were done before" in err
    assert "where the time went" in out
    assert "profile.csv" in out
    assert (tmp_path / "s" / "scores.csv").read_bytes() == before
    first, second = table(measured), table(tmp_path / "s")
    assert second.loc[("study", "analysis"), "calls"] == 2
    assert second.loc[("study", START), "calls"] == 1
    assert second.loc[("study", "analysis"), "seconds"] > first.loc[("study", "analysis"), "seconds"]
    pd.testing.assert_series_equal(first.loc["runs", "seconds"], second.loc["runs", "seconds"])
    assert second["share_percent"].sum() == pytest.approx(100, abs=0.05)


@pytest.mark.usefixtures("no_report")
def test_a_study_may_be_continued_with_it(measured: Path, phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    """One run of four is known."""
    shutil.copytree(measured, tmp_path / "s")
    for path in (tmp_path / "s").rglob("profile.csv"):
        path.unlink()
    shutil.rmtree(tmp_path / "s" / "runs" / "bce" / "fold-0-seed-0")
    command = ("compare", "--data", phantom, "--out", tmp_path / "s", "--jobs", "1", "--profile", *ARGUMENTS)
    assert unifocal(*command)[0] == 0
    for name in EXACT:
        assert (tmp_path / "s" / name).read_bytes() == (measured / name).read_bytes()
    rows = table(tmp_path / "s")
    assert (rows.loc["runs", "runs"] == 1).all()
    assert rows["share_percent"].sum() == pytest.approx(100, abs=0.05)


def test_a_killed_run_adds_to_what_it_noted(phantom: Path, tmp_path: Path) -> None:
    (task, *_) = tasks_of(
        phantom, tmp_path / "s", "--losses", "bce", "--epochs", "3", "--set", "compute.profile=true"
    )  # fmt: skip
    noted: list[dict[str, Spent]] = []

    def die(record: Any) -> None:
        noted.append(read_stages(task.folder / "profile.csv"))
        if record.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        task.execute(die)
    assert [each[VALIDATION].calls for each in noted] == [1, 2]
    first = read_stages(task.folder / "profile.csv")
    assert task.execute(lambda _record: None)["status"] == "done"
    second = read_stages(task.folder / "profile.csv")
    assert second[VALIDATION].calls == 3
    assert second[STEPS].seconds > first[STEPS].seconds
    assert second["test prediction"].calls > 0
    assert task.execute(lambda _record: None)["status"] == "done"
    assert read_stages(task.folder / "profile.csv") == second


def test_nothing_is_written_for_bad_input(tmp_path: Path, unifocal: Call) -> None:
    (tmp_path / "data").mkdir()
    assert unifocal("compare", "--data", tmp_path / "data", "--out", tmp_path / "s", "--profile", *ARGUMENTS)[0] == 2
    assert not list(tmp_path.rglob("profile.csv"))


def test_idle_is_what_no_run_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([Moment(10.0, 0.0), Moment(20.0, 0.0), Moment(30.0, 0.0)])
    monkeypatch.setattr(time_spent, "now", lambda: next(moments))
    run = tmp_path / "runs" / "bce" / "fold-0-seed-0"
    run.mkdir(parents=True)
    header = "stage,calls,seconds,cpu_seconds\n"
    (run / "profile.csv").write_text(f"{header}training steps,1,5.0,1.0\n")
    clock = Clock()
    with measuring(clock), waiting(tmp_path, 2):
        (run / "profile.csv").write_text(f"{header}training steps,2,17.5,1.0\nother,0,0.5,0.0\n")
    assert clock.read()[IDLE].seconds == pytest.approx(2 * 10 - 13)
    with measuring(clock), waiting(tmp_path, 0):
        pass
    assert clock.read()[IDLE].calls == 1
    assert clock.read()[WAITING].calls == 2


@pytest.mark.parametrize("text", ["", "nonsense", "stage,calls\na,1\n", "stage,calls,seconds,cpu_seconds\na,x,1,1\n"])
def test_a_damaged_profile_stops_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "profile.csv").write_text(text)
    assert read_stages(tmp_path / "profile.csv") == {}
    with timed_study(tmp_path, is_on=True, started=None):
        pass
    assert (tmp_path / "profile.csv").read_text() == text
