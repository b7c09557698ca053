"""Work in other processes, which may crash, hang or run out of memory without harm to this one."""

import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as TimedOutError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from pebble import ProcessPool

T = TypeVar("T")
R = TypeVar("R")

_AHEAD_PER_WORKER = 16
_LEAST_PER_WORKER = 8
_REBUILDS = 3
# By their numbers in malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 25
_MAIN_LOCK = threading.Lock()


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

    What is lost with its process, or takes too long, is tried once more with nothing beside it: the pool may blame a
    process' death on an item whose result it had not read yet.

    Yields:
        The results in the order of the items.
    """
    ahead, most = 0, max(1, min(workers or os.cpu_count() or 1, -(-len(items) // _LEAST_PER_WORKER)))
    limits = _Limits(timeout_s, memory_bytes)
    # Neither starts a process before it is given something to do.
    pool, alone = (_Pool(function, count, tuple(preload), limits) for count in (most, 1))
    running: deque[tuple[Sequence[T], Future[list[R | Failed]]]] = deque()
    try:
        while ahead < len(items) or running:
            while ahead < len(items) and len(running) < most * _AHEAD_PER_WORKER:
                part = items[ahead : ahead + together]
                running.append((part, pool.submit(part)))
                ahead += len(part)
            if _is_lost(running[0][1]):
                pool.rebuild()
                running = deque((part, pool.submit(part) if _is_lost(future) else future) for part, future in running)
                continue
            pool.rebuilds = 0
            part, future = running.popleft()
            outcomes = _outcomes(future)
            for outcome in map(alone.outcome, part) if isinstance(outcomes, Failed) else outcomes:
                yield outcome
                if advance is not None:
                    advance()
    finally:
        pool.stop()
        alone.stop()


if sys.platform == "win32":
    from multiprocessing.context import SpawnContext as _BaseContext
    from multiprocessing.context import SpawnProcess as _BaseProcess
else:
    from multiprocessing.context import ForkServerContext as _BaseContext
    from multiprocessing.context import ForkServerProcess as _BaseProcess


class _Process(_BaseProcess):
    """A process that does not run the main script again.

    `multiprocessing` does so for functions that are defined there, of which there are none here. It fails where the
    script came through a pipe or lacks its guard, and costs the import of all that the script needs.
    """

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - the name is that of multiprocessing
        with _MAIN_LOCK:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                return _BaseProcess._Popen(process_obj)  # noqa: SLF001
            finally:
                sys.modules["__main__"] = main


class Context(_BaseContext):
    """Starts processes that know nothing of the main script."""

    Process = _Process


@dataclass(frozen=True)
class _Limits:
    """Of time and memory; functions of the item, or the same for all."""

    timeout_s: Callable[[Any], float] | float
    memory_bytes: Callable[[Any], int] | int

    def seconds(self, item: Any) -> float:
        return self.timeout_s(item) if callable(self.timeout_s) else self.timeout_s

    def memory(self, item: Any) -> int:
        return self.memory_bytes(item) if callable(self.memory_bytes) else self.memory_bytes


class _Pool:
    """Pebble's pool, which can be built anew where its own bookkeeping was lost with a process."""

    def __init__(self, function: Callable[[Any], Any], workers: int, preload: tuple[str, ...], limits: _Limits) -> None:
        self.function, self.workers, self.preload, self.limits = function, workers, preload, limits
        self.rebuilds = 0
        self.pool = self._build()

    def submit(self, part: Sequence[Any]) -> Future[Any]:
        seconds, memory = max(map(self.limits.seconds, part)), [self.limits.memory(item) for item in part]
        return self.pool.schedule(_within, args=(self.function, part, memory), timeout=seconds)

    def outcome(self, item: Any) -> Any:
        """What becomes of one item with nothing beside it."""
        while _is_lost(future := self.submit([item])):
            self.rebuild()
        self.rebuilds = 0
        outcomes = _outcomes(future)
        return outcomes if isinstance(outcomes, Failed) else outcomes[0]

    def rebuild(self) -> None:
        self.rebuilds += 1
        if self.rebuilds > _REBUILDS:
            message = "the processes that read the files end again and again, or cannot be started"
            raise OSError(message)
        self.stop()
        self.pool = self._build()

    def stop(self) -> None:
        self.pool.stop()  # type: ignore[no-untyped-call]
        self.pool.join()

    def _build(self) -> "ProcessPool":
        from pebble import ProcessPool

        context = Context()
        if sys.platform != "win32":
            context.set_forkserver_preload([__name__, *self.preload])
        return ProcessPool(self.workers, initializer=_start, initargs=(self.preload,), context=context)


def _is_lost(future: Future[Any]) -> bool:
    """Whether the pool broke down over it (which waits until it is done)."""
    try:
        return isinstance(future.exception(), BrokenProcessPool)
    except CancelledError:
        return True


def _outcomes(future: Future[list[R | Failed]]) -> list[R | Failed] | Failed:
    from pebble import ProcessExpired

    try:
        return future.result()
    except ProcessExpired as error:
        return _expired(error.exitcode)
    except TimedOutError as error:
        return Failed("timeout", f"{error.args[1]:g} s")


def _expired(code: int) -> Failed:
    if code == -getattr(signal, "SIGKILL", 0):
        return Failed("memory", "killed by the system")
    known = -code in {item.value for item in signal.Signals}
    return Failed("crashed", signal.Signals(-code).name if known else f"exit code {code}")


def _start(preload: tuple[str, ...]) -> None:
    """A process begins: it says nothing, leaves no core file, and ends at once when told to."""
    import importlib

    # Pebble's handler waits for Python code to go on, which a decoder that hangs never lets it do.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
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


def _within(function: Callable[[T], R], part: Sequence[T], memory: Sequence[int]) -> list[R | Failed]:
    return [_with_memory(function, item, limit) for item, limit in zip(part, memory, strict=True)]


def _with_memory(function: Callable[[T], R], item: T, memory: int) -> R | Failed:
    """The function's result, with as much memory as said. Nothing is raised: not every error can be pickled."""
    if sys.platform == "linux":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        soft = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    try:
        return function(item)
    except MemoryError as error:
        return Failed("memory", str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the function's own, whatever it is
        return Failed("error", f"{type(error).__name__}: {error}")
