"""Whether the time per voxel stays the same from small cubes to the largest volumes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from contenders import REFERENCE, inputs
from report import table
from speed import interleaved

METHOD = (
    "Nanoseconds per voxel of forward and backward, for one cube with labels of one byte. `F.cross_entropy` takes "
    "labels of eight bytes only, so the conversion is part of its time.\n"
)
KEYS = ["ours:unified_focal", "ours:dice_cross_entropy", REFERENCE]
SIDES = (64, 128, 192, 256, 384, 512)
NEEDED = 5.0
"""Memory that cross entropy, the hungriest of the three, takes at most, in sizes of the logits."""


def scaling(sides: Sequence[int], *, repeats: int, dtype: torch.dtype, device: str) -> str:
    """The section on scaling, in Markdown."""
    parts = [METHOD]
    for classes in (2, 3):
        rows = []
        for side in sides:
            shape, voxels = (1, classes, side, side, side), side**3
            needed = NEEDED * voxels * classes * torch.finfo(dtype).bits / 8
            if needed > _free(device):
                rows.append([f"{side}³", *[f"not enough memory: {needed / 2**30:.0f} GiB needed"] * len(KEYS)])
                continue
            given = inputs(shape, dtype=dtype, labels=torch.uint8, device=device)
            rounds = min(repeats, max(3, 3 * 128**3 // voxels))
            times = interleaved(KEYS, given, rounds)
            rows.append([f"{side}³", *(f"{1e6 * times[key].median / voxels:.2f}" for key in KEYS)])
        head = [f"{classes} classes", *(f"`{key.split(':')[1]}`" for key in KEYS[:2]), "`F.cross_entropy`"]
        parts.append(table(head, rows))
    return "\n".join(parts)


def _free(device: str) -> float:
    """Bytes of memory that can still be had."""
    if device == "cuda":
        return float(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return 1024 * float(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
