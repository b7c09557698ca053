"""A search with its trials, from what is asked and the run that all of them vary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from unifocal.config.sections import TuningConfig
from unifocal.data.splits import Fold
from unifocal.experiments.run import RunTask
from unifocal.experiments.tuning.asked import directions_of, trials_of
from unifocal.experiments.tuning.engine import Plan
from unifocal.experiments.tuning.inner import inner_runs
from unifocal.experiments.tuning.search import Search
from unifocal.experiments.tuning.space import Space, with_values
from unifocal.experiments.tuning.trials import TrialTask


@dataclass(frozen=True)
class Trials:
    """The trials of one search: called with a number and values, it gives the trial.

    Attributes:
        title: What is tuned, in messages: "focal, fold 0".
        place: The folder of the trials inside the study's.
        runs: The inner runs with the settings as given.
        objectives: The metrics.
        label: The label that they are of; None: the mean over all.
        is_settled: See `TrialTask`.
    """

    title: str
    place: PurePosixPath
    runs: tuple[RunTask, ...]
    objectives: tuple[str, ...]
    label: int | None
    is_settled: bool = False

    def __call__(self, number: int, values: Mapping[str, Any]) -> TrialTask:
        """The trial of that number; trial 0 has the settings as given whatever the values say of them."""
        runs = self.runs if number == 0 else tuple(_with_values(run, values) for run in self.runs)
        return TrialTask(
            name=f"{self.title}, trial {number}",
            study=runs[0].study,
            place=str(self.place / f"trial-{number}"),
            trial=number,
            values=dict(values),
            objectives=self.objectives,
            runs=runs,
            label=self.label,
            is_settled=self.is_settled,
        )


def plan_search(
    template: RunTask,
    folds: Sequence[Fold],
    space: Space,
    tuning: TuningConfig,
    *,
    by: str,
    title: str,
    place: PurePosixPath,
    seed: int,
    label: int | None = None,
    is_settled: bool = False,
) -> Plan:
    """Plan a search over inner folds.

    Args:
        template: Settings, seed and prepared cases that trials share.
        folds: The inner folds.
        space: What is searched.
        tuning: How.
        by: What folds are made of: `patient` or `image`.
        title: What is tuned, in messages.
        place: The folder of the trials inside the study's.
        seed: Of the search.
        label: The label that trials are judged by; None: the mean over all.
        is_settled: See `TrialTask`.
    """
    trials = Trials(title, place, inner_runs(template, folds, by), tuple(tuning.objective), label, is_settled)
    search = Search(space, tuning.search, trials_of(tuning, space), directions_of(tuning), seed)
    return Plan(search, tuple(tuning.objective), trials)


def _with_values(run: RunTask, values: Mapping[str, Any]) -> RunTask:
    loss, training, network = with_values(values, run.loss, run.training, run.network)
    return replace(run, loss=loss, training=training, network=network)
