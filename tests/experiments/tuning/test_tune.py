"""`tune` from end to end, on a tiny phantom."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from tuning_studies import NETWORK, SEARCH, plant, trials_in

Call = Callable[..., tuple[int, str, str]]
HERE = ("--jobs", "1")


@pytest.fixture(scope="module")
def tuned(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from unifocal.cli.app import run

    out = tmp_path_factory.mktemp("tuned") / "t"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unifocal.reporting.write_tuning_report", lambda folder: folder / "report.html")
        assert run(["tune", "--data", str(phantom), "--out", str(out), *HERE, *SEARCH]) == 0
    return out


def test_the_folder_holds_what_is_promised(tuned: Path) -> None:
    for name in ("study.yaml", "trials.csv", "best.yaml", "importance.csv", "cases.csv"):
        assert (tuned / name).stat().st_size > 0
    assert not list(tuned.rglob("*.partial"))
    assert not list(tuned.rglob("*.safetensors"))
    table = pd.read_csv(tuned / "trials.csv")
    assert list(table.columns) == [
        "trial", "status", "alpha", "epochs", "dice", "brier", "pareto", "best", "epochs_trained", "seconds", "reason",
    ]  # fmt: skip
    assert list(table["trial"]) == list(range(5))
    assert table["best"].sum() == 1
    assert table["pareto"][table["best"]].all()
    settings = yaml.safe_load((tuned / "study.yaml").read_text())
    assert settings["kind"] == "tuning"
    assert [each["name"] for each in settings["space"]] == ["alpha", "epochs"]
    assert settings["config"]["tuning"]["trials"] == 5
    assert "usable trials" in pd.read_csv(tuned / "importance.csv")["method"][0]


def test_the_report_can_be_written(tuned: Path, tmp_path: Path) -> None:
    from unifocal.reporting import write_tuning_report

    out = shutil.copytree(tuned, tmp_path / "t")
    assert "focal" in write_tuning_report(out).read_text()


def test_a_trial_is_the_mean_over_patients_each_tested_once(tuned: Path, phantom: Path) -> None:
    patients = set(pd.read_csv(phantom / "cases.csv", dtype=str)["patient"])
    table = pd.read_csv(tuned / "trials.csv")
    for trial in range(5):
        parts = [
            pd.read_csv(path) for path in sorted((tuned / "trials" / f"trial-{trial}").glob("runs/*/*/scores.csv"))
        ]
        assert len(parts) == 2
        by_fold = [set(part["patient"]) for part in parts]
        assert not by_fold[0] & by_fold[1]
        assert by_fold[0] | by_fold[1] == patients
        for metric in ("dice", "brier"):
            values: dict[str, list[float]] = {}
            for part in parts:
                for row in part[(part["metric"] == metric) & part["value"].notna()].itertuples():
                    values.setdefault(str(row.patient), []).append(float(row.value))
            means = [sum(each) / len(each) for each in values.values()]
            assert table[metric][trial] == pytest.approx(sum(means) / len(means), abs=1e-8)


def test_trial_0_has_the_settings_as_given(tuned: Path) -> None:
    record = json.loads((tuned / "trials" / "trial-0" / "record.json").read_text())
    assert record["values"] == {"alpha": None, "epochs": 1}
    assert record["epochs"] == 2
    assert [part["fold"] for part in record["folds"]] == [0, 1]


@pytest.mark.usefixtures("no_tuning_report")
def test_killed_and_with_other_jobs_it_ends_with_the_same_trials(
    tuned: Path, phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    out = tmp_path / "t"
    command = [str(Path(sys.executable).with_name("unifocal")), "tune", "--data", str(phantom), "--out", str(out)]
    process = subprocess.Popen([*command, *SEARCH, "--jobs", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(out.glob("trials/*/record.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in out.glob("trials/*/record.json")}
    assert before
    assert not (out / "trials.csv").exists()
    assert unifocal("tune", "--data", phantom, "--out", out, *SEARCH, *HERE)[0] == 0
    pd.testing.assert_frame_equal(trials_in(out), trials_in(tuned))
    assert (out / "best.yaml").read_bytes() == (tuned / "best.yaml").read_bytes()
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.usefixtures("no_tuning_report")
def test_more_trials_are_added_and_damaged_ones_done_again(
    tuned: Path, phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    out = shutil.copytree(tuned, tmp_path / "t")
    (out / "trials" / "trial-1" / "record.json").write_text("{}")
    (out / "trials" / "trial-2" / "record.json").write_text('{"status": "done", "values": {}, "objective": {}}')
    kept = (out / "trials" / "trial-3" / "record.json").stat().st_mtime_ns
    code, _, _ = unifocal("tune", "--data", phantom, "--out", out, *HERE, *SEARCH, "--trials", "6")
    assert code == 0
    columns = [name for name in trials_in(tuned).columns if name not in ("pareto", "best")]
    pd.testing.assert_frame_equal(trials_in(out)[columns][:5], trials_in(tuned)[columns])
    assert len(trials_in(out)) == 6
    assert (out / "trials" / "trial-3" / "record.json").stat().st_mtime_ns == kept
    assert yaml.safe_load((out / "study.yaml").read_text())["config"]["tuning"]["trials"] == 6


@pytest.mark.parametrize("change", [("--objective", "dice"), ("--set", "training.batch_size=3"), ("--seed", "3")])
def test_another_search_in_the_folder_is_refused(
    tuned: Path, phantom: Path, unifocal: Call, change: tuple[str, str]
) -> None:
    before = (tuned / "trials.csv").read_bytes()
    assert unifocal("tune", "--data", phantom, "--out", tuned, *HERE, *SEARCH, *change)[0] == 2
    assert (tuned / "trials.csv").read_bytes() == before


@pytest.mark.usefixtures("no_tuning_report")
def test_no_choice_reacts_to_what_is_planted_in_the_test_fold(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    patients = sorted(set(pd.read_csv(phantom / "cases.csv", dtype=str)["patient"]))
    split = tmp_path / "split.csv"
    pd.DataFrame({"patient": patients, "fold": [k % 3 for k in range(6)]}).to_csv(split, index=False)
    search = ("--split", split, "--test-fold", "0", *HERE, *SEARCH, "--trials", "3")

    def run(name: str, changed: set[str]) -> pd.DataFrame:
        data = shutil.copytree(phantom, tmp_path / name / "data")
        plant(data, changed)
        assert unifocal("tune", "--data", data, "--out", tmp_path / name / "t", *search)[0] == 0
        return trials_in(tmp_path / name / "t")

    untouched = run("untouched", set())
    pd.testing.assert_frame_equal(run("test", {patients[0], patients[3]}), untouched)
    assert not run("train", {patients[1]})["dice"].equals(untouched["dice"])
    settings = yaml.safe_load((tmp_path / "untouched" / "t" / "study.yaml").read_text())
    assert settings["tuning"]["left_out"] == [patients[0], patients[3]]
    seen = {patient for fold in settings["split"]["folds"] for part in fold.values() for patient in part}
    assert seen == set(patients) - {patients[0], patients[3]}


@pytest.mark.usefixtures("no_report")
def test_the_best_settings_are_what_compare_and_train_take(
    tuned: Path, phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    table = pd.read_csv(tuned / "trials.csv")
    best = table[table["best"]].iloc[0]
    file = tmp_path / "best.yaml"
    content = yaml.safe_load((tuned / "best.yaml").read_text())
    content["loss"]["parameters"] = {"alpha": 0.7}
    file.write_text(yaml.safe_dump(content))
    given = ("--data", phantom, "--config", file, "--epochs", "1", "--set", "resamples=200")
    assert unifocal("train", *given[:-2], "--out", tmp_path / "m")[0] == 0
    trained = yaml.safe_load((tmp_path / "m" / "study.yaml").read_text())
    assert trained["identity"]["loss"] == "focal(alpha=0.7)"
    assert unifocal("compare", *given, "--folds", "2", *HERE, "--out", tmp_path / "s")[0] == 0
    compared = yaml.safe_load((tmp_path / "s" / "study.yaml").read_text())
    assert [loss["label"] for loss in compared["losses"]] == ["focal(alpha=0.7)"]
    for settings in (content["network"], content["training"]):
        assert settings
    assert content["network"] == {"width": 4, "depth": 2}
    assert content["training"]["epochs"] == best["epochs"]


@pytest.mark.usefixtures("no_tuning_report")
def test_a_failed_trial_is_the_worst_and_says_why(
    phantom: Path, tmp_path: Path, unifocal: Call, pushing_loss: str
) -> None:
    search = ("--over", "push=-1.0|1.0|200.0", "--search", "grid", "--epochs", "1", "--inner-folds", "2", *HERE)
    given = ("tune", "--data", phantom, "--loss", f"{pushing_loss}(push=-1.0)", *search, *NETWORK)
    code, out, err = unifocal(*given, "--out", tmp_path / "t")
    assert code == 0
    table = pd.read_csv(tmp_path / "t" / "trials.csv", keep_default_na=False)
    assert list(table["status"]) == ["done", "done", "failed"]
    assert "inner fold 0: ArithmeticError: pushed too hard" in table["reason"][2]
    assert table["dice"][2] == ""
    assert table["best"].tolist() == [True, False, False]
    assert "1 of 3 trials failed" in out
    assert "FAILED" in err
    failing = [each if each != f"{pushing_loss}(push=-1.0)" else f"{pushing_loss}(push=300.0)" for each in given]
    failing[failing.index("push=-1.0|1.0|200.0")] = "push=200.0|300.0"
    code, _, err = unifocal(*failing, "--out", tmp_path / "f")
    assert code == 1
    assert "every trial failed" in err
    assert not (tmp_path / "f" / "best.yaml").exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--loss", "focal", "--over", "alfa,gamma", "--objective", "foo"), ("--over alfa", "tuning.objective")),
        (("--loss", "bce"), ("--over", "nothing to search")),
        (("--loss", "fokal", "--out", "."), ("fokal",)),
        (("--sweep", "gamma=0.1:0.9", "--over", "alpha"), ("--sweep", "--over")),
        (("--sweep", "gamma=0.1:0.9"), ("--sweep", "given values")),
        (("--sweep", "gamma=0.9:0.1:0.1"), ("--sweep", "below the second")),
        (("--over", "gamma=1:2:"), ("tuning.over",)),
        (("--test-fold", "9", "--folds", "2"), ("--test-fold", "0 to 1")),
        (("--inner-folds", "7"), ("7 folds",)),
        (("--search", "grid", "--trials", "3"), ("--trials", "points")),
        (("--set", "tuning.inner_folds=1", "--set", "tuning.search=best"), ("inner_folds", "tuning.search")),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(
    phantom: Path, tmp_path: Path, unifocal: Call, flags: tuple[Any, ...], expected: tuple[str, ...]
) -> None:
    flags = tuple(flag if flag != "." else tmp_path / "t" for flag in flags)
    code, _, err = unifocal("tune", "--data", phantom, "--out", tmp_path / "t", *HERE, *flags)
    assert code == 2
    assert "Traceback" not in err
    for text in expected:
        assert text in err
    assert not (tmp_path / "t").exists()


def test_stopping_early_without_ray_is_refused_only_if_it_was_asked_for(
    phantom: Path, tmp_path: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unifocal.config.resolve import resolve
    from unifocal.config.schema import TuneConfig
    from unifocal.experiments.tuning import tune

    monkeypatch.setattr(tune, "find_spec", lambda _name: None)
    asked = ("tune", "--data", phantom, "--out", tmp_path / "t", "--loss", "focal", "--jobs", "2")
    code, _, err = unifocal(*asked, "--scheduler", "asha")
    assert code == 2
    assert "pip install 'unifocal[all]', or give --scheduler none" in err
    flags = {"out": tmp_path / "t", "jobs": 2}
    assert not tune.stops_early(resolve(TuneConfig, config=None, settings=[], flags=flags))
