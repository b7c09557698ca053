"""The peak of the memory that work takes in a process of its own."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

GIB = 1 << 30


def in_fresh_process(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What work returns, and the peak of its process' resident memory in GiB, imports included.

    Args:
        work: A function of a module, so that another process can import it.
        arguments: That can be sent to another process.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measure, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    try:
        outcome, peak = ours.recv()
    except EOFError:
        process.join()
        message = f"the process ended with {process.exitcode}"
        raise MemoryError(message) from None
    process.join()
    return outcome, peak / GIB


def _measure(connection: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    outcome = work(*arguments)
    connection.send((outcome, status("VmHWM")))


def status(name: str) -> int:
    """A line of the process' status, in bytes: `VmRSS`, `VmHWM`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    message = f"the system does not tell {name}"
    raise OSError(message)
