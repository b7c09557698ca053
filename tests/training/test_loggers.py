"""Loggers: one point per epoch, whenever the run was killed; and training does not depend on them."""

import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from unifocal.config.schema import TrainingConfig
from unifocal.losses import create
from unifocal.models import UNet
from unifocal.training import FitResult, Samples, fit
from unifocal.training.loggers import Diary, EpochLogger, logger_problems, open_loggers
from unifocal.training.records import EpochRecord

COLUMNS = {"train_loss", "validation_loss", "validation_dice", "learning_rate", "seconds"}

# SQLAlchemy's deprecations and MLflow's are theirs to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:sqlalchemy"),
]


class Killed(BaseException):
    """Not an Exception, so that nobody catches it by accident."""


def row(epoch: int, dice: float = 0.5) -> dict[str, Any]:
    return {"epoch": epoch} | dict.fromkeys(COLUMNS, 0.25) | {"validation_dice": dice, "seconds": 1.0 + epoch}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store of MLflow's; making one takes seconds."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{path}").search_experiments(max_results=1)
    return path


@pytest.fixture
def study(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "brain" / "logs").mkdir(parents=True)
    shutil.copy(database, tmp_path / "brain" / "logs" / "mlflow.db")
    (tmp_path / "brain" / "study.yaml").write_text("{}")
    return tmp_path / "brain"


def tensorboard_points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """As TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def written_steps(folder: Path) -> list[int]:
    """As they stand in the files, void ones too."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    events = [event for path in sorted(folder.iterdir()) for event in EventFileLoader(str(path)).Load()]
    return sorted(
        event.step for event in events if event.HasField("summary") and event.summary.value[0].tag == "seconds"
    )


def mlflow_runs(address: str) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(address)
    experiments = [each.experiment_id for each in client.search_experiments()]
    return list(client.search_runs(experiments))


def mlflow_points(address: str, run_id: str, name: str) -> list[tuple[int, float]]:
    from mlflow.tracking import MlflowClient

    return sorted((point.step, point.value) for point in MlflowClient(address).get_metric_history(run_id, name))


@pytest.fixture(scope="module")
def samples() -> Samples:
    random = np.random.default_rng(0)
    classes = np.zeros((6, 16, 16), np.uint8)
    classes[:, 4:10, 5:11] = 1
    return Samples.of_arrays(random.normal(size=(6, 1, 16, 16)).astype(np.float32), classes)


def run(samples: Samples, folder: Path, loggers: list[EpochLogger], *, kill_after: int | None = None) -> FitResult:
    torch.manual_seed(1)

    def on_epoch(record: EpochRecord) -> None:
        if record.epoch == kill_after:
            raise Killed

    return fit(
        UNet(1, 1, width=4, depth=2), create("bce"), samples, train=range(4), validation=range(4, 6),
        settings=TrainingConfig(epochs=4, augmentation="none", precision="float32"), seed=3, folder=folder,
        on_epoch=on_epoch, loggers=loggers,
    )  # fmt: skip


def test_a_killed_run_has_one_point_per_epoch_everywhere(samples: Samples, study: Path) -> None:
    place = "bce/fold-0-seed-0"
    folder, address = study / "runs" / place, f"sqlite:///{study / 'logs' / 'mlflow.db'}"
    for epoch in (0, 2):
        with pytest.raises(Killed):
            run(samples, folder, open_loggers(("tensorboard", "mlflow"), study, place), kill_after=epoch)
    assert [each.info.status for each in mlflow_runs(address)] == ["KILLED"]
    run(samples, folder, open_loggers(("tensorboard", "mlflow"), study, place))

    history = pd.read_csv(folder / "history.csv")
    points = tensorboard_points(study / "logs" / "tensorboard" / place)
    assert set(points) == COLUMNS
    for name in COLUMNS:
        assert [step for step, _ in points[name]] == [0, 1, 2, 3]
        assert [value for _, value in points[name]] == pytest.approx(history[name].tolist(), rel=1e-6)
    assert written_steps(study / "logs" / "tensorboard" / place) == [0, 1, 2, 3]

    (only,) = mlflow_runs(address)
    assert (only.info.run_name, only.info.status) == (place, "FINISHED")
    for name in COLUMNS:
        logged = mlflow_points(address, only.info.run_id, name)
        assert logged == [(step, pytest.approx(value)) for step, value in enumerate(history[name])]


