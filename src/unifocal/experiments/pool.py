"""Runs one after the other in this process, or several at once in processes of their own."""

import multiprocessing
import os
import queue
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any

from unifocal.experiments.progress import Reporter
from unifocal.experiments.run import RunTask, execute, prepare_worker
from unifocal.problems import WorkFailedError
from unifocal.training.callbacks import EpochRecord

_messages: Any = None


class WorkerLostError(WorkFailedError):
    """A worker process was killed from outside."""


def execute_all(tasks: Sequence[RunTask], *, jobs: int, reporter: Reporter) -> Iterator[dict[str, Any]]:
    """Do every run; `reporter` hears of each epoch.

    Args:
        tasks: The runs.
        jobs: How many at once. With 1 they run in this process.
        reporter: Advanced by one per epoch.

    Yields:
        The record of each run as it ends.

    Raises:
        WorkerLostError: If a worker process dies, for instance killed for its memory.
    """
    if not tasks:
        return
    if jobs == 1 or len(tasks) == 1:
        prepare_worker(tasks[0].training.threads, parent=None)
        for task in tasks:
            yield execute(task, partial(_report, reporter, task))
        return
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_start, initargs=(tasks[0].training.threads, os.getpid(), messages)
    ) as pool:
        pending: set[Future[dict[str, Any]]] = {pool.submit(_execute, task) for task in tasks}
        try:
            while pending:
                finished, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
                _drain(messages, reporter)
                for future in finished:
                    yield future.result()
        except BrokenProcessPool:
            message = (
                "a worker process was killed, perhaps because memory ran out; "
                f"the same command continues, fewer --jobs (now {jobs}) need less memory"
            )
            raise WorkerLostError(message) from None
        finally:
            for future in pending:
                future.cancel()
            if pending:
                _kill(pool)


def _report(reporter: Reporter, task: RunTask, record: EpochRecord) -> None:
    reporter.advance(1, _note(str(task.key), record))


def _start(threads: int, parent: int, messages: Any) -> None:
    global _messages  # noqa: PLW0603 - a pool's initializer has no other way to hand a queue to its tasks
    _messages = messages
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted study's own process ends its workers
    prepare_worker(threads, parent)


def _execute(task: RunTask) -> dict[str, Any]:
    return execute(task, lambda record: _messages.put(_note(str(task.key), record)))


def _drain(messages: Any, reporter: Reporter) -> None:
    while True:
        try:
            note = messages.get_nowait()
        except queue.Empty:
            return
        reporter.advance(1, note)


def _kill(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):  # noqa: SLF001 - public only from Python 3.14
        process.kill()


def _note(name: str, record: EpochRecord) -> str:
    return f"{name}: epoch {record.epoch + 1}, validation Dice {record.validation_dice:.2f}"
