"""Where epochs are also written to: TensorBoard and MLflow. One point per epoch, also after a run was killed."""

import hashlib
import importlib.util
import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from unifocal.problems import Problem

# What has to be importable. MLflow keeps its own file in a database, by SQLAlchemy and Alembic.
_NEEDS = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}

Row = Mapping[str, Any]
"""One line of `history.csv`."""


class EpochLogger(Protocol):
    """Something that epochs are written to."""

    def begin(self, history: Sequence[Row]) -> None:
        """Training begins or goes on: after this, exactly the epochs of `history` are there."""

    def log(self, row: Row) -> None:
        """One more epoch, which is saved already."""

    def end(self, *, finished: bool) -> None:
        """No more epochs come, because training is finished, or was interrupted."""


def logger_problems(names: Sequence[str]) -> list[Problem]:
    """What keeps the named loggers from working: libraries that are not installed."""
    return [
        Problem(
            f"--log {name}",
            f"{missing[0]} is not installed",
            "Install it: pip install 'unifocal[all,loggers]', or leave --log away.",
        )
        for name in names
        if (missing := [library for library in _NEEDS[name] if importlib.util.find_spec(library) is None])
    ]


def open_loggers(names: Sequence[str], folder: Path, run: str) -> list[EpochLogger]:
    """The loggers of one run; none in a scratch folder, as its machine may have no way to the study.

    Args:
        names: Of `tensorboard` and `mlflow`.
        folder: The study folder, which holds `study.yaml`, or one below it. TensorBoard's files go to
            `logs/tensorboard/<run>` of the study; MLflow's to where `MLFLOW_TRACKING_URI` says, else to
            `logs/mlflow.db` of the study.
        run: What the run is called: the same when it goes on.
    """
    folder = folder.resolve()
    study = next((place for place in (folder, *folder.parents) if (place / "study.yaml").is_file()), None)
    if study is None:
        return []
    run = (folder.relative_to(study) / run).as_posix()
    kinds: dict[str, Callable[[Path, str], EpochLogger]] = {"tensorboard": TensorBoard, "mlflow": MLflow}
    return [kinds[name](study, run) for name in names]


class Diary:
    """Several loggers as one. A logger that fails is left out from then on: training does not depend on it."""

    def __init__(self, loggers: Sequence[EpochLogger]) -> None:
        self.loggers = list(loggers)

    def begin(self, history: Sequence[Row]) -> None:
        """See `EpochLogger`."""
        self._each("begin", history)

    def log(self, row: Row) -> None:
        """See `EpochLogger`."""
        self._each("log", row)

    def end(self, *, finished: bool) -> None:
        """See `EpochLogger`."""
        self._each("end", finished=finished)

    def _each(self, what: str, *given: Any, **named: Any) -> None:
        for logger in tuple(self.loggers):
            try:
                getattr(logger, what)(*given, **named)
            except Exception as error:  # noqa: BLE001 - a server that is down, a full disk: the run matters more
                self.loggers.remove(logger)
                message = f"{type(logger).__name__} is not written any more: {type(error).__name__}: {error}"
                warnings.warn(message, RuntimeWarning, stacklevel=4)


