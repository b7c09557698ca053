"""What becomes of work that did not end well: tried again, or told in plain words."""

import builtins
import errno
import re
from collections import Counter

_MEMORY_SIGNS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "bad_alloc",
    "alloc_failed",
)


_OUTSIDE_ERRORS = [
    name for name, each in vars(builtins).items() if isinstance(each, type) and issubclass(each, OSError | MemoryError)
]
_OUTSIDE = re.compile(
    # Only work whose storage failed begins with its address.
    r"^(\w+:)?[/\\]|memory ran out|the disk is full|its process died|results (are not at|cannot be fetched)|CUDA error"
    rf"|\b({'|'.join(_OUTSIDE_ERRORS)}|Timeout|UnreadableError)\b"
)


class Attempts:
    """Counts deaths of processes, so that work that kills every process it is given is not tried for ever.

    Args:
        limit: How many deaths without an epoch between them are too many.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.deaths: Counter[int] = Counter()

    def died(self, index: int, epochs: int) -> bool:
        """Whether to try work again whose process died.

        Args:
            index: Which.
            epochs: That it closed since it was last begun; with one more of them, counting begins anew.
        """
        self.deaths[index] = 1 if epochs else self.deaths[index] + 1
        return self.deaths[index] < self.limit


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, PyTorch or the system refused memory; PyTorch has an error of its own for GPUs alone."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _MEMORY_SIGNS)


def explain(error: BaseException) -> str:
    """Why a run failed, for its record."""
    told = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk is full, make room for the same command to go on ({told})"
    return told


def is_from_outside(reason: str) -> bool:
    """Whether the reason of a failed record is the machine's (disk, memory, a lost process), not the work's own."""
    return _OUTSIDE.search(reason) is not None
