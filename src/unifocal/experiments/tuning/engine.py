"""Searches that advance together, generation by generation, on whatever does the work."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unifocal.config.sections import ComputeConfig
from unifocal.experiments.pool import execute_all
from unifocal.experiments.progress import Reporter
from unifocal.experiments.tuning.search import Search, Tried
from unifocal.experiments.tuning.trials import TrialTask

Record = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """One search with its trials.

    Attributes:
        search: Says what is tried.
        objectives: The metrics, in the order of the search's directions.
        task: A trial by number and values.
    """

    search: Search
    objectives: tuple[str, ...]
    task: Callable[[int, Mapping[str, Any]], TrialTask]

    @property
    def most_epochs(self) -> int:
        """Of all trials together, at most."""
        trials = self.search.trials if self.search.space else 1
        longest = [int(max(each.values or each.bounds)) for each in self.search.space if each.name == "epochs"]
        usual = self.task(0, {each.name: each.default for each in self.search.space})
        return trials * (max(longest[0] * len(usual.runs), usual.epochs) if longest else usual.epochs)

    def tried(self, records: Sequence[Mapping[str, Any]]) -> list[Tried]:
        """What the search learns of trials that ended."""
        return [Tried(record["values"], objective_of(record, self.objectives)) for record in records]


def objective_of(record: Mapping[str, Any], objectives: Sequence[str]) -> tuple[float, ...] | None:
    """A finished trial's numbers; None where it failed or was stopped."""
    if record["status"] != "done":
        return None
    return tuple(float(record["objective"][metric]) for metric in objectives)


def search_all(
    plans: Sequence[Plan], *, jobs: int, compute: ComputeConfig, reporter: Reporter, title: str = "Tuning (epochs)"
) -> list[list[Record]]:
    """Do all trials of all searches; those that ended before are not done again.

    Args:
        plans: The searches; one generation of each is done before the next of any.
        jobs: How many trials at once.
        compute: Where they are done.
        reporter: Advanced by one per epoch.
        title: Of the stage of progress.

    Returns:
        Per search, the records of its trials by number.
    """
    reporter.stage(title, sum(plan.most_epochs for plan in plans))
    shares = [plan.most_epochs // max(1, plan.search.trials if plan.search.space else 1) for plan in plans]
    records: list[list[Record]] = [[] for _ in plans]
    while True:
        tasks = [(place, task) for place, plan in enumerate(plans) for task in _generation(plan, records[place])]
        if not tasks:
            return records
        ended = _do([task for _, task in tasks], [shares[place] for place, _ in tasks], jobs, compute, reporter)
        for (place, _), record in zip(tasks, ended, strict=True):
            records[place].append(record)


def _generation(plan: Plan, records: Sequence[Record]) -> list[TrialTask]:
    values = plan.search.generation(plan.tried(records))
    return [plan.task(len(records) + place, each) for place, each in enumerate(values)]


def _do(
    tasks: Sequence[TrialTask], shares: Sequence[int], jobs: int, compute: ComputeConfig, reporter: Reporter
) -> list[Record]:
    records = [task.finished() for task in tasks]
    for record, share in zip(records, shares, strict=True):
        reporter.advance(share if record is not None else 0)
    missing = [place for place, record in enumerate(records) if record is None]
    for index, record in execute_all([tasks[p] for p in missing], jobs=jobs, compute=compute, reporter=reporter):
        place = missing[index]
        records[place] = record
        if record["status"] == "failed":
            reporter.say(f"FAILED {tasks[place].name}: {record['reason']}")
        reporter.advance(max(0, shares[place] - record.get("epochs", 0)), f"{tasks[place].name}: {record['status']}")
    assert all(record is not None for record in records)
    return [record for record in records if record is not None]
