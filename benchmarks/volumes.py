"""How much of training on volumes is the network's own time, and how much memory a patch takes.

python benchmarks/volumes.py --write docs/results/volumes_training.md
python benchmarks/volumes.py --only share --epochs 3

Share: real files, checked and prepared into the cache, then `fit` as `unifocal train` calls it; timed from the moment a
batch is there to the end of its step.
"""

import argparse
import shlex
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from report import circumstances, table
from resident import in_fresh_process
from torch import nn

from unifocal.config.schema import TrainConfig, TrainingConfig
from unifocal.experiments.inputs import load_data, prepare_all
from unifocal.experiments.plan import training_for
from unifocal.experiments.prepare import Prepared
from unifocal.experiments.progress import ConsoleReporter
from unifocal.experiments.run import build_network, samples_for
from unifocal.losses import create
from unifocal.models import NetworkSpec
from unifocal.training import Patches, fit
from unifocal.training.bfloat16 import thin_volumes_in_float32
from unifocal.training.module import SegmentationModule
from unifocal.training.settings import choose_precision

PARTS = ("share", "memory")
AIM = 0.9
CASES = {"small volumes, whole": (40, (35, 51, 35), None), "large volumes, patches": (8, (130, 160, 150), "96x96x96")}
VALIDATION = 0.2


def share(epochs: int, threads: int) -> str:
    """The network's own time in an epoch."""
    rows = []
    for title, (count, shape, size) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            prepared, settings = _prepared(Path(folder), count, shape, size, threads)
            cut = int(count * VALIDATION)
            train, validation = range(cut, count), range(cut)
            settings = settings.model_copy(update={"epochs": epochs + 1, "threads": threads})
            samples = samples_for(prepared, settings, len(train))
            assert isinstance(samples, Patches)
            seconds: list[float] = []
            with _steps_timed() as spent:
                fit(
                    build_network(prepared, TrainConfig(out=Path(folder)).network, 0),
                    create("unified_focal"),
                    samples,
                    train=train,
                    validation=validation,
                    settings=settings,
                    seed=0,
                    folder=Path(folder) / "run",
                    on_epoch=lambda record, seconds=seconds: seconds.append(record.seconds),  # type: ignore[misc]
                )
            steps = -(-len(train) * samples.per_case // settings.batch_size)
        whole = statistics.median(seconds[1:])
        ratio = statistics.median(spent[epoch] / seconds[epoch] for epoch in range(1, epochs + 1))
        found = f"{100 * ratio:.0f} % ({'met' if ratio >= AIM else 'missed'})"
        rows.append([title, "x".join(map(str, samples.size)), str(steps), f"{whole:.2f}", found])
    head = ["data", "patch", "steps", "epoch, s", f"share, aim {100 * AIM:.0f} %"]
    told = (
        "Unified Focal loss, 2 classes, default settings of training (batches of 2, augmentation, "
        f"{choose_precision('auto')}). The share of an epoch that is spent on batches which are there: forward, loss, "
        "backward, optimiser, and the forward passes and losses of validation. The rest is waiting for batches "
        "(reading tiles, cutting, augmenting), Lightning, and the file that a killed run continues from. Median of "
        f"{epochs} epochs after the first."
    )
    return f"## Share of the network\n\n{told}\n\n{table(head, rows)}"


def _prepared(
    folder: Path, count: int, shape: tuple[int, ...], size: str | None, threads: int
) -> tuple[Prepared, TrainingConfig]:
    import nibabel as nib

    random = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    for number in range(count):
        centre = np.array(shape) * random.uniform(0.35, 0.65, 3)
        distance = np.sqrt(((grid - centre[:, None, None, None]) ** 2).sum(0))
        mask = (distance < min(shape) / 5).astype(np.uint8)
        image = random.normal(size=shape).astype(np.float32) + 2 * mask
        for kind, array in (("images", image), ("masks", mask)):
            (folder / kind).mkdir(exist_ok=True)
            nib.save(nib.Nifti1Image(array, np.eye(4)), folder / kind / f"case{number:02}.nii.gz")
    given = {"data": {"folder": folder}, "out": folder / "out", "cache": {"folder": folder / "cache"}}
    config = TrainConfig.model_validate(given | ({"preprocessing": {"size": size}} if size else {}))
    torch.set_num_threads(threads)
    with ConsoleReporter() as reporter:
        checked = load_data(config, out=config.out, minimum_patients=2, problems=[], reporter=reporter)
        return prepare_all(config, checked, reporter), training_for(config.training, 3)


@contextmanager
def _steps_timed() -> Iterator[dict[int, float]]:
    """Seconds between the moment a batch is there and the end of what is done with it, by epoch; validation too."""
    spent: dict[int, float] = defaultdict(float)
    started = 0.0

    def begin(*_: object) -> None:
        nonlocal started
        started = time.perf_counter()

    def end(module: SegmentationModule, *_: object) -> None:
        spent[module.current_epoch] += time.perf_counter() - started

    hooks = {f"on_{part}_batch_{moment}": hook for part in ("train", "validation") for moment, hook in
             (("start", begin), ("end", end))}  # fmt: skip
    for name, hook in hooks.items():
        setattr(SegmentationModule, name, hook)
    try:
        yield spent
    finally:
        for name in hooks:
            delattr(SegmentationModule, name)


def memory(threads: int) -> str:
    """The peak of training by the size of a patch."""
    rows = []
    _, start = in_fresh_process(_train_steps, 32, "float32", threads)
    for side in (32, 64, 96, 128):
        cells = [f"{side}x{side}x{side}"]
        for precision in ("float32", "bfloat16"):
            _, peak = in_fresh_process(_train_steps, side, precision, threads)
            cells.append(f"{peak:.2f}")
        rows.append(cells)
    head = ["patch", "float32: peak, GiB", "bfloat16: peak, GiB"]
    told = (
        "The default network, 1 channel, 3 classes, batches of 2, two steps of Unified Focal loss and Adam; the peak "
        f"of the resident memory of a fresh process. Imports, network and steps of 32x32x32 take {start:.2f} GiB of it."
    )
    return f"## Memory of training\n\n{told}\n\n{table(head, rows)}"


def _train_steps(side: int, precision: str, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network: nn.Module = NetworkSpec("volumes", 1, 3, 3, {}).build()
    network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    loss, optimizer = create("unified_focal"), torch.optim.Adam(network.parameters())
    image = torch.randn(2, 1, side, side, side).contiguous(memory_format=torch.channels_last_3d)
    classes = torch.randint(0, 3, (2, 1, side, side, side))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = network(image)
        optimizer.zero_grad()
        loss(logits.float(), classes).backward()
        optimizer.step()

    with thin_volumes_in_float32(network):
        step()
        step()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sections = {"share": lambda: share(given.epochs, given.threads), "memory": lambda: memory(given.threads)}
    parts = ["# Training on volumes: time and memory\n", circumstances(shlex.join(["python", *sys.argv]))]
    for name in given.only:
        parts.append(sections[name]())
        print(parts[-1], flush=True)
    if given.write:
        given.write.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
