"""A search whose trials are stopped early where they lag behind: Ray Tune with successive halving (ASHA)."""

import json
import math
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import Searcher

from unifocal.config.sections import ComputeConfig
from unifocal.experiments.on_ray.cluster import connect, gpus_for
from unifocal.experiments.processes import go_first
from unifocal.experiments.progress import Reporter
from unifocal.experiments.storage import StoredWork, stored
from unifocal.experiments.tuning.engine import Plan, Record
from unifocal.experiments.tuning.trials import TrialEpoch, TrialTask
from unifocal.experiments.work import Work
from unifocal.training.process import prepare_process
from unifocal.training.records import EpochRecord

PERCENT, DICE = "percent", "dice"
FIRST_LOOK, REDUCTION = 12, 3
"""Trials are compared at 12 % and at 36 % of their epochs; the best third of those that came so far go on."""
_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
}


def search_with_asha(plan: Plan, *, jobs: int, compute: ComputeConfig, reporter: Reporter) -> list[Record]:
    """Do a search's trials, several at once, and stop those that lag behind the others (Li et al. 2020).

    What is suggested depends on earlier generations alone; what is stopped also depends on which trial came first.
    Trials that ended before are not done again, and a trial whose process died goes on from its last epoch.

    Args:
        plan: The search.
        jobs: Trials at once; 0: as many as there is room for.
        compute: The cluster; without an address Ray is started on this machine.
        reporter: Advanced by one per epoch.

    Returns:
        The trials' records by number.

    Raises:
        InputError: If the cluster cannot be had.
    """
    reporter.stage("Tuning (epochs)", plan.most_epochs)
    trials = _Trials(plan, compute, reporter)
    if trials.begin_next() is None:
        return trials.ended
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    with connect(compute, jobs), tempfile.TemporaryDirectory() as scratch:
        gpus = gpus_for(compute)
        cores = 1 if gpus else max(1, trials.threads)
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(_perform, sent=_Sent(plan.task, compute.storage)), {"cpu": cores, "gpu": gpus}
            ),
            tune_config=tune.TuneConfig(
                metric=DICE,
                mode="max",
                search_alg=_Suggestions(trials),
                scheduler=ASHAScheduler(
                    time_attr=PERCENT,
                    max_t=100,
                    grace_period=FIRST_LOOK,
                    reduction_factor=REDUCTION,
                    stop_last_trials=False,
                ),
                num_samples=plan.search.trials,
                max_concurrent_trials=jobs or None,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                callbacks=[_Told(trials)],
                failure_config=tune.FailureConfig(max_failures=compute.attempts - 1),
            ),
        )
        tuner.fit()
    return trials.ended


