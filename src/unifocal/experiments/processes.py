"""Work in processes of this machine, any of which may die at any moment."""

import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from unifocal.data.child import Child, Context, describe_end, leave_server
from unifocal.experiments.attempts import Attempts
from unifocal.experiments.work import Work
from unifocal.training.process import prepare_process
from unifocal.training.records import EpochRecord

Tell = Callable[[int, EpochRecord], None]


def execute_in_processes(
    work: Sequence[Work], *, jobs: int, attempts: int, tell: Tell
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Do all work, several at once.

    A process that dies costs its own work one attempt, which goes on from its last epoch. Closing the iterator, or an
    interrupt, ends all processes; so does the death of this one.

    Args:
        work: What is to be done.
        jobs: Processes.
        attempts: How many deaths without an epoch between them end the attempts.
        tell: Hears of each epoch, and of which work.

    Yields:
        Index and record of each as it ends.
    """
    waiting, deaths = deque(range(len(work))), Attempts(attempts)
    crew: list[_Worker] = []
    with _context() as context:
        try:
            while waiting or any(worker.index is not None for worker in crew):
                _employ(crew, context, jobs, waiting, work)
                for worker in _ready(crew):
                    index, message = worker.index, worker.hear()
                    if message is None:
                        crew.remove(worker)
                    if index is None:
                        continue
                    if isinstance(message, EpochRecord):
                        tell(index, message)
                    elif message is not None:
                        yield index, message
                    elif deaths.died(index, worker.epochs):
                        waiting.appendleft(index)
                    else:
                        yield index, work[index].lost(_reason(worker, attempts))
        finally:
            for worker in crew:
                worker.child.process.kill()
            for worker in crew:
                worker.child.kill()


class _Worker:
    """A process that takes work."""

    def __init__(self, context: Context) -> None:
        self.child = Child(context, _serve)
        self.index: int | None = None
        self.exitcode: int | None = None
        self.epochs = 0

    def take(self, index: int, work: Work) -> None:
        self.index, self.epochs = index, 0
        with suppress(BrokenPipeError, ConnectionResetError):  # it died meanwhile, which `hear` finds out
            self.child.line.send(work)

    def hear(self) -> EpochRecord | dict[str, Any] | None:
        """An epoch, the record at the end; None: the process is dead."""
        try:
            said = self.child.hear()
        except (EOFError, OSError):
            self.exitcode = self.child.close()
            return None
        assert said is not None
        message: EpochRecord | dict[str, Any] = pickle.loads(said)  # noqa: S301 - of a process of our own
        if isinstance(message, EpochRecord):
            self.epochs += 1
        else:
            self.index = None
        return message


def _employ(crew: list[_Worker], context: Context, jobs: int, waiting: deque[int], work: Sequence[Work]) -> None:
    """Give what waits to those who are idle, and to new ones up to the number of jobs."""
    busy = sum(worker.index is not None for worker in crew)
    while len(crew) < min(jobs, busy + len(waiting)):
        crew.append(_Worker(context))
    for worker in crew:
        if worker.index is None and waiting:
            worker.take(waiting[0], work[waiting.popleft()])


def _ready(crew: Sequence[_Worker]) -> list[_Worker]:
    heard = wait([end for worker in crew for end in (worker.child.line, worker.child.process.sentinel)])
    return [worker for worker in crew if {worker.child.line, worker.child.process.sentinel} & {*heard}]


def _reason(worker: _Worker, attempts: int) -> str:
    how = describe_end(worker.exitcode)
    perhaps = "; perhaps memory ran out: fewer --jobs need less" if how == "SIGKILL" else ""
    times = "once" if attempts == 1 else f"{attempts} times without an epoch between"
    return f"its process died {times} ({how}){perhaps}"


def _serve(line: "Connection[Any, Any]") -> None:
    go_first()
    with suppress(EOFError, OSError):
        while True:
            work: Work = line.recv()
            prepare_process(work.threads)
            line.send(work.execute(line.send))


def go_first() -> None:
    """Ask the system to end this process before others when memory runs out: its work goes on, the study's not."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


@contextmanager
def _context() -> Iterator[Context]:
    """Processes that are forked from one that has imported all they need, where that is safe: not near a GPU."""
    context = Context()
    if sys.platform != "linux" or torch.cuda.is_available():
        yield context
        return
    # The server that reading the images left has imported other things.
    leave_server()
    context.set_forkserver_preload([__name__, "unifocal.training.loop"])
    try:
        yield context
    finally:
        leave_server()
