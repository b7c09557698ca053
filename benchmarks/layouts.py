"""Whether channels lie first or last: a training step and a prediction of both, by turns, and what the program takes.

python benchmarks/layouts.py --write docs/results/layouts.md

Networks are named as settings call them. Run it on a machine that does nothing else.
"""

import argparse
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from report import circumstances, table
from torch import nn
from training_data import Shape

from unifocal.models import NetworkSpec
from unifocal.training.process import prepare_process
from unifocal.training.settings import choose_layout

CASES = (
    "source_a:128x128:20", "source_a:256x256:8", "source_a:512x512:2", "source_a:512x800:2",
    "source_b_2d:96x128:4", "source_b_2d:256x256:2", "volumes:64x64x64:2",
)  # fmt: skip

_PAGE = """# Channels first or last

A step of training (forward pass, cross entropy, backward pass, Adam) and a prediction, {threads} threads, float32, on
noise: milliseconds, medians of {rounds} rounds by turns after an unmeasured one. "Taken": what the program trains with
here; it always predicts with channels last.

"""


def training_step(network: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    """A step of training on these images, over and over."""
    truth = (torch.rand(len(images), 1, *images.shape[2:]) > 0.95).float()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(network.train()(images), truth).backward()
        optimizer.step()

    return step


def prediction(network: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    """A forward pass without gradients."""

    def predict() -> None:
        with torch.inference_mode():
            network.eval()(images)

    return predict


def row(name: str, shape: Shape, rounds: int) -> list[str]:
    """A row of the table."""
    last = torch.channels_last if shape.dimensions == 2 else torch.channels_last_3d
    layouts = {"first": torch.contiguous_format, "last": last}
    works: dict[tuple[str, str], Callable[[], None]] = {}
    for where, layout in layouts.items():
        network = NetworkSpec(name, shape.channels, 1, shape.dimensions).build().to(memory_format=layout)  # type: ignore[call-overload]
        images = torch.randn(shape.batch, shape.channels, *shape.size).contiguous(memory_format=layout)
        works["step", where], works["predict", where] = training_step(network, images), prediction(network, images)
    seconds: dict[tuple[str, str], list[float]] = {work: [] for work in works}
    for number in range(rounds + 1):
        for work, do in works.items():
            start = time.perf_counter()
            do()
            if number:
                seconds[work].append(time.perf_counter() - start)
    median = {work: statistics.median(each) for work, each in seconds.items()}
    taken = "first" if choose_layout(shape.size, torch.device("cpu")) == torch.contiguous_format else "last"
    cells = [f"`{name}`, {shape.title}, {shape.batch}"]
    for kind in ("step", "predict"):
        first, last_ = median[kind, "first"], median[kind, "last"]
        cells += [f"{1e3 * first:.0f}", f"{1e3 * last_:.0f}", f"{last_ / first:.2f}"]
    return [*cells, taken]


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=CASES, help="NETWORK:ROWSxCOLUMNS:BATCH")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    prepare_process(given.threads)
    rows = []
    for case in given.cases:
        name, _, shape = case.partition(":")
        print(case, file=sys.stderr, flush=True)
        rows.append(row(name, Shape.parse(shape), given.rounds))
    words = [word for word in sys.argv[1:] if not word.startswith("--write") and word != str(given.write)]
    command = shlex.join(["python", "benchmarks/layouts.py", *words])
    head = [f"{kind}, {each}" for kind in ("step", "prediction") for each in ("first", "last", "last / first")]
    text = _PAGE.format(threads=given.threads, rounds=given.rounds)
    capability = f"PyTorch sees {torch.backends.cpu.get_cpu_capability()}.\n"
    parts = [circumstances(command, packages=("unifocal", "torch")), capability]
    text += "\n".join([*parts, table(["network, size, batch", *head, "taken"], rows)])
    print(text)
    if given.write:
        given.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
