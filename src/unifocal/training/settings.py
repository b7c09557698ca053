"""What `auto` means on this machine."""

import math
import os
from collections.abc import Sequence

import torch

from unifocal.models.layout import channels_last

MOST_WORKERS = 8
_LARGE = 256 * 256


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


def choose_layout(spatial: Sequence[int], device: torch.device) -> torch.memory_format:
    """How images, features and weights lie in memory while a network trains on the device.

    Channels last, but for large images on a processor with AVX2 and without AVX-512: there oneDNN is slow with
    gradients of weights that lie so (docs/decisions/0012). Results differ by rounding, and by what dropout drops.

    Args:
        spatial: Sizes of an image.
        device: Where the network is.
    """
    is_large_image = len(spatial) == 2 and math.prod(spatial) >= _LARGE
    is_slow = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
    return torch.contiguous_format if is_large_image and is_slow else channels_last(len(spatial))


def choose_workers(asked: int | None) -> int:
    """How many processes read and augment batches ahead; which samples come, and in which order, does not change.

    Args:
        asked: So many; None: none on a processor, whose cores train, and up to `MOST_WORKERS` beside a GPU.
    """
    if asked is not None:
        return asked
    return min(MOST_WORKERS, (os.cpu_count() or 1) - 1) if torch.cuda.is_available() else 0
