"""Runs on storage: complete or invisible, begun on one machine and ended on another. Data on storage, likewise."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pool_work import Heard
from study_tasks import tasks_of

from unifocal.config.schema import DataConfig, TrainingConfig
from unifocal.config.sections import ComputeConfig
from unifocal.data.case import Source
from unifocal.experiments import mirror as mirrors
from unifocal.experiments import storage as storages
from unifocal.experiments.pool import execute_all
from unifocal.experiments.request import mirrors_of, request_of
from unifocal.experiments.run import RunTask
from unifocal.experiments.storage import Storage, stored
from unifocal.experiments.tuning.trials import TrialTask
from unifocal.problems import InputError

Call = Callable[..., tuple[int, str, str]]

# SQLAlchemy's deprecations and MLflow's are theirs to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:sqlalchemy"),
]


class Killed(BaseException):
    """As sudden as a signal."""


@pytest.fixture(scope="module")
def task(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> RunTask:
    return tasks_of(phantom, tmp_path_factory.mktemp("study") / "s", "--losses", "bce", "--epochs", "3")[0]


@pytest.fixture(scope="module")
def undisturbed(task: RunTask, tmp_path_factory: pytest.TempPathFactory) -> RunTask:
    done = replace(task, study=tmp_path_factory.mktemp("undisturbed"))
    assert done.execute(lambda _record: None)["status"] == "done"
    return done


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders go."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def files(folder: Path) -> dict[str, bytes]:
    """All, without the content of what holds times or whose words have no order."""
    return {
        path.relative_to(folder).as_posix(): b"" if path.suffix in {".json", ".safetensors"} else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in {".lock", "history.csv"}
    }


def test_a_run_begun_on_one_machine_ends_on_another(
    task: RunTask, undisturbed: RunTask, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storages, "STATE_EVERY_S", 0.0)
    url = (tmp_path / "bucket").as_uri()
    one = stored(replace(task, study=tmp_path / "one"), url, is_elsewhere=True)
    other = stored(replace(task, study=tmp_path / "other"), url, is_elsewhere=True)

    def die(record: Any) -> None:
        if record.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        one.execute(die)
    assert one.fetch() is None
    assert other.fetch() is None
    heard: list[int] = []
    record = other.execute(lambda epoch: heard.append(epoch.epoch))
    assert heard == [1, 2]
    assert not (tmp_path / "other").exists()
    assert not list(scratch.iterdir())
    assert one.fetch() == other.fetch() == record
    for work in (one, other):
        assert files(work.folder) == files(undisturbed.folder)
    assert other.execute(heard.append)["status"] == "done"
    assert heard == [1, 2]


def test_half_pushed_work_is_invisible(tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "inner").mkdir(parents=True)
    for name in ("a.csv", "inner/record.json", "inner/b.csv", "record.json", ".lock", "c.partial"):
        (here / name).write_text(name)
    order: list[str] = []
    storage = Storage(str(tmp_path / "bucket"))
    put = storage.fs.put_file

    def watch(path: str, place: str) -> None:
        assert not storage.pull("w", tmp_path / "there")
        order.append(Path(path).relative_to(here).as_posix())
        put(path, place)

    storage.fs = type("Watched", (), {"__getattr__": lambda _self, name: getattr(Storage("/").fs, name)})()
    storage.fs.put_file = watch
    storage.push(here, "w")
    assert order == ["a.csv", "inner/b.csv", "inner/record.json", "record.json"] or order == [
        "inner/b.csv", "a.csv", "inner/record.json", "record.json",
    ]  # fmt: skip
    (here / "a.csv").unlink()
    fresh = Storage(str(tmp_path / "bucket"))
    fresh.push(here, "w")
    assert fresh.pull("w", tmp_path / "there")
    found = {path.relative_to(tmp_path / "there").as_posix() for path in (tmp_path / "there").rglob("*.*")}
    assert found == {"inner/b.csv", "inner/record.json", "record.json"}


def test_finished_runs_are_fetched_and_not_done_again(task: RunTask, tmp_path: Path) -> None:
    compute = ComputeConfig(storage=str(tmp_path / "bucket"))
    heard = Heard()
    for name, epochs in (("one", 3), ("other", 3)):
        work = [replace(task, study=tmp_path / name)]
        records = dict(execute_all(work, jobs=1, compute=compute, reporter=heard))
        assert records[0]["status"] == "done"
        assert (work[0].folder / "model.safetensors").is_file()
        assert heard.steps == epochs


def logged_in(study: Path, place: str) -> list[int]:
    """The epochs of a run, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(study / "logs" / "tensorboard" / place))
    events.Reload()
    return [point.step for point in events.Scalars("seconds")] if events.Tags()["scalars"] else []


