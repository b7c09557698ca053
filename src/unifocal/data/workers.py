"""Work in other processes, which may crash, hang or run out of memory without harm to this one."""

import os
import pickle
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, thread
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal, TypeVar

from unifocal.data.child import Child, Context, describe_end

T = TypeVar("T")
R = TypeVar("R")

_AHEAD_PER_WORKER = 16
_LEAST_PER_WORKER = 8
_STARTS = 3
_MARGIN_S = 30.0
# By their numbers in malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 25


@dataclass(frozen=True)
class Failed:
    """Why an item has no result.

    Attributes:
        reason: `crashed`: its process died. `timeout`: it took too long. `memory`: it needed too much. `error`: it
            raised.
        detail: The signal, the limit, or the error's type and text.
    """

    reason: Literal["crashed", "timeout", "memory", "error"]
    detail: str


def map_isolated(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int = 0,
    timeout_s: Callable[[T], float] | float = 10.0,
    memory_bytes: Callable[[T], int] | int = 2 * 1024**3,
    advance: Callable[[], None] | None = None,
    preload: Sequence[str] = (),
    together: int = 1,
) -> Iterator[R | Failed]:
    """Apply a function to every item in processes of their own.

    Whatever an item does to its process, the others get their results. Memory is limited on Linux alone (the data of
    the process, RLIMIT_DATA). Nothing that the processes print is shown. Stopping early (an interrupt, or closing the
    iterator) ends them.

    Args:
        function: Importable by name, but not from the main script; items and results can be pickled likewise.
        items: Any number; a few per process are under way at a time.
        workers: Processes; 0: one per core. Few items get fewer.
        timeout_s: Seconds for one item, from when its process takes it.
        memory_bytes: For one item with all that the process holds beside.
        advance: Called after each item.
        preload: Modules to import before any item's time counts.
        together: How many items a process is sent at once, which pays where each takes but milliseconds. They share
            the time limit of the longest.

    What is lost with its process, or takes too long, is tried once more with no other item beside it, which may
    have left it too little memory or time.

    Yields:
        The results in the order of the items.
    """
    ahead, most = 0, max(1, min(workers or os.cpu_count() or 1, -(-len(items) // _LEAST_PER_WORKER)))
    limits = _Limits(timeout_s, memory_bytes)
    crew, alone = (_Crew(function, count, tuple(preload), limits) for count in (most, 1))
    running: deque[tuple[Sequence[T], Future[list[R | Failed] | Failed]]] = deque()
    try:
        while ahead < len(items) or running:
            while ahead < len(items) and len(running) < most * _AHEAD_PER_WORKER:
                part = items[ahead : ahead + together]
                running.append((part, crew.submit(part)))
                ahead += len(part)
            part, future = running.popleft()
            outcomes = future.result()
            for outcome in map(alone.outcome, part) if isinstance(outcomes, Failed) else outcomes:
                yield outcome
                if advance is not None:
                    advance()
    finally:
        try:
            crew.stop()
        finally:
            alone.stop()


@dataclass(frozen=True)
class _Limits:
    """Of time and memory; functions of the item, or the same for all."""

    timeout_s: Callable[[Any], float] | float
    memory_bytes: Callable[[Any], int] | int

    def seconds(self, item: Any) -> float:
        return self.timeout_s(item) if callable(self.timeout_s) else self.timeout_s

    def memory(self, item: Any) -> int:
        return self.memory_bytes(item) if callable(self.memory_bytes) else self.memory_bytes


class _Crew:
    """Threads, each with a process of its own, which is begun anew where it ended.

    Args:
        function: Of one item.
        size: Processes, none of which begins before it is given something to do.
        preload: Modules that each imports first.
        limits: Of each item.
    """

    def __init__(self, function: Callable[[Any], Any], size: int, preload: tuple[str, ...], limits: _Limits) -> None:
        self.function, self.preload, self.limits = function, preload, limits
        self.context = Context()
        if sys.platform != "win32":
            self.context.set_forkserver_preload([__name__, *preload])
        self.threads = ThreadPoolExecutor(size)
        self.own = threading.local()
        self.children: set[Child] = set()
        self.is_over, self.lock = False, threading.Lock()

    def submit(self, part: Sequence[Any]) -> Future[list[Any] | Failed]:
        return self.threads.submit(self._do, part)

    def outcome(self, item: Any) -> Any:
        """What becomes of one item with nothing beside it."""
        outcomes = self.submit([item]).result()
        return outcomes if isinstance(outcomes, Failed) else outcomes[0]

    def stop(self) -> None:
        """End all processes, whatever they do."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        with self.lock:
            self.is_over = True
            children = tuple(self.children)
        for child in children:
            child.process.kill()  # its thread then closes it
        self.threads.shutdown()
        for child in self.children:
            child.kill()

    def _do(self, part: Sequence[Any]) -> list[Any] | Failed:
        """In a thread: the outcome of each item, or why the process gave none of them."""
        if thread._shutdown:  # noqa: SLF001 - the interpreter ends, with an iterator that nobody closed
            return Failed("error", "interrupted")
        seconds, memory = max(map(self.limits.seconds, part)), [self.limits.memory(item) for item in part]
        child = self._child()
        try:
            child.line.send((part, memory, seconds))
            said = child.hear(seconds)
        except (EOFError, OSError):
            self._forget(child)
            return _expired(child.close())
        if said is None:
            self._forget(child)
            child.kill()
            return Failed("timeout", f"{seconds:g} s")
        try:
            outcomes: list[Any] | Failed = pickle.loads(said)  # noqa: S301 - of a process of our own
        except Exception as error:  # noqa: BLE001 - whatever its own class raises when it is built again
            return Failed("error", f"{type(error).__name__}: {error}")
        return outcomes

    def _child(self) -> Child:
        """This thread's process, ready to take something."""
        child: Child | None = getattr(self.own, "child", None)
        if child is not None and child.is_dead():
            self._forget(child)
            child.kill()
            child = None
        for _ in range(_STARTS):
            if child is None and not self.is_over:
                child = self._started()
        if child is None:
            message = "the processes that read the files end again and again, or cannot be started"
            raise OSError(message)
        return child

    def _started(self) -> Child | None:
        try:
            child = Child(self.context, _serve, self.function, self.preload)
        except (EOFError, OSError):
            return None
        with self.lock:
            self.children.add(child)
            if self.is_over:
                child.process.kill()
        try:
            child.hear()  # it has imported everything
        except (EOFError, OSError):
            self._forget(child)
            child.close()
            return None
        self.own.child = child
        return child

    def _forget(self, child: Child) -> None:
        self.own.child = None
        with self.lock:
            self.children.discard(child)


def _expired(code: int | None) -> Failed:
    if sys.platform != "win32" and code == -signal.SIGKILL:
        return Failed("memory", "killed by the system")
    return Failed("crashed", describe_end(code))


def _serve(line: "Connection[Any, Any]", function: Callable[[Any], Any], preload: tuple[str, ...]) -> None:
    _start(preload)
    own = os.getpid()
    with suppress(EOFError, OSError):
        line.send(None)
        while True:
            part, memory, seconds = line.recv()
            with _ended_after(seconds + _MARGIN_S):
                outcomes = [_with_memory(function, item, limit) for item, limit in zip(part, memory, strict=True)]
                if os.getpid() != own:  # the function forked, and both come back
                    os._exit(0)
                try:
                    said = pickle.dumps(outcomes)
                except Exception as error:  # noqa: BLE001 - whatever its own class raises
                    said = pickle.dumps(_raised(error))
            line.send_bytes(said)


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """Meanwhile, the system ends this process when the time is over, should nobody be left to do so."""
    if sys.platform == "win32":
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


def _start(preload: tuple[str, ...]) -> None:
    """A process begins: it says nothing and leaves no core file."""
    import importlib

    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    _keep_freed_memory()
    for module in preload:
        importlib.import_module(module)


def _keep_freed_memory() -> None:
    """Let the C library keep what is freed: asking the system anew for each image costs as much as reading it."""
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _with_memory(function: Callable[[T], R], item: T, memory: int) -> R | Failed:
    """The function's result, with as much memory as said. Nothing is raised: not every error can be pickled."""
    try:
        with _limited(memory):
            return function(item)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the function's own, whatever it is
        return _raised(error)


@contextmanager
def _limited(memory: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource

    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def _raised(error: BaseException) -> Failed:
    if isinstance(error, MemoryError):
        return Failed("memory", str(error))
    return Failed("error", f"{type(error).__name__}: {error}")
