"""Work one after the other in this process, in several processes, or on the machines of a Ray cluster."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from unifocal.config.sections import ComputeConfig
from unifocal.experiments.progress import Reporter
from unifocal.experiments.storage import StoredWork, stored
from unifocal.experiments.work import Work
from unifocal.training.process import prepare_process
from unifocal.training.records import EpochRecord

__all__ = ["Work", "execute_all", "goes_to_ray"]


def goes_to_ray(compute: ComputeConfig) -> bool:
    """Whether work is done by Ray, which then decides how much of it at once where that is not said."""
    return compute.ray_address is not None or compute.gpus_per_run is not None


def execute_all(
    work: Sequence[Work], *, jobs: int, compute: ComputeConfig, reporter: Reporter
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Do all work; `reporter` hears of each epoch.

    Work whose process died goes on from its last epoch; after `compute.attempts` deaths without an epoch between
    them it is recorded as failed. Only in this process (1 job, without Ray) does such a death end everything.

    Args:
        work: What is to be done.
        jobs: How much at once; 0, with Ray: as much as there is room for.
        compute: Where.
        reporter: Advanced by one per epoch.

    Yields:
        Index and record of each as it ends.

    Raises:
        InputError: If the storage or the cluster cannot be had.
    """
    left = list(range(len(work)))
    if compute.storage is not None:
        work = [stored(each, compute.storage, is_elsewhere=goes_to_ray(compute)) for each in work]
        for index in tuple(left):
            if (record := _fetched(work[index])) is not None:
                left.remove(index)
                yield index, record
    if not left:
        return
    todo = [work[index] for index in left]

    def tell(index: int, record: EpochRecord) -> None:
        _tell(reporter, todo[index].name, record)

    if goes_to_ray(compute):
        from unifocal.experiments.on_ray.runs import execute_on_ray

        ended = execute_on_ray(todo, jobs=jobs, compute=compute, tell=tell)
    elif jobs == 1:
        ended = _execute_here(todo, reporter)
    else:
        from unifocal.experiments.processes import execute_in_processes

        ended = execute_in_processes(todo, jobs=jobs, attempts=compute.attempts, tell=tell)
    for index, record in ended:
        reporter.run(todo[index].name, None)
        yield left[index], _brought(todo[index], record)


def _execute_here(work: Sequence[Work], reporter: Reporter) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, each in enumerate(work):
        prepare_process(each.threads)
        yield index, each.execute(partial(_tell, reporter, each.name))


def _tell(reporter: Reporter, name: str, record: EpochRecord) -> None:
    reporter.run(name, record)
    reporter.advance(1, f"{name}: epoch {record.epoch + 1}, validation Dice {record.validation_dice:.2f}")


def _fetched(work: Work) -> dict[str, Any] | None:
    assert isinstance(work, StoredWork)
    return work.fetch()


def _brought(work: Work, record: dict[str, Any]) -> dict[str, Any]:
    """The record of work that another machine did, whose files are brought to this one first."""
    if not isinstance(work, StoredWork) or not work.is_elsewhere:
        return record
    if record["status"] != "done":
        return work.lost(record["reason"])
    try:
        fetched = work.fetch()
    except Exception as error:  # noqa: BLE001 - every service has errors of its own
        return work.lost(f"the results cannot be fetched ({error})")
    return fetched or work.lost(f"the results are not at {work.url}")
