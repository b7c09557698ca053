"""One trial: a network trained with a trial's settings on every inner fold, and the mean over their patients."""

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from unifocal.experiments.attempts import explain, is_from_outside
from unifocal.experiments.folder import read_record, write_json
from unifocal.experiments.run import RunTask, execute
from unifocal.experiments.run_files import read_history
from unifocal.statistics.sheets import build_sheets
from unifocal.training.records import EpochRecord

ENDED = ("done", "failed", "stopped")
VALUES = "values.json"
_TEXT = {"case": str, "patient": str, "unit": str}


@dataclass(frozen=True)
class TrialTask:
    """Everything that one trial needs: plain values and paths, cheap to send to another process.

    Attributes:
        name: What it is called in messages: "focal, trial 3".
        study: The folder of the search or of the study.
        place: The trial's folder in it.
        trial: Its number.
        values: What is tried.
        objectives: The metrics by which trials are judged, the first first.
        label: The label that they are of; None: the mean over all labels.
        runs: One per inner fold, with the trial's settings; their test cases are what the trial is judged on.
        is_settled: Whether runs rest already on what the search chose, so that the trial is left as it ended; its
            result does not depend on it.
    """

    name: str
    study: Path
    place: str
    trial: int
    values: Mapping[str, Any]
    objectives: tuple[str, ...]
    runs: tuple[RunTask, ...]
    label: int | None = None
    is_settled: bool = False

    @property
    def folder(self) -> Path:
        """Where the trial's files go."""
        return self.study / self.place

    @property
    def threads(self) -> int:
        """That training takes."""
        return self.runs[0].training.threads

    @property
    def epochs(self) -> int:
        """The most that it trains, on all inner folds together."""
        return sum(run.training.epochs for run in self.runs)

    def execute(self, on_epoch: Callable[[EpochRecord], None]) -> dict[str, Any]:
        """Do the trial, or return the record of the one that ended; an error becomes a failed record.

        Args:
            on_epoch: Hears a `TrialEpoch` of each.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # A killed search's worker may live for a moment longer; it must not write into the continued trial.
            with FileLock(self.folder / ".lock", timeout=600):
                record = self.finished()
                if record is None:
                    self._clear_of_other_values()
                    record = self._train_and_judge(on_epoch)
                    write_json(self.folder / "record.json", record)
        except Exception as error:  # noqa: BLE001 - whatever a trial dies of, the search goes on and says so
            record = self.ended("failed", explain(error))
        return record

    def finished(self) -> dict[str, Any] | None:
        """The record of the trial if it ended, with these values and judged like this; else None.

        What failed for an outside reason, such as a full disk, has not ended: it is tried again.
        """
        record = read_record(self.folder)
        if record is None or record.get("status") not in ENDED or not isinstance(record.get("objective"), dict):
            return None
        if record["status"] == "failed" and not self.is_settled and is_from_outside(str(record.get("reason"))):
            return None
        is_same = record.get("values") == _plain(self.values) and list(record["objective"]) == list(self.objectives)
        return record if is_same else None

    def lost(self, reason: str) -> dict[str, Any]:
        """Keep and return the failed record of a trial that could not be done to its end."""
        return self.kept(self.ended("failed", reason, self._so_far()))

    def stopped(self, reason: str) -> dict[str, Any]:
        """Keep and return the record of a trial that was not worth going on with."""
        return self.kept(self.ended("stopped", reason, self._so_far()))

    def kept(self, record: dict[str, Any]) -> dict[str, Any]:
        """A record, written where that can be done."""
        with suppress(OSError):  # a full disk: without a record the trial is unfinished, which is true
            write_json(self.folder / "record.json", record)
        return record

    def ended(
        self, status: str, reason: str, parts: Sequence[Mapping[str, Any]] = (), *, seconds: float = 0.0
    ) -> dict[str, Any]:
        """A trial's record, without objectives.

        Args:
            status: `done`, `failed` or `stopped`.
            reason: Why it is not done; else empty.
            parts: What is known of inner folds.
            seconds: That it took, if more than training.
        """
        return {
            "trial": self.trial,
            "status": status,
            "values": _plain(self.values),
            "objective": dict.fromkeys(self.objectives),
            "folds": [dict(part) for part in parts],
            "epochs": sum(part["epochs"] for part in parts),
            "seconds": round(max(seconds, sum(part["seconds"] for part in parts)), 1),
            "reason": reason,
        }

    def _clear_of_other_values(self) -> None:
        """Remove what the trial of this number left when it had other values: an earlier trial ended otherwise then."""
        try:
            before = json.loads((self.folder / VALUES).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = (read_record(self.folder) or {}).get("values")
        if isinstance(before, dict) and before != _plain(self.values):
            for path in self.folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != ".lock":
                    path.unlink()
        write_json(self.folder / VALUES, _plain(self.values))

    def _train_and_judge(self, on_epoch: Callable[[EpochRecord], None]) -> dict[str, Any]:
        started = time.monotonic()
        parts: list[dict[str, Any]] = []
        tables: list[pd.DataFrame] = []
        meter = _Meter(len(self.runs), on_epoch)
        for number, task in enumerate(self._inside()):
            meter.begin(task)
            record = execute(task, meter.tell)
            if record["status"] != "done":
                return self.ended("failed", f"inner fold {number}: {record['reason']}", parts)
            meter.close(task)
            tables.append(_scores_in(task.folder))
            objective = judge(tables[-1], self.objectives, self.label)
            known = {"epochs": record["epochs"], "seconds": record["seconds"]}
            parts.append({"fold": number, "objective": objective, **known})
        objective = judge(pd.concat(tables, ignore_index=True), self.objectives, self.label)
        undefined = [name for name, value in objective.items() if value is None]
        if undefined:
            return self.ended("failed", f"no inner test case has a defined {' or '.join(undefined)}", parts)
        return self.ended("done", "", parts, seconds=time.monotonic() - started) | {"objective": objective}

    def _inside(self) -> list[RunTask]:
        return [replace(run, study=self.folder) for run in self.runs]

    def _so_far(self) -> list[dict[str, Any]]:
        histories = [read_history(run.folder) for run in self._inside()]
        nothing = dict.fromkeys(self.objectives)
        return [
            {"fold": number, "objective": nothing, "epochs": history.epochs, "seconds": history.seconds}
            for number, history in enumerate(histories)
            if history.epochs
        ]


@dataclass(frozen=True)
class TrialEpoch(EpochRecord):
    """An epoch of a trial's inner run.

    Attributes:
        percent: How much of the trial is done, up to 100: every inner fold counts the same.
        mean_dice: The mean over the inner folds so far of the highest validation Dice.
    """

    percent: float
    mean_dice: float


class _Meter:
    """How far a trial is, and how good it looks."""

    def __init__(self, folds: int, on_epoch: Callable[[EpochRecord], None]) -> None:
        self.folds, self.on_epoch = folds, on_epoch
        self.closed: list[float] = []
        self.best = 0.0
        self.epochs = 1

    def begin(self, task: RunTask) -> None:
        # A killed run goes on from its last epoch.
        self.best, self.epochs = read_history(task.folder).best_dice or 0.0, task.training.epochs

    def tell(self, record: EpochRecord) -> None:
        dice = record.validation_dice if math.isfinite(record.validation_dice) else 0.0
        self.best = max(self.best, dice)
        percent = 100 * (len(self.closed) + (record.epoch + 1) / self.epochs) / self.folds
        mean = sum([*self.closed, self.best]) / (len(self.closed) + 1)
        self.on_epoch(TrialEpoch(**asdict(record), percent=percent, mean_dice=mean))

    def close(self, task: RunTask) -> None:
        self.closed.append(read_history(task.folder).best_dice or 0.0)


def _scores_in(folder: Path) -> pd.DataFrame:
    """A case may be called "NA": only an empty value is a missing one."""
    return pd.read_csv(folder / "scores.csv", dtype=_TEXT, keep_default_na=False, na_values={"value": [""]})


def judge(scores: pd.DataFrame, objectives: Sequence[str], label: int | None = None) -> dict[str, float | None]:
    """Mean over patients of each metric; of several labels the mean over them, unless one is asked for.

    A patient's value is the mean over that patient's defined scores.

    Args:
        scores: Rows as in `scores.csv`, of one loss.
        objectives: Metrics.
        label: The only label that counts; None: all.

    Returns:
        Per objective its value; None where no score is defined.
    """
    sheets = build_sheets(scores, list(dict.fromkeys(scores["loss"])))
    found: dict[str, float | None] = {}
    for metric in objectives:
        means = [
            float(pd.Series(sheet.values[:, 0]).mean())
            for sheet in sheets
            if sheet.metric == metric and label in {None, sheet.label}
        ]
        defined = [mean for mean in means if math.isfinite(mean)]
        found[metric] = round(sum(defined) / len(defined), 9) if defined else None
    return found


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As a file gives them back: lists for tuples."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(values)))
    return plain