@pytest.fixture
def logged(task: RunTask, tmp_path: Path) -> RunTask:
    """A run of a study with a logger."""
    pytest.importorskip("tensorboard")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.yaml").write_text("{}")
    return replace(task, study=tmp_path / "study", compute=ComputeConfig(loggers=("tensorboard",)))


def inside_a_trial(task: RunTask) -> TrialTask:
    return TrialTask("trial 0", task.study, "trials/trial-0", 0, {}, ("dice",), (task,))


@pytest.mark.parametrize("kind", ["run", "trial"])
def test_the_epochs_of_runs_done_elsewhere_reach_the_study_s_loggers(
    logged: RunTask, tmp_path: Path, scratch: Path, kind: str
) -> None:
    work, place = (logged, "") if kind == "run" else (inside_a_trial(logged), "trials/trial-0/")
    elsewhere = stored(work, str(tmp_path / "bucket"), is_elsewhere=True)
    assert elsewhere.execute(lambda _record: None)["status"] == "done"
    assert not (logged.study / "logs").exists()
    assert not [path for path in (tmp_path / "bucket").rglob("*") if "logs" in path.parts]
    for _ in range(2):
        assert elsewhere.fetch() is not None
        assert logged_in(logged.study, f"{place}bce/fold-0-seed-0") == [0, 1, 2]


@pytest.mark.parametrize("kind", ["run", "trial"])
def test_of_a_run_that_failed_elsewhere_the_epochs_are_kept(
    logged: RunTask, tmp_path: Path, scratch: Path, kind: str
) -> None:
    work, place = (logged, "") if kind == "run" else (inside_a_trial(logged), "trials/trial-0/")
    elsewhere = stored(work, str(tmp_path / "bucket"), is_elsewhere=True)

    def fail(record: Any) -> None:
        if record.epoch == 1:
            raise RuntimeError("a broken line")

    record = elsewhere.execute(fail)
    assert "a broken line" in record["reason"]
    assert elsewhere.lost(record["reason"])["status"] == "failed"
    assert logged_in(logged.study, f"{place}bce/fold-0-seed-0") == [0, 1]
    for is_elsewhere in (False, True)[kind == "trial" :]:  # here, a trial that failed is not tried again
        heard: list[int] = []
        copy = shutil.copytree(tmp_path / "bucket", tmp_path / f"bucket-{is_elsewhere}")
        again = stored(work, str(copy), is_elsewhere=is_elsewhere)
        assert again.execute(lambda epoch: heard.append(epoch.epoch))["status"] == "done"  # noqa: B023
        assert heard == [2]
        assert again.fetch() is not None
        assert logged_in(logged.study, f"{place}bce/fold-0-seed-0") == [0, 1, 2]


