"""A process with a line of its own to this one, either of which may die at any moment."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.process import current_process, parent_process
from pathlib import Path
from types import ModuleType
from typing import Any

if sys.platform == "win32":
    from multiprocessing.context import SpawnContext as _BaseContext
    from multiprocessing.context import SpawnProcess as _BaseProcess
else:
    from multiprocessing.context import ForkServerContext as _BaseContext
    from multiprocessing.context import ForkServerProcess as _BaseProcess

_PATIENCE_S, _LEAVE_S = 5.0, 1.0
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
            sys.modules["__main__"] = _without_file(main)
            try:
                return _BaseProcess._Popen(process_obj)  # noqa: SLF001
            finally:
                sys.modules["__main__"] = main


def _without_file(main: ModuleType) -> ModuleType:
    """A module that looks the same to whoever pickles something of it meanwhile, and cannot be run again."""
    module = ModuleType("__main__")
    vars(module).update({name: value for name, value in vars(main).items() if name != "__file__"}, __spec__=None)
    return module


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
        try:
            with end:
                self.process = context.Process(target=_begin, args=(serve, end, *arguments), daemon=True)
                with _STATE_LOCK:
                    self.process.start()
        except BaseException:
            self.line.close()  # an interrupt may leave a process, which then hears that nobody wants it
            raise

    def hear(self, seconds: float | None = None) -> bytes | None:
        """What it says next, pickled; None: nothing within so many seconds.

        Raises:
            EOFError, OSError: If it is dead.
        """
        if not wait([self.line, self.process.sentinel], seconds):
            return None
        if not self.line.poll():  # whoever it has begun may hold its end of the line
            raise EOFError
        return self.line.recv_bytes()

    def is_dead(self) -> bool:
        """Of one that has nothing to say: whether it died, or is about to."""
        return bool(wait([self.line, self.process.sentinel], 0))

    def close(self) -> int | None:
        """End one that hung up, or died.

        Returns:
            Its exit code; None: it went on without its line.
        """
        with _STATE_LOCK:
            self.process.join(_PATIENCE_S)
            code = self.process.exitcode
        self.kill()
        return code

    def kill(self) -> None:
        """End it at once, whatever it does."""
        with _STATE_LOCK:
            self.process.kill()
            self.process.join()
            self.line.close()


def describe_end(code: int | None) -> str:
    """How a process ended, by what `Child.close` says: `SIGKILL`, `exit code 3`."""
    if code is None:
        return "it closed its line"
    return signal.Signals(-code).name if -code in {item.value for item in signal.Signals} else f"exit code {code}"


def _begin(serve: Callable[..., None], line: "Connection[Any, Any]", *arguments: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted parent ends it
    end_with_parent()
    # Its parent ends it as a daemon, but for that a daemon could have no processes of its own.
    current_process()._config["daemon"] = False  # type: ignore[attr-defined]  # noqa: SLF001
    serve(line, *arguments)


def end_with_parent() -> None:
    """Let this process end when the one that started it does, however that one ends."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(1)


def leave_server() -> None:
    """Fork no more from the present server, which ends after the last of its processes; a new one takes new imports.

    The standard library's way to do so waits for all of them, for ever if one of them does not end.
    """
    if sys.platform == "win32":
        return
    from multiprocessing import forkserver, util

    server = vars(forkserver._forkserver)  # noqa: SLF001
    with server["_lock"]:
        pid, address = server["_forkserver_pid"], server["_forkserver_address"]
        if pid is None:
            return
        os.close(server["_forkserver_alive_fd"])
        server.update(_forkserver_alive_fd=None, _forkserver_pid=None, _forkserver_address=None)
        if not util.is_abstract_socket_namespace(address):
            Path(address).unlink(missing_ok=True)
    deadline = time.monotonic() + _LEAVE_S
    with suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
