"""How near a training comes to what its network takes by itself, on the device that trains: a GPU where there is one.

python benchmarks/device_training.py --write docs/results/device_training.md
python benchmarks/device_training.py --shapes 128x128:20:200 --precision float32 --compile
python benchmarks/device_training.py --quick

The floor is the forward and the backward pass of the network alone, on one batch that lies on the device, on a GPU
replayed as a CUDA graph, so that nothing waits for the processor. Run it on a machine that does nothing else.
"""

import argparse
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from report import circumstances, table
from training_data import Shape, write_arrays
from training_ours import hook, prepared_cases, settings_for
from training_tables import spread

from unifocal.config.schema import LossConfig, NetworkConfig
from unifocal.experiments.run import build_network, samples_for
from unifocal.experiments.segment import build_loss
from unifocal.training import fit
from unifocal.training.process import prepare_process
from unifocal.training.settings import choose_layout

SHAPES = ("128x128:20:200", "512x800:2:24", "96x96x96:2:8")
QUICK = ("32x32:2:4",)
LOSS = "unified_focal"
WAYS = {
    "as it is by default": {},
    "data and augmentation on the device": {"on_device": True},
    "the same, compiled": {"on_device": True, "compile": True},
}
FLOOR_STEPS = 20
_TOLD = (
    "Source A's U-Net (2D) or the default network for volumes, {loss}, {precision}. Medians, in brackets quartiles: "
    "{steps} steps of the floor, {epochs} epochs after an unmeasured one. The share is that of the medians: 100 % "
    "would be a training that costs nothing beside forward and backward pass.\n"
)


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    given = parsed(arguments)
    prepare_process(given.threads)
    clock = EpochClock()
    rows = [row for shape in given.shapes for row in rows_of(shape, given, clock)]
    head = ["size, batch", "", "floor of an epoch, s", "training part of an epoch, s", "share of the floor", "step, ms"]
    command = shlex.join(["python", "benchmarks/device_training.py", *arguments])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    text = "\n".join(
        [
            "# Training beside its network's own work\n",
            circumstances(command, device=device, packages=("unifocal", "torch", "lightning")),
            _TOLD.format(loss=LOSS, precision=given.precision, steps=FLOOR_STEPS, epochs=given.epochs),
            table(head, rows),
        ]
    )
    print(text, flush=True)
    if given.write:
        given.write.write_text(text, encoding="utf-8")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, with what `--quick` means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", type=Shape.parse, help="size:batch:cases, for instance 128x128:20:200")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="compiled networks, too, without a GPU (takes minutes)")
    parser.add_argument("--quick", action="store_true", help="tiny shapes: whether it runs")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args(arguments)
    given.shapes = given.shapes or [Shape.parse(text) for text in (QUICK if given.quick else SHAPES)]
    given.loss, given.on_device = LOSS, False
    return given


class EpochClock:
    """Seconds from the start of each epoch to the end of its last training step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._started = 0.0
        hook("on_train_epoch_start", self._start)
        hook("on_validation_start", self._stop)

    def _start(self) -> None:
        wait()
        self._started = time.perf_counter()

    def _stop(self) -> None:
        wait()
        self.seconds.append(time.perf_counter() - self._started)


def rows_of(shape: Shape, given: argparse.Namespace, clock: EpochClock) -> list[list[str]]:
    """One shape: every way of training beside the floor."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        given.data = Path(folder)
        write_arrays(given.data, shape)
        prepared = prepared_cases(given.data, shape)
        floor = [
            seconds * shape.steps for seconds in floor_steps(shape, build_network(prepared, NetworkConfig(), 0), given)
        ]
        for number, (name, options) in enumerate(WAYS.items()):
            if "compile" in options and not (given.compile or torch.cuda.is_available()):
                continue
            clock.seconds = []
            settings = settings_for(given, shape, "standard", given.epochs + 1).model_copy(update=options)
            fit(
                build_network(prepared, NetworkConfig(), 0),
                build_loss(LossConfig(name=given.loss), are_regions=False),
                samples_for(prepared, settings, shape.cases),
                train=range(shape.cases),
                validation=[shape.cases],
                settings=settings,
                seed=0,
                folder=given.data / str(number),
            )
            taken = clock.seconds[1:]
            share = statistics.median(floor) / statistics.median(taken)
            step = statistics.median(taken) / shape.steps
            rows.append(
                [
                    f"{shape.title}, {shape.batch}",
                    name,
                    spread(floor),
                    spread(taken),
                    f"{share:.0%}",
                    spread([step], 1e3),
                ]
            )
            print(f"{shape}: {name}", file=sys.stderr, flush=True)
    return rows


def floor_steps(shape: Shape, network: torch.nn.Module, given: argparse.Namespace) -> list[float]:
    """Seconds of the network's forward and backward pass alone."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layout = choose_layout(shape.size, device)
    network = network.to(device).to(memory_format=layout).train()  # type: ignore[call-overload]
    image = torch.randn(shape.batch, shape.channels, *shape.size, device=device).contiguous(memory_format=layout)

    # As Lightning sets it for every training, and leaves it.
    torch.use_deterministic_algorithms(mode=True, warn_only=True)

    def step() -> None:
        network.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=given.precision == "bfloat16", cache_enabled=False):
            logits = network(image)
        logits.float().mean().backward()

    again = recorded(step) if device.type == "cuda" else step
    seconds = []
    for number in range(FLOOR_STEPS + 2):
        wait()
        started = time.perf_counter()
        again()
        wait()
        if number >= 2:
            seconds.append(time.perf_counter() - started)
    return seconds


def recorded(step: Callable[[], None]) -> Callable[[], None]:
    """A step as a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def wait() -> None:
    """For all that a GPU was given to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(sys.argv[1:])
