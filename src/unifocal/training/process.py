"""What a process that trains asks of its libraries."""

import ctypes
import sys

import torch

_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # glibc's malloc.h
_NEVER = 2**31 - 1


def prepare_process(threads: int) -> None:
    """Make this process one that trains: so many threads, and memory that is used again.

    A training step frees and takes the same large blocks as the one before. By default the C library hands each of
    them back to the system and takes it anew, a page at a time, which costs up to half of a step on the processor.

    Args:
        threads: That PyTorch takes.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Let the C library keep what is freed, for the rest of this process; nothing where it is not glibc."""
    if sys.platform != "linux":
        return
    malloc_options = getattr(ctypes.CDLL(None), "mallopt", None)
    if malloc_options is not None:
        malloc_options(_MMAP_MAX, 0)
        malloc_options(_TRIM_THRESHOLD, _NEVER)
