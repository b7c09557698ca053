"""One run: train on a fold, segment its test cases, score them. All values are plain, so it can run anywhere."""

import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import FileLock
from torch import nn

from unifocal.config.schema import InferenceConfig, LossConfig, NetworkConfig, TrainingConfig
from unifocal.experiments.folder import SCORE_COLUMNS, WEIGHTS, RunKey, read_run, score_rows, write_json, write_table
from unifocal.experiments.prepare import Prepared
from unifocal.experiments.probabilities import PROBABILITIES, csv_text, probability_rows, write_probabilities
from unifocal.experiments.segment import build_loss, cleanings_for, parts_to_score, segment, spec_of, write_prediction
from unifocal.inference.postprocess import Cleaning, clean
from unifocal.metrics import score_case
from unifocal.models import save_bundle
from unifocal.training import Patches, Samples, derive_seed, fit
from unifocal.training.callbacks import EpochRecord

FEWEST_PATCHES = 64
"""Training samples of an epoch on volumes, at least."""


@dataclass(frozen=True)
class RunTask:
    """Everything that one run needs.

    Attributes:
        key: Which run it is.
        study: The study folder.
        loss: The loss with its parameters.
        network: The network's settings.
        training: The training's settings, with `threads` and `precision` resolved.
        inference: How volumes are segmented.
        prepared: Where the prepared cases are, and what they are.
        train: Indices of the training cases.
        validation: Indices of the validation cases.
        test: Indices of the test cases.
        details: What the weights file tells about itself.
    """

    key: RunKey
    study: Path
    loss: LossConfig
    network: NetworkConfig
    training: TrainingConfig
    inference: InferenceConfig
    prepared: Prepared
    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    details: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where the run's files go."""
        return self.study / self.key.place


def execute(task: RunTask, on_epoch: Callable[[EpochRecord], None]) -> dict[str, Any]:
    """Do a run, or return the record of the finished one; an error becomes a failed record.

    The record is written last: a run without one is unfinished and goes on from its last epoch.
    """
    task.folder.mkdir(parents=True, exist_ok=True)
    # A killed study's worker may live for a moment longer; it must not write into the continued run.
    with FileLock(task.folder / ".lock", timeout=600):
        record = read_run(task.folder)
        if record is not None and record["status"] == "done":
            return record
        started = time.monotonic()
        try:
            outcome = _train_and_score(task, on_epoch)
        except Exception as error:  # noqa: BLE001 - whatever a run dies of, the study goes on and says so
            outcome = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
        key = {"loss": task.key.loss, "fold": task.key.fold, "seed": task.key.seed}
        record = key | outcome | {"wall_seconds": round(time.monotonic() - started, 1)}
        write_json(task.folder / "record.json", record)
    return record


def build_network(prepared: Prepared, network: NetworkConfig, seed: int) -> nn.Module:
    """The network with the initial weights that the seed decides."""
    torch.manual_seed(derive_seed(seed, "weights"))
    return spec_of(prepared, network).build()


def samples_for(prepared: Prepared, training: TrainingConfig, cases: int) -> Samples | Patches:
    """All cases as training on so many of them takes them.

    Args:
        prepared: All cases.
        training: How many patches an epoch has; 0: one of each case, and at least `FEWEST_PATCHES`.
        cases: The training cases.
    """
    wanted = training.patches_per_epoch or max(cases, FEWEST_PATCHES)
    return prepared.samples(foreground_share=training.foreground_share, per_case=max(1, math.ceil(wanted / cases)))


def prepare_worker(threads: int, parent: int | None) -> None:
    """Set a process up for runs: its threads, and that it ends when the study's own process is gone."""
    torch.set_num_threads(threads)
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _train_and_score(task: RunTask, on_epoch: Callable[[EpochRecord], None]) -> dict[str, Any]:
    seed = derive_seed(task.key.seed, task.key.fold)
    network = build_network(task.prepared, task.network, seed)
    result = fit(
        network,
        build_loss(task.loss, are_regions=task.prepared.regions is not None),
        samples_for(task.prepared, task.training, len(task.train)),
        train=task.train,
        validation=task.validation,
        settings=task.training,
        seed=seed,
        folder=task.folder,
        on_epoch=on_epoch,
        regions=task.prepared.region_classes,
    )
    network.load_state_dict(result.weights)
    cleanings = cleanings_for(
        network, task.prepared, task.validation, task.inference, batch_size=task.training.batch_size
    )
    details = dict(task.details) | {"cleanings": {str(label): how.to_plain() for label, how in cleanings.items()}}
    save_bundle(task.folder / WEIGHTS, network, spec_of(task.prepared, task.network), details=details)
    scores, probabilities = _score(task, network, cleanings)
    write_probabilities(task.folder / PROBABILITIES, [probabilities])
    write_table(task.folder / "scores.csv", scores)
    (task.folder / "state.ckpt").unlink(missing_ok=True)
    return {
        "status": "done",
        "reason": "",
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "seconds": result.seconds,
        "parameters": sum(weight.numel() for weight in network.parameters()),
    }


def _score(task: RunTask, network: nn.Module, cleanings: Mapping[int, Cleaning]) -> tuple[pd.DataFrame, str]:
    """All of the run's `scores.csv`, and the lines of its table of probabilities."""
    folder = task.folder / "predictions"
    folder.mkdir(exist_ok=True)
    prepared, key = task.prepared, task.key
    rows: list[dict[str, Any]] = []
    bins: list[str] = []
    stream = segment(network, prepared, task.test, task.inference, batch_size=task.training.batch_size)
    for index, probabilities in zip(task.test, stream, strict=True):
        case, truth = prepared.cases[index], prepared.recipe(index).truth()
        predicted = clean(prepared.decide(probabilities), cleanings)
        write_prediction(folder, prepared, index, predicted)
        known = (key.loss, key.fold, key.seed, case.name, case.patient)
        for part in parts_to_score(prepared, truth, predicted, probabilities):
            scores = score_case(part.truth, part.predicted, case.spacing_mm, part.labels, part.probabilities)
            rows += score_rows(key.loss, key.fold, key.seed, case, scores)
            bins.append(csv_text(probability_rows(known, part.truth, part.probabilities, part.labels)))
    return pd.DataFrame(rows, columns=SCORE_COLUMNS), "".join(bins)
