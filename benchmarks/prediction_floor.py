"""How near prediction on the processor comes to what its arithmetic allows.

python benchmarks/prediction_floor.py --write docs/results/prediction_floor.md

The network's forward pass, its convolutions alone (each call's arguments recorded and called again), and the time that
as many operations take at the rate of a large matrix multiplication. Run it on a machine that does nothing else.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from report import circumstances, table
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from training_data import Shape

from unifocal.models import NetworkSpec
from unifocal.training.process import prepare_process

SHAPES = ("128x128:20", "512x800:2")
MATRIX = 2048

_PAGE = """# What prediction takes beside what the processor can do

Source A's network, batches in memory to logits in memory, {threads} threads, channels last. Operations are those of all
convolutions, a multiplication and an addition counted as two. Convolutions: the same calls without anything between
them. Floor: as many operations at the rate of a product of two {matrix}x{matrix} matrices ({rates}). The shortest of
{rounds} rounds each, by turns.

"""


class Recorder(TorchDispatchMode):
    """Keeps the arguments of every convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See `TorchDispatchMode`."""
        del types
        if func is torch.ops.aten.convolution.default:
            # What follows a convolution may work in place, on its result or on what it was given.
            self.calls.append((args[0].clone(), *args[1:]))
        return func(*args, **(kwargs or {}))


def convolutions(network: nn.Module, images: Tensor) -> list[tuple[Any, ...]]:
    """The arguments of all convolutions of a forward pass."""
    # In inference mode a recorder would see other operations, depending on the convolution.
    with torch.inference_mode(mode=False), torch.no_grad(), Recorder() as recorder:
        network(images)
    return recorder.calls


def replay(calls: list[tuple[Any, ...]]) -> None:
    """Only the convolutions."""
    for call in calls:
        torch.ops.aten.convolution.default(*call)


def operations(network: nn.Module, images: Tensor) -> int:
    """Of a forward pass's convolutions."""
    with FlopCounterMode(display=False) as counter:
        network(images)
    return int(counter.get_flop_counts()["Global"][torch.ops.aten.convolution])


def shortest(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of each work, which take turns, after one unmeasured turn."""
    best = dict.fromkeys(works, float("inf"))
    for number in range(rounds + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            seconds = time.perf_counter() - start
            if number:
                best[name] = min(best[name], seconds)
    return best


def row(shape: Shape, dtype: torch.dtype, rounds: int) -> tuple[list[str], float]:
    """A row of the table, and operations per second of the matrix product."""
    network = NetworkSpec("source_a", shape.channels, 1, shape.dimensions).build().eval().to(dtype)
    network = network.to(memory_format=torch.channels_last)
    images = torch.randn(shape.batch, shape.channels, *shape.size, dtype=dtype)
    images = images.contiguous(memory_format=torch.channels_last)
    matrices = [torch.randn(MATRIX, MATRIX, dtype=dtype) for _ in range(2)]
    with torch.inference_mode():
        calls, count = convolutions(network, images), operations(network, images)
        works: dict[str, Callable[[], object]] = {
            "network": lambda: network(images),
            "convolutions": lambda: replay(calls),
            "product": lambda: matrices[0] @ matrices[1],
        }
        seconds = shortest(works, rounds)
    rate = 2 * MATRIX**3 / seconds["product"]
    each = {name: 1e3 * seconds[name] / shape.batch for name in ("network", "convolutions")}
    floor = 1e3 * count / rate / shape.batch
    cells = [
        f"{shape.title}, {shape.batch}, {str(dtype).removeprefix('torch.')}",
        f"{count / shape.batch / 1e9:.2f}",
        *(f"{value:.1f}" for value in (each["network"], each["convolutions"], floor)),
        *(f"{100 * value / each['network']:.0f} %" for value in (each["convolutions"], floor)),
    ]
    return cells, rate


def page(shapes: list[Shape], dtypes: list[torch.dtype], rounds: int, command: str) -> str:
    """What was measured."""
    rows, rates = [], {}
    for shape in shapes:
        for dtype in dtypes:
            cells, rate = row(shape, dtype, rounds)
            rows.append(cells)
            rates[str(dtype).removeprefix("torch.")] = max(rate, rates.get(str(dtype).removeprefix("torch."), 0.0))
    told = ", ".join(f"{name} {rate / 1e9:.0f} billion a second" for name, rate in rates.items())
    text = _PAGE.format(threads=torch.get_num_threads(), matrix=MATRIX, rates=told, rounds=rounds)
    head = ["size, batch", "billion operations per image", "network, ms", "convolutions, ms", "floor, ms"]
    return text + "\n".join(
        [circumstances(command, packages=("unifocal", "torch")), table([*head, "convolutions", "floor"], rows)]
    )


def main() -> None:
    """Measure all shapes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, help="ROWSxCOLUMNS:BATCH")
    parser.add_argument("--precisions", nargs="+", default=["float32"], choices=["float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    prepare_process(given.threads)
    shapes = [Shape.parse(text) for text in given.shapes]
    dtypes = [getattr(torch, name) for name in given.precisions]
    words = [word for word in sys.argv[1:] if not word.startswith("--write") and word != str(given.write)]
    text = page(shapes, dtypes, given.rounds, shlex.join(["python", "benchmarks/prediction_floor.py", *words]))
    print(text)
    if given.write:
        given.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
