"""How far a study, a training or a tuning is, read from its files alone while it runs or after it was killed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from unifocal.experiments.folder import WEIGHTS, RunKey, read_record, read_run, read_settings
from unifocal.experiments.run_files import History, Lock, join_histories, lock_of, read_history
from unifocal.experiments.status_plan import Plan, Trial, plan_of
from unifocal.problems import bad_input

State = Literal["waiting", "running", "stopped", "done", "failed", "dropped", "not needed"]
STATES: tuple[State, ...] = ("running", "waiting", "stopped", "done", "failed", "dropped", "not needed")


@dataclass(frozen=True)
class RunStatus:
    """One run, or one trial of a tuning.

    Attributes:
        name: As messages call it: `focal, fold 0, seed 1`.
        loss: Its loss.
        fold: Its fold; None where there are none.
        seed: Its seed; None of a trial.
        trial: Its number; None of a run.
        state: `waiting` (not begun), `running`, `stopped` (begun, nobody is at work), `done`, `failed`, `dropped`
            (its loss left the race), or `not needed` (the race was decided before).
        reason: Why it failed, was dropped or is not needed.
        epoch: Epochs done; of a trial, of all its inner folds together.
        epochs: The most there will be.
        dice: Validation Dice of the last epoch.
        best_dice: The highest so far.
        seconds_per_epoch: The mean so far.
        overhead_seconds: Of a run that is done: what took time beside its epochs.
    """

    name: str
    loss: str
    fold: int | None
    seed: int | None
    trial: int | None
    state: State
    reason: str
    epoch: int
    epochs: int
    dice: float | None
    best_dice: float | None
    seconds_per_epoch: float | None
    overhead_seconds: float | None = None

    @property
    def is_ended(self) -> bool:
        """Whether the command that is at work will not touch it again."""
        return self.state in ("done", "failed", "dropped", "not needed")


@dataclass(frozen=True)
class StudyStatus:
    """All runs of a folder.

    Attributes:
        folder: Where it is.
        kind: `study`, `training` or `tuning`.
        is_active: Whether some process is at work on it, as far as can be told.
        runs: In the order in which they are done; trials first.
        seconds_left: An estimate; None where no epoch is done yet. Without a process at work: one run after the other.
    """

    folder: Path
    kind: str
    is_active: bool
    runs: tuple[RunStatus, ...]
    seconds_left: float | None

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are in each state."""
        return {str(state): 0 for state in STATES} | Counter(str(run.state) for run in self.runs)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return all(run.is_ended for run in self.runs)

    @property
    def best(self) -> RunStatus | None:
        """The run with the highest validation Dice so far; of a tuning, the trial."""
        alike = [run for run in self.runs if (run.trial is not None) == (self.kind == "tuning")]
        return max(
            (run for run in alike if run.best_dice is not None), key=lambda run: run.best_dice or 0, default=None
        )

    def as_dict(self) -> dict[str, Any]:
        """For programs: plain values."""
        return {
            "format": 1,
            "folder": str(self.folder),
            "kind": self.kind,
            "active": self.is_active,
            "over": self.is_over,
            "seconds_left": self.seconds_left,
            "counts": self.counts,
            "best": self.best.name if self.best else None,
            "runs": [asdict(run) for run in self.runs],
        }


def read_status(folder: Path) -> StudyStatus:
    """How far the runs of a folder are; nothing in it is changed.

    Args:
        folder: What `compare`, `train` or `tune` write to; it may be in use, half-written or of an older version.

    Raises:
        InputError: If it is no such folder.
    """
    reader = _Reader(_plan(folder))
    runs = tuple(reader.trials() + reader.runs())
    active = reader.lock == "held" or any(run.state == "running" for run in runs)
    return StudyStatus(folder, reader.plan.kind, active, runs, seconds_left(runs))


def seconds_left(runs: tuple[RunStatus, ...]) -> float | None:
    """An estimate from the pace and length of the same loss's runs so far, else of all.

    Returns:
        0 where nothing is left, None where no epoch was timed yet.
    """
    left = [run for run in runs if not run.is_ended]
    if not left:
        return 0.0
    if all(run.seconds_per_epoch is None for run in runs):
        return None
    each = [_run_left(run, runs) for run in left]
    at_once = max(1, sum(run.state == "running" for run in runs))
    return round(max(sum(each) / at_once, *each), 1)


def _run_left(run: RunStatus, runs: tuple[RunStatus, ...]) -> float:
    alike = [other for other in runs if other.loss == run.loss] or list(runs)
    pace = run.seconds_per_epoch or _mean(alike, "seconds_per_epoch") or _mean(list(runs), "seconds_per_epoch") or 0.0
    ended = [other for other in alike if other.state == "done" and (other.trial is None) == (run.trial is None)]
    # Training stops early where it no longer improves: the runs so far show how early.
    share = sum(other.epoch / max(1, other.epochs) for other in ended) / len(ended) if ended else 1.0
    expected = max(run.epoch, min(run.epochs, round(share * run.epochs)))
    return (expected - run.epoch) * pace + (_mean(ended, "overhead_seconds") or 0.0)


