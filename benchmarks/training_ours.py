"""unifocal as one contender of `training.py`: its own `fit`, which waits before each step or epoch for its turn.

Whatever `fit` does is what is timed: the loop is Lightning's, the optimiser `SegmentationModule`'s, the cases come from
the cache on disk.
"""

import argparse
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from training_data import Shape, cropped, read_arrays
from training_wire import Over, Turns, arguments

from unifocal.config.schema import LossConfig, NetworkConfig, TrainingConfig
from unifocal.data.case import Case
from unifocal.data.coding import MaskCoding
from unifocal.experiments.plan import Grid, training_for
from unifocal.experiments.prepare import Prepared
from unifocal.experiments.run import build_network, samples_for
from unifocal.experiments.segment import build_loss, spec_of
from unifocal.inference.precision import in_precision
from unifocal.inference.predict import predict_probabilities
from unifocal.inference.volumes import predict_volume
from unifocal.inference.windows import Windows
from unifocal.models import load_bundle, save_bundle
from unifocal.preprocessing.cache import Cache, PreparedCase
from unifocal.preprocessing.pipeline import Pipeline
from unifocal.training import fit
from unifocal.training.module import SegmentationModule
from unifocal.training.process import prepare_process

NEVER = 10**6
"""Epochs after which training would lower the learning rate or stop."""


def prepared_cases(folder: Path, shape: Shape) -> Prepared:
    """All cases in a cache of their own, as `unifocal train` finds them after it prepared them."""
    images, masks = read_arrays(folder)
    cache = Cache(folder / f"cache-{os.getpid()}", 10**11)
    names = [f"case{number:04}" for number in range(len(images))]
    keys = tuple(Cache.key(name, pipeline="benchmark") for name in names)
    for key, image, mask in zip(keys, images, masks, strict=True):
        made = PreparedCase(image, mask, {"geometry": []})
        cache.fetch(key, lambda made=made: made)  # type: ignore[misc]
    cases = tuple(Case(name, folder / name, folder / name, name) for name in names)
    nothing = Pipeline.from_declaration(["z_score"])
    return Prepared(cache, cases, keys, nothing, Grid(shape.size), shape.channels, (1,), MaskCoding())


def settings_for(given: argparse.Namespace, shape: Shape, augmentation: str, epochs: int) -> TrainingConfig:
    """The default settings of training for such data, but of one sample per case and without early ends."""
    own = TrainingConfig(
        epochs=epochs,
        batch_size=shape.batch,
        augmentation=augmentation,
        precision=given.precision,
        threads=given.threads,
        on_device=given.on_device,
        patches_per_epoch=1,
        schedule="plateau",
        plateau_patience=NEVER,
        stop_patience=NEVER,
    )
    return training_for(own, shape.dimensions)


def hook(name: str, work: Callable[[], None]) -> None:
    """Do something more at a moment of training that Lightning has a name for."""
    original: Callable[..., Any] = getattr(SegmentationModule, name)

    def both(module: SegmentationModule, *moment: Any) -> Any:
        outcome = original(module, *moment)
        work()
        return outcome

    setattr(SegmentationModule, name, both)


def train(given: argparse.Namespace, prepared: Prepared, settings: TrainingConfig, **others: Any) -> None:
    """The project's own training, until there are no more turns."""
    with suppress(Over):
        fit(
            build_network(prepared, NetworkConfig(), 0),
            build_loss(LossConfig(name=given.loss), are_regions=False),
            samples_for(prepared, settings, len(others["train"])),
            settings=settings,
            seed=0,
            folder=given.data / f"run-{os.getpid()}",
            **others,
        )


def steps(given: argparse.Namespace, shape: Shape, prepared: Prepared, turns: Turns) -> None:
    """One long epoch, each of whose steps is a piece of work: from the batch being there to the weights' change."""

    def end() -> None:
        turns.note()
        turns.end()

    hook("on_train_batch_start", turns.begin)
    hook("on_train_batch_end", end)
    cases = list(range(shape.batch)) * (given.most + 1)
    turns.ready(parameters=parameters(prepared))
    train(given, prepared, settings_for(given, shape, "none", 1), train=cases, validation=[shape.cases])


def epochs(given: argparse.Namespace, shape: Shape, prepared: Prepared, turns: Turns) -> None:
    """Each epoch is a piece of work; `seconds` ends with its last training step, `whole` with its state file."""
    trained = 0.0

    def batch_end() -> None:
        nonlocal trained
        trained = time.perf_counter()

    def close(_record: object) -> None:
        turns.note("whole")
        turns.note(until=trained)
        turns.end()

    hook("on_train_epoch_start", turns.begin)
    hook("on_train_batch_end", batch_end)
    settings = settings_for(given, shape, "standard", given.most + 1)
    validation = range(shape.cases, shape.cases + shape.held_out)
    turns.ready(parameters=parameters(prepared))
    train(given, prepared, settings, train=range(shape.cases), validation=validation, on_epoch=close)


def predict(given: argparse.Namespace, shape: Shape, prepared: Prepared, turns: Turns) -> None:
    """A network from its file, and prepared cases in memory to their probabilities."""
    path = given.data / f"model-{os.getpid()}.safetensors"
    save_bundle(path, build_network(prepared, NetworkConfig(), 0), spec_of(prepared, NetworkConfig()), details={})
    network = in_precision(load_bundle(path)[0], given.precision)
    images = cropped(read_arrays(given.data)[0], shape)

    def pictures() -> None:
        pairs = ((image, ()) for image in images)
        for _ in predict_probabilities(network, pairs, batch_size=shape.batch):
            pass

    def volumes() -> None:
        for image in images:
            predict_volume(network, image, (), Windows(shape.size, 0.0), 1)

    turns.ready(parameters=parameters(prepared))
    turns.serve(pictures if shape.dimensions == 2 else volumes)


def parameters(prepared: Prepared) -> int:
    """Of the network."""
    return sum(weight.numel() for weight in build_network(prepared, NetworkConfig(), 0).parameters())


def main() -> None:
    """Work whenever asked."""
    turns, given = Turns(), arguments(__doc__)
    shape = Shape.parse(given.shape)
    if given.work == "predict" and shape.dimensions == 3:
        torch.set_num_threads(given.threads)  # as `unifocal predict`, which needs the memory for large volumes
    else:
        prepare_process(given.threads)
    work = {"step": steps, "epoch": epochs, "predict": predict}[given.work]
    work(given, shape, prepared_cases(given.data, shape), turns)


if __name__ == "__main__":
    main()