class _Trials:
    """The trials of a search: which come next, which are under way, and how they ended."""

    def __init__(self, plan: Plan, compute: ComputeConfig, reporter: Reporter) -> None:
        self.plan, self.compute, self.reporter = plan, compute, reporter
        self.tasks: list[TrialTask] = []
        self.records: list[Record | None] = []
        self.share = plan.most_epochs // max(1, plan.search.trials)
        self.waiting: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune keeps a copy of what it was given, to go on from; ours is in the trials' folders.
        return {}

    @property
    def ended(self) -> list[Record]:
        """All records."""
        return [record for record in self.records if record is not None]

    @property
    def threads(self) -> int:
        """Of each trial."""
        return self.tasks[0].threads

    def begin_next(self) -> int | None:
        """The number of the next trial to do; None where the search is over, or waits for those under way."""
        while self.waiting is None:
            number = len(self.records)
            if number == len(self.tasks):
                if None in self.records:
                    return None
                values = self.plan.search.generation(self.plan.tried(self.ended))
                if not values:
                    return None
                self.tasks += [self.plan.task(number + place, each) for place, each in enumerate(values)]
            record = self.tasks[number].finished()
            self.records.append(record)
            if record is None:
                self.waiting = number
            else:
                self.reporter.advance(self.share)
        return self.waiting

    def take(self) -> int | None:
        """As `begin_next`; that trial is then under way."""
        number, self.waiting = self.begin_next(), None
        return number

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be done and nothing under way."""
        return None not in self.records and self.begin_next() is None

    def close(self, number: int, result: dict[str, Any] | None, *, has_died: bool) -> None:
        """Keep how a trial ended.

        Args:
            number: Which.
            result: What it last reported.
            has_died: Whether its process died too often.
        """
        task, result = self.tasks[number], result or {}
        work, record = _work(task, self.compute.storage), Record()
        if has_died:
            record = work.lost(f"its process died {self.compute.attempts} times without an epoch between")
        elif "record" in result:
            record = self._brought(work, task, json.loads(result["record"]))
        else:
            at, dice = result.get(PERCENT, 0.0), result.get(DICE, math.nan)
            if isinstance(work, StoredWork):
                work.fetch_epochs()
            reason = f"stopped at {at:.0f} % with a validation Dice of {dice:.3f}, not among the best third so far"
            record = task.stopped(reason)
        self.records[number] = record
        if record["status"] == "failed":
            self.reporter.say(f"FAILED {task.name}: {record['reason']}")
        self.reporter.run(task.name, None)
        self.reporter.advance(max(0, self.share - record["epochs"]), f"{task.name}: {record['status']}")

    def _brought(self, work: Work, task: TrialTask, record: Record) -> Record:
        """A record whose files other machines may have written, brought to this one."""
        if isinstance(work, StoredWork):
            if record["status"] == "done":
                return work.fetch() or task.lost(f"its results are not at {work.url}")
            work.fetch_epochs()
        return task.kept(record) if task.finished() is None else record


class _Suggestions(Searcher):
    """The search in Ray Tune's terms."""

    def __init__(self, trials: _Trials) -> None:
        super().__init__(metric=DICE, mode="max")
        self.trials = trials
        self.numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if self.trials.is_over:
            return Searcher.FINISHED  # type: ignore[return-value]  # documented, but not in its signature
        number = self.trials.take()
        if number is None:
            return None
        self.numbers[trial_id] = number
        return {"trial": number, "values": json.dumps(dict(self.trials.tasks[number].values))}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:  # noqa: FBT001, FBT002
        self.trials.close(self.numbers.pop(trial_id), result, has_died=error)

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError


class _Told(tune.Callback):
    """Hands epochs on to a person, and to Tune what they mean for its count of deaths."""

    def __init__(self, trials: _Trials) -> None:
        self.trials = trials

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Any],  # noqa: ARG002
        trial: Any,
        result: dict[str, Any],
        **_: Any,
    ) -> None:
        if "epoch" in result:
            # Tune counts all deaths of a trial; here those count that have no epoch between them.
            trial.max_failures = trial.num_failures + self.trials.compute.attempts - 1
            epoch = TrialEpoch(**json.loads(result["epoch"]))
            name, reporter = self.trials.tasks[result["config"]["trial"]].name, self.trials.reporter
            reporter.run(name, epoch)
            reporter.advance(1, f"{name}: epoch {epoch.epoch + 1}, validation Dice {epoch.validation_dice:.2f}")


@dataclass(frozen=True)
class _Sent:
    """What every machine needs to make a trial of a number and its values."""

    task: Callable[[int, dict[str, Any]], TrialTask]
    storage: str | None
    paths: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))
    place: str = field(default_factory=os.getcwd)


def _work(task: TrialTask, storage: str | None) -> Work:
    return task if storage is None else stored(task, storage, is_elsewhere=True)


class _Stopped(BaseException):
    """The trial is not to go on. No error: what handles errors must not take it for one, nor write a record."""


def _perform(config: dict[str, Any], sent: _Sent) -> None:
    sys.path += [path for path in sent.paths if path not in sys.path]
    with suppress(OSError):  # relative paths mean the same here, where the folder is shared
        os.chdir(sent.place)
    go_first()
    work = _work(sent.task(config["trial"], json.loads(config["values"])), sent.storage)
    prepare_process(work.threads)
    reached = {PERCENT: 0.0, DICE: 0.0}

    def report(epoch: EpochRecord) -> None:
        assert isinstance(epoch, TrialEpoch)
        reached.update({PERCENT: epoch.percent, DICE: epoch.mean_dice})
        try:
            tune.report(reached | {"epoch": json.dumps(asdict(epoch))})
        except SystemExit:  # Ray's way of stopping a trial
            raise _Stopped from None

    try:
        record = work.execute(report)
    except _Stopped:
        return
    tune.report(reached | {"record": json.dumps(record)})
