"""Runs as Ray tasks: on whatever machines there are, also such as may go away."""

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, NodeDiedError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from unifocal.config.sections import ComputeConfig
from unifocal.experiments.attempts import Attempts
from unifocal.experiments.on_ray.cluster import gpus_for, join
from unifocal.experiments.processes import go_first
from unifocal.experiments.run import set_threads
from unifocal.experiments.work import Work
from unifocal.training.callbacks import EpochRecord

_AHEAD = 64
_LOOK_EVERY_S = 0.5
_PATIENCE_S = 30.0
_MACHINES_PER_ATTEMPT = 10
"""A machine that goes away says less about the work on it than a process that does."""


class Board:
    """Where tasks pin up their epochs; Ray makes an actor of it, on the machine of the study."""

    def __init__(self) -> None:
        self.notes: list[tuple[int, EpochRecord]] = []

    def pin(self, index: int, record: EpochRecord) -> None:
        """One more epoch."""
        self.notes.append((index, record))

    def take(self) -> list[tuple[int, EpochRecord]]:
        """All since the last time."""
        taken, self.notes = self.notes, []
        return taken


def execute_on_ray(
    work: Sequence[Work], *, jobs: int, compute: ComputeConfig, tell: Callable[[int, EpochRecord], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Do all work on the cluster.

    Ray's own retries are not used: here an attempt counts only where no epoch was closed since the last one, and a lost
    machine counts less than a lost process.

    Args:
        work: What is to be done. Its `study` is a folder that all machines share, or it brings its own storage.
        jobs: At most so much at once; 0: as much as the cluster has room for.
        compute: The cluster, the share of a GPU, the attempts.
        tell: Hears of each epoch, and of which work.

    Yields:
        Index and record of each as it ends.

    Raises:
        InputError: If the cluster cannot be had.
    """
    join(compute, jobs)
    waiting, epochs = deque(range(len(work))), Counter[int]()
    deaths, losses = Attempts(compute.attempts), Attempts(_MACHINES_PER_ATTEMPT * compute.attempts)
    gpus = gpus_for(compute)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board: Any = ray.remote(Board).options(num_cpus=0, max_restarts=-1, scheduling_strategy=here).remote()
    task = ray.remote(_perform)
    running: dict[Any, int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < (jobs or _AHEAD):
                index = waiting.popleft()
                epochs[index] = 0
                cores = 1 if gpus else max(1, work[index].threads)
                options = task.options(num_cpus=cores, num_gpus=gpus, max_retries=0, name=work[index].name)
                running[options.remote(work[index], index, board, sys.path)] = index
            ready, _ = ray.wait(list(running), timeout=_LOOK_EVERY_S)
            for index, epoch in _news(board):
                epochs[index] += 1
                tell(index, epoch)
            for reference in ready:
                index = running.pop(reference)
                record = _outcome(reference)
                if not isinstance(record, RayError):
                    yield index, record
                    continue
                counter = losses if isinstance(record, NodeDiedError) else deaths
                if counter.died(index, epochs[index]):
                    waiting.appendleft(index)
                else:
                    yield index, work[index].lost(_reason(record, counter.limit))
    finally:
        with suppress(Exception):  # the cluster itself may be gone
            for reference in running:
                ray.cancel(reference, force=True)
            ray.kill(board)


def _perform(work: Work, index: int, board: Any, paths: Sequence[str]) -> dict[str, Any]:
    sys.path += [path for path in paths if path not in sys.path]
    go_first()
    set_threads(work.threads)
    return work.execute(lambda record: board.pin.remote(index, record))


def _news(board: Any) -> list[tuple[int, EpochRecord]]:
    with suppress(RayError, GetTimeoutError):  # what is on the board is told, and not needed
        notes: list[tuple[int, EpochRecord]] = ray.get(board.take.remote(), timeout=_PATIENCE_S)
        return notes
    return []


def _outcome(reference: Any) -> dict[str, Any] | RayError:
    try:
        record: dict[str, Any] = ray.get(reference)
    except RayError as error:
        return error
    return record


def _reason(error: RayError, times: int) -> str:
    lost = "its machine was lost" if isinstance(error, NodeDiedError) else "its process died"
    first = str(error).strip().partition("\n")[0][:300]
    return f"{lost} {times} times without an epoch between ({type(error).__name__}: {first})"
