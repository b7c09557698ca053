"""What limits the fused losses on the CPU: the cost of a call, of a piece, and of fresh memory.

python benchmarks/overhead.py
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from unifocal.losses import create
from unifocal.losses.fused import pieces


def milliseconds(work: Callable[[], object], repeats: int = 41) -> float:
    """The median time of a call, after some unmeasured ones."""
    for _ in range(5):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def training_step(loss: Callable[..., torch.Tensor], positions: int) -> Callable[[], object]:
    """Forward and backward on two classes."""
    logits = torch.randn(1, 2, positions).requires_grad_()
    labels = torch.zeros(1, positions, dtype=torch.int64)
    labels[:, : positions // 20] = 1

    def step() -> None:
        logits.grad = None
        loss(logits, labels).backward()

    return step


def main() -> None:
    loss: nn.Module = create("unified_focal")
    print(f"{torch.get_num_threads()} threads; medians in ms\n")
    call = milliseconds(training_step(loss, 64))
    print(f"unified_focal, 64 voxels (the fixed cost of a call): {call:.2f}")
    print(f"F.cross_entropy, 64 voxels: {milliseconds(training_step(F.cross_entropy, 64)):.2f}\n")
    pieces.SHARE = 100.0
    positions = 1 << 17
    whole = milliseconds(training_step(loss, positions))
    pieces.MOST, pieces.FEWEST = positions // 8, 1
    eight = milliseconds(training_step(loss, positions))
    print(f"unified_focal, {positions:,} voxels in one piece: {whole:.2f}, in eight: {eight:.2f}")
    print(f"a piece more costs {(eight - whole) / 7:.2f}\n")
    for megabytes in (4, 14, 49):
        numbers = megabytes * 250_000
        touched = torch.empty(numbers)
        again = milliseconds(lambda touched=touched: touched.fill_(1), 11)
        fresh = milliseconds(lambda numbers=numbers: torch.empty(numbers).fill_(1), 11)
        print(f"filling {megabytes} MB: {again:.2f} where the memory was used before, {fresh:.2f} fresh")


if __name__ == "__main__":
    main()