class TensorBoard:
    """Event files in a folder of the run's own; every epoch is on the disk when `log` returns."""

    def __init__(self, study: Path, run: str) -> None:
        self.folder = study / "logs" / "tensorboard" / run
        self.writer: Any = None

    def begin(self, history: Sequence[Row]) -> None:
        """Write what is missing; what a killed run wrote too much is marked as void, as TensorBoard reads it."""
        from torch.utils.tensorboard import SummaryWriter

        known = self._steps() if self.folder.is_dir() else set()
        first = next((row["epoch"] for row in history if row["epoch"] not in known), len(history))
        self._wait_for_the_next_second()
        self.writer = SummaryWriter(str(self.folder), purge_step=first)
        for row in history[first:]:
            self.log(row)

    def log(self, row: Row) -> None:
        """One point per column."""
        for name, value in row.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, row["epoch"])
        self.writer.flush()

    def end(self, *, finished: bool) -> None:  # noqa: ARG002 - event files know no end
        """Close the file."""
        if self.writer is not None:
            self.writer.close()

    def _wait_for_the_next_second(self) -> None:
        # Files are read in the order of their names, which begin with the second they were made in.
        seconds = [path.name.split(".")[3] for path in self.folder.glob("events.out.tfevents.*")]
        latest = max((int(text) for text in seconds if text.isdigit()), default=0)
        time.sleep(max(0.0, min(2.0, latest + 1 - time.time())))

    def _steps(self) -> set[int]:
        from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
            EventAccumulator,
        )

        events = EventAccumulator(str(self.folder), size_guidance={"scalars": 0})
        events.Reload()
        tags = events.Tags()["scalars"]
        # The last column of an epoch: where it is, the epoch was written whole.
        return {event.step for event in events.Scalars("seconds")} if "seconds" in tags else set()


class MLflow:
    """A run of an MLflow experiment that is called like the study folder."""

    def __init__(self, study: Path, run: str) -> None:
        self.study = study
        self.run = run
        # Paths may hold what a search cannot quote.
        self.key = hashlib.sha256(f"{study}\n{run}".encode()).hexdigest()[:32]
        self.client: Any = None
        self.run_id = ""

    def begin(self, history: Sequence[Row]) -> None:
        """Go on with the run of this name; where it holds epochs that were lost, a new one takes its place."""
        self._connect()
        experiment = self._experiment()
        known: set[int] = set()
        found = self._earlier(experiment)
        if found:
            known = {point.step for point in self.client.get_metric_history(found, "seconds")}
            if known - set(range(len(history))):
                self.client.set_terminated(found, "KILLED")
                self.client.set_tag(found, "unifocal.replaced", "true")
                found, known = "", set()
        tags = {"mlflow.runName": self.run, "unifocal.study": str(self.study), "unifocal.key": self.key}
        self.run_id = found or self.client.create_run(experiment, tags=tags).info.run_id
        self.client.update_run(self.run_id, status="RUNNING")
        for row in history:
            if row["epoch"] not in known:
                self.log(row)

    def log(self, row: Row) -> None:
        """One point per column, all in one request."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        values = {name: float(value) for name, value in row.items() if name != "epoch"}
        points = [Metric(name, value, now, row["epoch"]) for name, value in values.items() if not math.isnan(value)]
        self.client.log_batch(self.run_id, metrics=points)

    def end(self, *, finished: bool) -> None:
        """Say how it ended."""
        if self.run_id:
            self.client.set_terminated(self.run_id, "FINISHED" if finished else "KILLED")

    def _connect(self) -> None:
        # With MLflow's own seven retries, a server that is down would cost every run four minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=FutureWarning)
            from mlflow.tracking import MlflowClient

            logging.getLogger("mlflow").setLevel(logging.ERROR)
            logs = self.study / "logs"
            logs.mkdir(parents=True, exist_ok=True)
            address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{logs / 'mlflow.db'}"
            with FileLock(logs / ".mlflow.lock", timeout=600):  # several runs would all make the tables
                self.client = MlflowClient(address)
                self.client.search_experiments(max_results=1)

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self.study.name
        with FileLock(self.study / "logs" / ".mlflow.lock", timeout=600):
            found = self.client.get_experiment_by_name(name)
            try:
                return str(found.experiment_id if found else self.client.create_experiment(name))
            except MlflowException:  # another machine was quicker
                return str(self.client.get_experiment_by_name(name).experiment_id)

    def _earlier(self, experiment: str) -> str:
        runs = self.client.search_runs([experiment], f"tags.`unifocal.key` = '{self.key}'")
        kept = [run.info.run_id for run in runs if "unifocal.replaced" not in run.data.tags]
        return str(kept[0]) if kept else ""