def test_mlflow_s_file_is_the_study_s_too(
    logged: RunTask, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("alembic")
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    work = replace(logged, compute=ComputeConfig(loggers=("mlflow",)))
    elsewhere = stored(work, str(tmp_path / "bucket"), is_elsewhere=True)
    elsewhere.execute(lambda _record: None)
    assert elsewhere.fetch() is not None
    client = MlflowClient(f"sqlite:///{work.study / 'logs' / 'mlflow.db'}")
    (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert (run.info.run_name, run.info.status) == ("bce/fold-0-seed-0", "FINISHED")
    assert sorted(point.step for point in client.get_metric_history(run.info.run_id, "seconds")) == [0, 1, 2]


def test_what_changes_the_result_changes_the_name(task: RunTask, tmp_path: Path) -> None:
    def place(**changes: Any) -> str:
        return stored(replace(task, **changes), "memory://b", is_elsewhere=True).place

    training = TrainingConfig.model_validate(task.training.model_dump() | {"learning_rate": 0.5})
    prepared = replace(task.prepared, keys=("0" * 64, *task.prepared.keys[1:]))
    first, *rest = task.prepared.cases
    whose = replace(task.prepared, cases=(replace(first, patient="another"), *rest))
    others = [place(training=training), place(prepared=prepared), place(test=task.test[1:]), place(keeps_all=False)]
    assert len({place(), place(prepared=whose), *others}) == 6
    elsewhere = tuple(replace(case, image=Source.of(Path("moved") / case.image.path)) for case in task.prepared.cases)
    moved = replace(task.prepared, cases=elsewhere, cache=task.prepared.cache)
    assert place() == place(study=tmp_path, details={}) == place(prepared=moved)


def test_storage_that_cannot_be_had_is_told(task: RunTask, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nosuch"):
        list(execute_all([task], jobs=1, compute=ComputeConfig(storage="nosuch://b"), reporter=Heard()))
    (tmp_path / "bucket").write_text("a file")
    work = replace(task, study=tmp_path / "s")
    record = stored(work, str(tmp_path / "bucket" / "x"), is_elsewhere=True).execute(lambda _record: None)
    assert record["status"] == "failed"
    assert "bucket" in record["reason"]


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("s3://bucket/a/b", "s3://bucket/a/b"),
        ("s3:/bucket/a", "s3://bucket/a"),
        ("gs://b", "gs://b"),
        ("file:///tmp/x", "file:///tmp/x"),
        ("C:/data", None),
        ("a/b:c/d", None),
        ("/tmp/x", None),
        ("data", None),
    ],
)
def test_addresses_are_known_from_paths(written: str, address: str | None) -> None:
    assert mirrors.address_of(Path(written)) == address


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIFOCAL_CACHE", str(tmp_path / "cache"))
    mirrors._mirror.cache_clear()
    return tmp_path / "cache"


def test_remote_data_are_copied_whole_or_not_at_all(
    phantom: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(phantom, tmp_path / "remote")
    data = DataConfig.model_validate({"folder": (tmp_path / "remote").as_uri()})
    (mirror,) = mirrors_of(data)
    assert own_cache in mirror.folder.parents
    from fsspec.implementations.local import LocalFileSystem

    get, count = LocalFileSystem.get_file, []

    def break_down(self: Any, *arguments: Any, **more: Any) -> None:
        count.append(1)
        if len(count) == 5:
            raise OSError(28, "No space left on device")
        get(self, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFileSystem, "get_file", break_down)
        with pytest.raises(OSError, match="No space"):
            request_of(data)
    assert not mirror.folder.exists()
    assert not list(own_cache.rglob("*.png"))
    assert request_of(data).folder == mirror.folder
    wanted = {path.relative_to(phantom): path.read_bytes() for path in phantom.rglob("*") if path.is_file()}
    assert {p.relative_to(mirror.folder): p.read_bytes() for p in mirror.folder.rglob("*") if p.is_file()} == wanted

    (tmp_path / "remote" / "cases.csv").write_text("changed")
    mirrors._mirror.cache_clear()
    assert mirrors_of(data)[0].folder != mirror.folder


def test_a_study_of_remote_data(phantom: Path, tmp_path: Path, own_cache: Path, undisturbed: RunTask) -> None:
    task = tasks_of(phantom.as_uri(), tmp_path / "s", "--losses", "bce", "--epochs", "3")[0]
    assert own_cache in Path(task.prepared.cases[0].image.as_text()).parents
    shutil.rmtree(own_cache)  # as on a machine that has not seen the data
    done = replace(task, study=tmp_path / "t")
    assert done.execute(lambda _record: None)["status"] == "done"
    assert (done.folder / "scores.csv").read_bytes() == (undisturbed.folder / "scores.csv").read_bytes()


def test_remote_data_that_are_not_there_are_told(tmp_path: Path, own_cache: Path, unifocal: Call) -> None:
    for address in ((tmp_path / "nothing").as_uri(), "nosuch://bucket/data"):
        code, _, err = unifocal("compare", "--data", address, "--out", tmp_path / "s")
        assert code == 2
        assert address in err