def _mean(runs: list[RunStatus], name: str) -> float | None:
    values = [getattr(run, name) for run in runs if getattr(run, name) is not None]
    return sum(values) / len(values) if values else None


def _plan(folder: Path) -> Plan:
    path = folder / "study.yaml"
    try:
        found = path.stat()
    except OSError:
        raise bad_input(
            str(folder),
            "holds no study.yaml, so it is no folder of compare, train or tune"
            if folder.is_dir()
            else "is not a folder",
            "Give what was their --out. A study writes study.yaml once its data are checked and prepared.",
        ) from None
    return _read_plan(folder, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _read_plan(folder: Path, _changed: int, _size: int) -> Plan:
    settings = read_settings(folder)
    plan = None if settings is None else plan_of(folder, settings)
    if plan is None:
        raise bad_input(
            str(folder / "study.yaml"),
            "does not tell of any training",
            "Give the folder of a study, a training or a tuning, as compare, train or tune wrote it.",
        )
    return plan


class _Reader:
    """One look at a folder."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lock = lock_of(plan.folder)
        self.departed = plan.departed()
        self.decided = plan.decided_after()
        self.tuned = plan.tuned_epochs()

    def trials(self) -> list[RunStatus]:
        found = [self._trial(place, trial) for place, trial in self.plan.trials()]
        return [run for run in found if run.state != "waiting" or not self._will_not_begin(run)]

    def runs(self) -> list[RunStatus]:
        if self.plan.kind == "training":
            return [self._training()]
        return [self._run(key) for key in self.plan.runs()]

    def _will_not_begin(self, trial: RunStatus) -> bool:
        if trial.loss in self.departed or self.plan.search_is_over(trial.loss, trial.fold):
            return True
        return trial.fold is not None and all(self._is_after_all(trial.fold, seed) for seed in self.plan.seeds)

    def _is_after_all(self, fold: int, seed: int) -> bool:
        """Whether a race was decided in an earlier round."""
        return self.decided is not None and self.plan.round_of(fold, seed) > self.decided

    def _run(self, key: RunKey) -> RunStatus:
        folder = self.plan.folder / key.place
        history, record = read_history(folder), read_run(folder)
        state, reason = self._state(history, record, lock_of(folder))
        if state == "waiting" and key.loss in self.departed:
            state, reason = "dropped", self.departed[key.loss]
        elif state == "waiting" and self._is_after_all(key.fold, key.seed):
            state, reason = "not needed", "the race was decided before"
        epochs = self.tuned.get((key.loss, key.fold), self.plan.epochs)
        where = {"name": str(key), "loss": key.loss, "fold": key.fold, "seed": key.seed, "trial": None}
        return _status(where, (state, reason), history, epochs, record)

    def _training(self) -> RunStatus:
        folder, loss = self.plan.folder, self.plan.losses[0]
        record = read_record(folder) if (folder / WEIGHTS).is_file() else None
        record = None if record is None else {"status": "done"} | record
        history = read_history(folder)
        where = {"name": loss, "loss": loss, "fold": None, "seed": None, "trial": None}
        return _status(where, self._state(history, record, self.lock), history, self.plan.epochs, record)

    def _trial(self, folder: Path, trial: Trial) -> RunStatus:
        inner = {path.parent for name in ("history.csv", ".lock") for path in folder.rglob(name)}
        history = join_histories([read_history(place) for place in sorted(inner)])
        locks = {lock_of(place) for place in inner}
        held: Lock = "held" if "held" in locks else "unknown" if "unknown" in locks else "free"
        record = read_record(folder)
        record = record if record and "status" in record else None
        where = {"name": str(trial), "loss": trial.loss, "fold": trial.fold, "seed": None, "trial": trial.number}
        epochs = self.plan.epochs * self.plan.inner_folds
        return _status(where, self._state(history, record, held), history, epochs, record)

    def _state(self, history: History, record: Mapping[str, Any] | None, lock: Lock) -> tuple[State, str]:
        """What the files say: a record, a lock, epochs.

        A lock that another machine holds may be invisible here; then an epoch that ended lately stands for it, unless
        the study's own lock is free too.
        """
        reason = str((record or {}).get("reason") or "")
        if record is not None and record["status"] != "failed":
            return "done", reason
        free = lock == "free" and self.lock == "free"
        if lock == "held" or (not free and record is None and history.epochs and history.is_fresh):
            return "running", ""
        if record is not None:
            return "failed", reason
        return ("stopped" if history.epochs else "waiting"), ""


def _status(
    where: Mapping[str, Any],
    state: tuple[State, str],
    history: History,
    epochs: int,
    record: Mapping[str, Any] | None,
) -> RunStatus:
    wall = (record or {}).get("wall_seconds", (record or {}).get("seconds"))
    return RunStatus(
        **where,
        state=state[0],
        reason=state[1],
        epoch=history.epochs,
        epochs=max(epochs, history.epochs),
        dice=history.dice,
        best_dice=history.best_dice,
        seconds_per_epoch=history.pace,
        # Of a run that was interrupted, only the last piece is known.
        overhead_seconds=max(0.0, wall - history.seconds) if isinstance(wall, int | float) else None,
    )
