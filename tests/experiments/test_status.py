"""How far a study is: every state, folders in use, half-written, old or foreign."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from study_folders import LONG_AGO, end, make_mixed_study, make_study, place, train, trial_record

from unifocal.experiments import status as status_module
from unifocal.experiments.folder import RunKey, slug
from unifocal.experiments.run_files import lock_of, read_history
from unifocal.experiments.status import RunStatus, StudyStatus, read_status
from unifocal.problems import InputError

Call = Callable[..., tuple[int, str, str]]


def by_name(found: StudyStatus) -> dict[str, RunStatus]:
    return {run.name: run for run in found.runs}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return make_mixed_study(tmp_path / "study")


def test_every_run_with_its_state(study: Path) -> None:
    found = read_status(study)
    runs = by_name(found)
    assert list(runs) == [
        "bce, fold 0, seed 0", "focal(gamma=3), fold 0, seed 0", "bce, fold 1, seed 0", "focal(gamma=3), fold 1, seed 0"
    ]  # fmt: skip
    assert [run.state for run in found.runs] == ["done", "failed", "stopped", "waiting"]
    done, failed, stopped, waiting = found.runs
    assert (done.epoch, done.epochs, done.dice, done.best_dice, done.seconds_per_epoch) == (3, 10, 0.5, 0.6, 2.0)
    assert failed.reason == "the loss is nan"
    assert (stopped.epoch, stopped.dice) == (2, 0.4)
    assert (waiting.epoch, waiting.dice, waiting.seconds_per_epoch) == (0, None, None)
    assert not found.is_active
    assert not found.is_over
    assert found.best is not None
    assert found.best.name == "bce, fold 0, seed 0"


def test_the_time_left_follows_from_pace_length_and_what_takes_time_beside(study: Path) -> None:
    # bce stopped after 3 of 10 epochs and took 10 s for 6 s of epochs: fold 1 has 1 epoch of 2 s to go, and 4 s.
    # focal has no pace or length of its own: 10 epochs of 2 s.
    assert read_status(study).seconds_left == pytest.approx((1 * 2 + 4) + 10 * 2)


def test_runs_at_once_share_the_time_left_but_the_longest_is_the_least(study: Path) -> None:
    train(place(study, "focal(gamma=3)", 1), [0.1], seconds=2.0)
    locks = [FileLock(place(study, loss, 1) / ".lock") for loss in ("bce", "focal(gamma=3)")]
    for lock in locks:
        lock.acquire()
    try:
        found = read_status(study)
    finally:
        for lock in locks:
            lock.release()
    assert [run.state for run in found.runs] == ["done", "failed", "running", "running"]
    assert found.is_active
    assert found.seconds_left == pytest.approx(max(((1 * 2 + 4) + 9 * 2) / 2, 9 * 2))


def test_before_the_first_epoch_nobody_knows(tmp_path: Path) -> None:
    assert read_status(make_study(tmp_path / "s")).seconds_left is None


def test_a_failed_run_that_is_tried_again_is_running(study: Path) -> None:
    folder = place(study, "focal(gamma=3)", 0)
    with FileLock(folder / ".lock"):
        assert by_name(read_status(study))["focal(gamma=3), fold 0, seed 0"].state == "running"
    assert by_name(read_status(study))["focal(gamma=3), fold 0, seed 0"].state == "failed"


@pytest.mark.parametrize(("ago", "state"), [(1.0, "running"), (LONG_AGO, "stopped")])
def test_where_the_driver_is_here_and_the_run_elsewhere_a_late_epoch_counts(
    study: Path, ago: float, state: str
) -> None:
    train(place(study, "bce", 1), [0.3, 0.4], ago=ago)
    with FileLock(study / ".lock"):
        found = read_status(study)
    assert found.is_active
    assert by_name(found)["bce, fold 1, seed 0"].state == state


def test_after_a_kill_a_late_epoch_does_not_count(study: Path) -> None:
    train(place(study, "bce", 1), [0.3, 0.4], ago=0.0)
    (study / ".lock").touch()
    (place(study, "bce", 1) / ".lock").touch()
    found = read_status(study)
    assert by_name(found)["bce, fold 1, seed 0"].state == "stopped"
    assert not found.is_active


@pytest.mark.parametrize(("ago", "state"), [(1.0, "running"), (LONG_AGO, "stopped")])
def test_where_locks_cannot_be_seen_a_late_epoch_counts(
    study: Path, monkeypatch: pytest.MonkeyPatch, ago: float, state: str
) -> None:
    monkeypatch.setattr(status_module, "lock_of", lambda _folder: "unknown")
    train(place(study, "bce", 1), [0.3, 0.4], ago=ago)
    assert by_name(read_status(study))["bce, fold 1, seed 0"].state == state


def test_looking_at_a_lock_leaves_it_as_it_is(tmp_path: Path) -> None:
    assert lock_of(tmp_path) == "free"
    assert not (tmp_path / ".lock").exists()
    lock = FileLock(tmp_path / ".lock")
    with lock:
        assert lock_of(tmp_path) == "held"
    assert lock_of(tmp_path) == "free"
    lock.acquire(timeout=0)
    lock.release()


def test_losses_that_left_the_race_are_no_work(study: Path) -> None:
    (study / "race.csv").write_text("loss,left_after_fold,seed,against\nfocal(gamma=3),0,0,bce\n")
    found = read_status(study)
    assert [run.state for run in found.runs] == ["done", "failed", "stopped", "dropped"]
    assert found.runs[3].reason == "left the race after fold 0"
    assert found.seconds_left == pytest.approx(1 * 2 + 4)


def test_what_a_decided_race_spares_is_not_needed(tmp_path: Path, unifocal: Call) -> None:
    study = make_study(tmp_path / "s", losses=("bce", "dice", "focal"), folds=4, tuning={"trials": 2})
    for loss, fold in (("bce", 0), ("dice", 0), ("focal", 0), ("bce", 1), ("focal", 1)):
        end(train(place(study, loss, fold), [0.5]), RunKey(loss, fold, 0))
    table = "loss,left_after_fold,seed,against\ndice,0,0,bce\n"
    (study / "race.csv").write_text(table)
    runs = by_name(read_status(study))
    assert [runs[f"bce, fold {fold}, seed 0"].state for fold in range(4)] == ["done", "done", "waiting", "waiting"]
    (study / "race.csv").write_text(table + "focal,1,0,bce\n")
    found = read_status(study)
    runs = by_name(found)
    assert [runs[f"bce, fold {fold}, seed 0"].state for fold in range(4)] == ["done"] * 2 + ["not needed"] * 2
    assert [runs[f"focal, fold {fold}, seed 0"].state for fold in range(4)] == ["done"] * 2 + ["dropped"] * 2
    assert runs["bce, fold 2, seed 0"].reason == "the race was decided before"
    assert not [run for run in found.runs if run.trial is not None]
    assert found.is_over
    assert found.seconds_left == 0
    out = unifocal("status", study)[1]
    assert "2 not needed; nothing left to do" in out
    assert "bce, fold 3, seed 0: not needed: the race was decided before" in out

    # What was lost of an earlier round is needed again.
    shutil.rmtree(place(study, "bce", 1))
    found = read_status(study)
    assert by_name(found)["bce, fold 1, seed 0"].state == "waiting"
    assert not found.is_over


def test_with_one_fold_a_race_is_decided_between_seeds(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", losses=("bce", "dice"), folds=1, seeds=[7, 3, 5])
    (study / "race.csv").write_text("loss,left_after_fold,seed,against\ndice,0,3,bce\n")
    runs = by_name(read_status(study))
    assert [runs[f"bce, fold 0, seed {seed}"].state for seed in (7, 3, 5)] == ["waiting", "waiting", "not needed"]


@pytest.mark.parametrize("row", ["dice,?,0,bce", "dice,0", "dice,0,9,bce"])
def test_a_damaged_race_table_decides_nothing(tmp_path: Path, row: str) -> None:
    study = make_study(tmp_path / "s", losses=("bce", "dice"), folds=1)
    (study / "race.csv").write_text(f"loss,left_after_fold,seed,against\n{row}\n")
    assert by_name(read_status(study))["bce, fold 0, seed 0"].state == "waiting"


def test_nothing_in_the_folder_is_changed(study: Path, unifocal: Call) -> None:
    def everything() -> list[tuple[str, int, bytes]]:
        paths = [path for path in sorted(study.rglob("*")) if path.is_file()]
        return [(str(path), path.stat().st_mtime_ns, path.read_bytes()) for path in paths]

    before = everything()
    assert unifocal("status", study)[0] == 0
    assert everything() == before


@given(cut=st.integers(0, 400), dice=st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=8))
def test_a_torn_history_gives_the_epochs_that_are_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int, dice: list[float]
) -> None:
    folder = train(tmp_path_factory.mktemp("run"), dice)
    path = folder / "history.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    complete = max(0, sum(end < cut for end in ends) - 1)
    found = read_history(folder)
    assert complete <= found.epochs <= complete + 1
    assert found.best_dice is None or 0 <= found.best_dice <= 1


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"\x00" * 50, b"a,b\n1,2\n"])
def test_a_history_of_anything_is_no_history(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "history.csv").write_bytes(content)
    assert read_history(tmp_path).epochs == 0


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"status": "done"}', b"\xff"])
def test_a_damaged_record_means_an_unfinished_run(study: Path, damage: bytes) -> None:
    (place(study, "bce", 0) / "record.json").write_bytes(damage)
    assert read_status(study).runs[0].state == "stopped"


def test_a_study_of_an_older_version_is_read_from_its_folders(study: Path) -> None:
    (study / "study.yaml").write_text("losses: [bce]\nconfig: {training: {epochs: 10}}\n")
    found = read_status(study)
    assert {run.name: run.state for run in found.runs} == {
        "bce, fold 0, seed 0": "done", "bce, fold 1, seed 0": "stopped",
        f"{slug('focal(gamma=3)')}, fold 0, seed 0": "failed",
        f"{slug('focal(gamma=3)')}, fold 1, seed 0": "waiting",
    }  # fmt: skip


def test_a_training(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("training: {epochs: 5}\nidentity: {loss: focal(gamma=1)}\n")
    train(tmp_path, [0.1, 0.2])
    (run,) = read_status(tmp_path).runs
    assert (run.name, run.state, run.epoch, run.epochs, run.fold) == ("focal(gamma=1)", "stopped", 2, 5, None)
    with FileLock(tmp_path / ".lock"):
        assert read_status(tmp_path).runs[0].state == "running"
    (tmp_path / "record.json").write_text('{"epochs": 2}')
    assert read_status(tmp_path).runs[0].state == "stopped"
    (tmp_path / "model.safetensors").touch()
    assert read_status(tmp_path).runs[0].state == "done"


def test_a_tuning(tmp_path: Path) -> None:
    config = {"loss": {"name": "focal", "parameters": {"gamma": 1}}, "training": {"epochs": 4}}
    settings = {"kind": "tuning", "config": config | {"tuning": {"trials": 6, "inner_folds": 2}}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(settings))
    trials = tmp_path / "trials"
    for number, dice in ((0, 0.5), (1, 0.9), (2, 0.4), (3, 0.3)):
        for fold in (0, 1):
            train(trials / f"trial-{number}" / "runs" / "focal" / f"fold-{fold}-seed-0", [0.1, dice, dice - 0.1])
    trial_record(trials / "trial-0")
    trial_record(trials / "trial-1", "stopped", "stopped early")
    trial_record(trials / "trial-2", "failed", "inner fold 1: the loss is nan")
    with FileLock(trials / "trial-3" / ".lock"):
        found = read_status(tmp_path)
    assert [run.state for run in found.runs] == ["done", "done", "failed", "running", "waiting", "waiting"]
    assert [run.name for run in found.runs][3] == "focal(gamma=1), trial 3"
    assert (found.runs[3].epoch, found.runs[3].epochs) == (6, 8)
    assert found.runs[0].dice == pytest.approx(0.4)
    assert found.best is not None
    assert found.best.trial == 1
    (tmp_path / "best.yaml").touch()
    assert len(read_status(tmp_path).runs) == 4


def test_tuning_inside_a_study(tmp_path: Path, unifocal: Call) -> None:
    study = make_study(tmp_path / "s", tuning={"trials": 3, "inner_folds": 2})
    searches = study / "tuning" / "bce"
    for number in (0, 1):
        train(searches / "fold-0" / f"trial-{number}" / "runs" / "bce" / "fold-0-seed-0", [0.9])
        trial_record(searches / "fold-0" / f"trial-{number}")
    found = read_status(study)
    assert len([run for run in found.runs if run.trial is not None]) == 2 * 2 * 3
    assert found.counts["done"] == 2
    assert found.best is None
    out = unifocal("status", study)[1]
    assert "2 of 12 trials done" in out
    assert "2 of 3" in out

    # The outer run began, so the search chose; it chose 20 epochs.
    train(place(study, "bce", 0), [0.2])
    rows = 'loss,fold,trial,status,values,chosen\nbce,0,1,done,"{""epochs"": 20}",True\nbce,0,0,done,{},False\n'
    (study / "tuning.csv").write_text(rows)
    found = read_status(study)
    assert len([run for run in found.runs if run.trial is not None]) == 2 * 2 * 3 - 1
    assert by_name(found)["bce, fold 0, seed 0"].epochs == 20
    assert by_name(found)["bce, fold 1, seed 0"].epochs == 10


@pytest.mark.parametrize("kind", ["missing", "file", "empty", "evaluation", "garbage", "list", "binary"])
def test_what_is_no_study_is_bad_input(tmp_path: Path, unifocal: Call, kind: str) -> None:
    folder = tmp_path / "x"
    texts = {
        "evaluation": b"kind: evaluation\nlosses: [{label: a}]\n",
        "garbage": b"{",
        "list": b"- 1\n",
        "binary": b"\xff",
    }
    if kind == "file":
        folder.touch()
    elif kind != "missing":
        folder.mkdir()
    if kind in texts:
        (folder / "study.yaml").write_bytes(texts[kind])
    with pytest.raises(InputError):
        read_status(folder)
    code, out, err = unifocal("status", folder)
    assert (code, out) == (2, "")
    assert str(folder) in err
