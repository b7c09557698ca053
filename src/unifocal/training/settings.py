"""What `auto` means on this machine."""

import os

import torch

MOST_WORKERS = 8


def choose_precision(name: str) -> str:
    """The precision that `auto` means on this machine: bfloat16 where the processor computes in it.

    Returns:
        `bfloat16` or `float32`.
    """
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "bfloat16" if supported() else "float32"


def choose_workers(asked: int | None) -> int:
    """How many processes read and augment batches ahead; which samples come, and in which order, does not change.

    Args:
        asked: So many; None: none on a processor, whose cores train, and up to `MOST_WORKERS` beside a GPU.
    """
    if asked is not None:
        return asked
    return min(MOST_WORKERS, (os.cpu_count() or 1) - 1) if torch.cuda.is_available() else 0
