"""Runs as Ray tasks: on whatever machines there are, also such as may go away."""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import ray
from ray.exceptions import NodeDiedError, RayError

from unifocal.config.sections import ComputeConfig
from unifocal.experiments.attempts import Attempts
from unifocal.experiments.on_ray.board import Pen, put_up, read
from unifocal.experiments.on_ray.cluster import gpus_for, join
from unifocal.experiments.processes import go_first
from unifocal.experiments.work import Work
from unifocal.training.process import prepare_process
from unifocal.training.records import EpochRecord

Tell = Callable[[int, EpochRecord], None]
Result = tuple[dict[str, Any], list[EpochRecord]]
"""A record, and all epochs of the attempt that ended with it."""

_AHEAD = 64
_LOOK_EVERY_S = 0.5
_SILENCES = 5
"""So often the board may not answer until what ended is dealt with all the same."""
_MACHINES_PER_ATTEMPT = 10
"""A machine that goes away says less about the work on it than a process that does."""


@dataclass
class _Attempt:
    """Work that was begun.

    Attributes:
        number: Of the attempt.
        index: Of the work.
        epochs: How many were told.
    """

    number: int
    index: int
    epochs: int = 0

    def hear(self, epochs: Sequence[EpochRecord], tell: Tell) -> None:
        """Tell of more epochs."""
        for epoch in epochs:
            self.epochs += 1
            tell(self.index, epoch)


def execute_on_ray(
    work: Sequence[Work], *, jobs: int, compute: ComputeConfig, tell: Tell
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
        RayFailedError: If it starts no process on this machine.
    """
    join(compute, jobs)
    waiting, numbers = deque(range(len(work))), count()
    deaths, losses = Attempts(compute.attempts), Attempts(_MACHINES_PER_ATTEMPT * compute.attempts)
    gpus, board, task = gpus_for(compute), put_up(), ray.remote(_perform)
    running: dict[Any, _Attempt] = {}
    silences = 0
    try:
        while waiting or running:
            while waiting and len(running) < (jobs or _AHEAD):
                attempt = _Attempt(next(numbers), waiting.popleft())
                each = work[attempt.index]
                options = task.options(num_cpus=_cores(each, gpus), num_gpus=gpus, max_retries=0, name=each.name)
                running[options.remote(each, attempt.number, board, sys.path)] = attempt
            ready, _ = ray.wait(list(running), timeout=_LOOK_EVERY_S)
            # Only now: whoever died has pinned up all that it closed, and its death counts by that.
            news = read(board, {attempt.number: attempt.epochs for attempt in running.values()})
            silences = silences + 1 if news is None else 0
            if 0 < silences < _SILENCES:
                continue
            for attempt in running.values():
                attempt.hear((news or {}).get(attempt.number, []), tell)
            for reference in ready:
                attempt, outcome = running.pop(reference), _outcome(reference)
                if not isinstance(outcome, RayError):
                    record, epochs = outcome
                    attempt.hear(epochs[attempt.epochs :], tell)
                    yield attempt.index, record
                    continue
                counter = losses if isinstance(outcome, NodeDiedError) else deaths
                if counter.died(attempt.index, attempt.epochs):
                    waiting.appendleft(attempt.index)
                else:
                    yield attempt.index, work[attempt.index].lost(_reason(outcome, counter.limit))
    finally:
        with suppress(Exception):  # the cluster itself may be gone
            for reference in running:
                ray.cancel(reference, force=True)
            ray.kill(board)


def _cores(work: Work, gpus: float) -> int:
    return 1 if gpus else max(1, work.threads)


def _perform(work: Work, attempt: int, board: Any, paths: Sequence[str]) -> Result:
    sys.path += [path for path in paths if path not in sys.path]
    go_first()
    prepare_process(work.threads)
    pen = Pen(board, attempt)
    return work.execute(pen), pen.epochs


def _outcome(reference: Any) -> Result | RayError:
    try:
        result: Result = ray.get(reference)
    except RayError as error:
        return error
    return result


def _reason(error: RayError, times: int) -> str:
    lost = "its machine was lost" if isinstance(error, NodeDiedError) else "its process died"
    first = str(error).strip().partition("\n")[0][:300]
    return f"{lost} {times} times without an epoch between ({type(error).__name__}: {first})"