@pytest.fixture(params=["tensorboard", "mlflow"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def points_of(name: str, study: Path) -> list[tuple[int, float]]:
    if name == "tensorboard":
        return tensorboard_points(study / "logs" / "tensorboard" / "a")["seconds"]
    address = f"sqlite:///{study / 'logs' / 'mlflow.db'}"
    (kept,) = [each for each in mlflow_runs(address) if "unifocal.replaced" not in each.data.tags]
    return mlflow_points(address, kept.info.run_id, "seconds")


def log(name: str, study: Path, history: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    (logger,) = open_loggers((name,), study, "a")
    logger.begin(history)
    for each in rows:
        logger.log(each)
    logger.end(finished=False)


def test_epochs_before_the_logger_was_asked_for_are_added(name: str, study: Path) -> None:
    log(name, study, [row(0), row(1)], [row(2)])
    assert points_of(name, study) == [(0, 1.0), (1, 2.0), (2, 3.0)]


def test_an_epoch_that_was_saved_but_not_logged_is_added(name: str, study: Path) -> None:
    log(name, study, [], [row(0)])
    log(name, study, [row(0), row(1)], [row(2)])
    assert [step for step, _ in points_of(name, study)] == [0, 1, 2]


def test_a_run_that_had_to_begin_anew_shows_its_new_epochs_alone(name: str, study: Path) -> None:
    log(name, study, [], [row(0), row(1), row(2)])
    fresh = [row(epoch) | {"seconds": 9.0} for epoch in (0, 1)]
    log(name, study, [], fresh)
    assert points_of(name, study) == [(0, 9.0), (1, 9.0)]


def test_an_undefined_dice_harms_nothing(name: str, study: Path) -> None:
    log(name, study, [], [row(0, float("nan")), row(1)])
    assert [step for step, _ in points_of(name, study)] == [0, 1]


def test_the_logs_of_runs_inside_a_study_are_the_study_s(study: Path) -> None:
    inner = study / "tuning" / "bce" / "trial-3"
    for folder, run_name in ((inner, "bce/fold-0-seed-0"), (study, "bce/fold-1-seed-0")):
        (logger,) = open_loggers(("tensorboard",), folder, run_name)
        logger.begin([row(0)])
        logger.end(finished=True)
    logs = study / "logs" / "tensorboard"
    assert len(tensorboard_points(logs / "tuning" / "bce" / "trial-3" / "bce" / "fold-0-seed-0")) == len(COLUMNS)
    assert len(tensorboard_points(logs / "bce" / "fold-1-seed-0")) == len(COLUMNS)


def test_studies_of_one_name_on_one_server_stay_apart(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"sqlite:///{study / 'logs' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    other = tmp_path / "elsewhere" / "brain"
    other.mkdir(parents=True)
    (other / "study.yaml").write_text("{}")
    for place in (study, other, study):
        log("mlflow", place, [row(0)], [])
    assert len(mlflow_runs(address)) == 2
    assert not (other / "logs" / "mlflow.db").exists()


class Failing:
    def __init__(self, at: int) -> None:
        self.at = at
        self.seen: list[int] = []

    def begin(self, history: object) -> None:
        pass

    def log(self, row: dict[str, Any]) -> None:
        if row["epoch"] == self.at:
            raise OSError(28, "No space left on device")
        self.seen.append(row["epoch"])

    def end(self, *, finished: bool) -> None:
        self.seen.append(-1)


def test_a_logger_that_fails_is_left_out_and_said_once(samples: Samples, tmp_path: Path) -> None:
    bad, good = Failing(1), Failing(99)
    with pytest.warns(RuntimeWarning, match="Failing is not written any more: OSError: .*No space left") as said:
        with_loggers = run(samples, tmp_path / "a", [bad, good])
    assert len(said) == 1
    assert bad.seen == [0]
    assert good.seen == [0, 1, 2, 3, -1]
    without = run(samples, tmp_path / "b", [])
    assert all(torch.equal(with_loggers.weights[name], without.weights[name]) for name in without.weights)


def test_a_server_that_is_down_costs_a_warning(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    diary = Diary(open_loggers(("mlflow",), study, "a"))
    with pytest.warns(RuntimeWarning, match="MLflow is not written any more"):
        diary.begin([])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        diary.log(row(0))
        diary.end(finished=True)


def test_a_state_that_cannot_be_read_is_told(samples: Samples, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(samples, tmp_path, [], kill_after=1)
    state = tmp_path / "state.ckpt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(Killed):
        run(samples, tmp_path, [], kill_after=2)
    result = run(samples, tmp_path, [])
    assert result.restarted
    assert result.epochs == 4


def test_what_is_not_installed_is_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    assert logger_problems(("tensorboard", "mlflow")) == []
    monkeypatch.setattr("unifocal.training.loggers.importlib.util.find_spec", lambda _name: None)
    problems = logger_problems(("tensorboard", "mlflow"))
    assert [problem.where for problem in problems] == ["--log tensorboard", "--log mlflow"]
    assert all("pip install 'unifocal[" in problem.remedy for problem in problems)
