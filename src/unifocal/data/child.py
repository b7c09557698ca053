"""A process with a line of its own to this one, either of which may die at any moment."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from multiprocessing.process import current_process, parent_process
from types import ModuleType
from typing import Any

if sys.platform == "win32":
    from multiprocessing.context import SpawnContext as _BaseContext
    from multiprocessing.context import SpawnProcess as _BaseProcess
else:
    from multiprocessing.context import ForkServerContext as _BaseContext
    from multiprocessing.context import ForkServerProcess as _BaseProcess

_PATIENCE_S = 5.0
_MAIN_LOCK = threading.Lock()
# Whoever starts a process looks after all others: two threads at once would each read half of what one has left.
_STATE_LOCK = threading.Lock()


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


class Child:
    """A process and the line to it. No lock is shared, so whoever dies leaves the others in peace.

    Args:
        context: Starts it.
        serve: What it does; takes its end of the line first.
        arguments: What else `serve` takes.

    Raises:
        OSError, EOFError: If it cannot be started.
    """

    def __init__(self, context: Context, serve: Callable[..., None], *arguments: Any) -> None:
        self.line, end = Pipe()
        with end:
            self.process = context.Process(target=_begin, args=(serve, end, *arguments), daemon=True)
            with _STATE_LOCK:
                self.process.start()

    def close(self) -> int:
        """End it, if it has not ended by itself, as whoever hung up is about to.

        Returns:
            Its exit code.
        """
        return self._close(_PATIENCE_S)

    def kill(self) -> None:
        """End it at once."""
        self._close(0)

    def _close(self, patience_s: float) -> int:
        with _STATE_LOCK:
            self.process.join(patience_s)
            self.process.kill()
            self.process.join()
            self.line.close()
            return self.process.exitcode or 0


def _begin(serve: Callable[..., None], line: "Connection[Any, Any]", *arguments: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted parent ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Its parent ends it as a daemon, but for that a daemon could have no processes of its own.
    current_process()._config["daemon"] = False  # type: ignore[attr-defined]  # noqa: SLF001
    serve(line, *arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
