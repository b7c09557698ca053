"""What the processes of `test_workers` are made to do: picklable by name."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def do(item: tuple[str, float]) -> float:
    what, value = item
    return _JOBS[what](value)


def _wait(value: float) -> float:
    time.sleep(value)
    return value


def _shout(value: float) -> float:
    os.write(1, b"to stdout")
    os.write(2, b"to stderr")
    print("loud")
    return value


def _raise(_value: float) -> float:
    raise OddError(1, 2)


class OddError(Exception):
    """Cannot be unpickled: its arguments are not those of its constructor."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def _nested(depth: float) -> list[Any]:
    found: list[Any] = []
    for _ in range(int(depth)):
        found = [found]
    return found


def _held(_value: float) -> float:
    """Bytes that RLIMIT_DATA counts."""
    status = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in status if line.startswith("VmData:"))
    return 1024.0 * int(kilobytes)


def _fork(value: float) -> float:
    """Both come back."""
    os.fork()
    return value


def _leave_a_child(_value: float) -> None:
    if os.fork() == 0:
        time.sleep(45)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGSEGV)


def write_pid(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(60)


_JOBS: dict[str, Callable[[float], Any]] = {
    "square": lambda value: value**2,
    "wait": _wait,
    # PyDLL keeps the interpreter's lock, as a decoder does that never lets it go.
    "hang in C": lambda value: ctypes.PyDLL(None).sleep(60),
    "segfault": lambda value: ctypes.string_at(0),
    "leave": lambda value: os._exit(3),
    "killed": lambda value: os.kill(os.getpid(), signal.SIGKILL),
    "eat": lambda value: float(np.ones(int(value), np.uint8).sum()),
    "exit": lambda value: sys.exit("bye"),
    "unpicklable error": _raise,
    "shout": _shout,
    "bytes": lambda value: bytes(int(value)),
    "unpicklable result": lambda value: lambda: value,
    "endless result": lambda value: _nested(1e5),
    "unloadable result": lambda value: OddError(1, 2),
    "held": _held,
    "fork": _fork,
    "leave a child": _leave_a_child,
    "close all": lambda value: os.closerange(3, 256) or time.sleep(20),
}
