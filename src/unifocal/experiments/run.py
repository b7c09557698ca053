"""One run: train on a fold, segment its test cases, score them. All values are plain, so it can run anywhere."""

import gc
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import FileLock
from torch import nn

from unifocal.clock import note, stage, timed
from unifocal.config.schema import InferenceConfig, LossConfig, NetworkConfig, TrainingConfig
from unifocal.config.sections import ComputeConfig
from unifocal.experiments.attempts import explain, is_out_of_memory
from unifocal.experiments.folder import SCORE_COLUMNS, WEIGHTS, RunKey, read_run, score_rows, write_json, write_table
from unifocal.experiments.prepare import Prepared
from unifocal.experiments.probabilities import PROBABILITIES, csv_text, probability_rows, write_probabilities
from unifocal.experiments.segment import build_loss, cleanings_for, parts_to_score, segment, spec_of, write_prediction
from unifocal.experiments.time_spent import timed_run
from unifocal.inference.device import choose_device
from unifocal.inference.postprocess import Cleaning, clean
from unifocal.metrics import score_case
from unifocal.metrics.case import PROBABILITIES as PROBABILITY_STAGE
from unifocal.models import save_bundle
from unifocal.training import FitResult, Patches, Samples, derive_seed, fit
from unifocal.training.loggers import open_loggers
from unifocal.training.records import EpochRecord
from unifocal.training.stages import START

PREDICTION = "test prediction"
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
        compute: Who else is told of epochs.
        keeps_all: Whether weights, predictions and probabilities are kept; without, the scores are.
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
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    keeps_all: bool = True

    @property
    def name(self) -> str:
        """For notes and messages."""
        return str(self.key)

    @property
    def folder(self) -> Path:
        """Where the run's files go."""
        return self.study / self.key.place

    @property
    def threads(self) -> int:
        """That training takes."""
        return self.training.threads

    def execute(self, on_epoch: Callable[[EpochRecord], None]) -> dict[str, Any]:
        """Do the run; see `execute`."""
        return execute(self, on_epoch)

    def lost(self, reason: str) -> dict[str, Any]:
        """Keep and return the failed record of a run that could not be done to its end."""
        return _close(self, {"status": "failed", "reason": reason}, time.monotonic())


def execute(task: RunTask, on_epoch: Callable[[EpochRecord], None]) -> dict[str, Any]:
    """Do a run, or return the record of the finished one; an error becomes a failed record.

    The record is written last: a run without one is unfinished and goes on from its last epoch. Where memory runs out,
    that is tried once; what raises or diverges would do so again.
    """
    started = time.monotonic()
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
        # A killed study's worker may live for a moment longer; it must not write into the continued run.
        with FileLock(task.folder / ".lock", timeout=600):
            record = read_run(task.folder)
            if record is not None and record["status"] == "done":
                return record

            def close_epoch(epoch: EpochRecord) -> None:
                note()
                on_epoch(epoch)

            with timed_run(task.folder, is_on=task.compute.profile):
                outcome = _outcome(task, close_epoch)
            return _close(task, outcome, started)
    except OSError as error:  # neither the folder nor its lock can be written
        return _close(task, {"status": "failed", "reason": explain(error)}, started)


def _outcome(task: RunTask, on_epoch: Callable[[EpochRecord], None]) -> dict[str, Any]:
    notes: list[str] = []
    for is_last in (False, True):
        try:
            with stage("reading"):
                task.prepared.fetch_data()
            outcome = _train_and_score(task, on_epoch)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a run dies of, the study goes on and says so
            reason = explain(error)
            if is_last or not is_out_of_memory(error):
                again = " twice" if notes else ""
                reason = f"memory ran out{again} ({reason})" if is_out_of_memory(error) else reason
                return {"status": "failed", "reason": reason}
            notes = [f"Memory ran out once ({reason})."]
        else:
            return outcome | {"notes": notes + outcome["notes"]}
        # Only here, where the error no longer holds what the run had allocated.
        gc.collect()
        torch.cuda.empty_cache()
    raise AssertionError


def _close(task: RunTask, outcome: dict[str, Any], started: float) -> dict[str, Any]:
    """The run's record, written where that can be done."""
    key = {"loss": task.key.loss, "fold": task.key.fold, "seed": task.key.seed}
    record = key | outcome | {"wall_seconds": round(time.monotonic() - started, 1)}
    if not task.keeps_all:
        record["keeps_all"] = False
    if record["status"] != "done":
        for partial in task.folder.glob("**/*.partial"):
            partial.unlink(missing_ok=True)
    with suppress(OSError):  # a full disk: without a record the run is unfinished, which is true
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


def _train_and_score(task: RunTask, on_epoch: Callable[[EpochRecord], None]) -> dict[str, Any]:
    device = choose_device(task.inference.device)
    network, result = _train(task, on_epoch)
    network.to(device)  # where Lightning trained, but it brings the network back
    cleanings = cleanings_for(
        network, task.prepared, task.validation, task.inference, batch_size=task.training.batch_size
    )
    if task.keeps_all:
        details = dict(task.details) | {"cleanings": {str(label): how.to_plain() for label, how in cleanings.items()}}
        with stage("writing"):
            save_bundle(task.folder / WEIGHTS, network, spec_of(task.prepared, task.network), details=details)
    scores, probabilities = _score(task, network, cleanings)
    with stage("writing"):
        if task.keeps_all:
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
        "notes": ["The state file could not be read; training began anew."] if result.restarted else [],
    }


def _train(task: RunTask, on_epoch: Callable[[EpochRecord], None]) -> tuple[nn.Module, FitResult]:
    """The network with its best weights, and what training tells of them."""
    seed = derive_seed(task.key.seed, task.key.fold)
    with stage(START):
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
            loggers=open_loggers(task.compute.loggers, task.study, task.key.place.relative_to("runs").as_posix()),
        )
        network.load_state_dict(result.weights)
    return network, result


def _score(task: RunTask, network: nn.Module, cleanings: Mapping[int, Cleaning]) -> tuple[pd.DataFrame, str]:
    """All of the run's `scores.csv`, and the lines of its table of probabilities."""
    folder = task.folder / "predictions"
    if task.keeps_all:
        folder.mkdir(exist_ok=True)
    prepared, key = task.prepared, task.key
    rows: list[dict[str, Any]] = []
    bins: list[str] = []
    stream = segment(network, prepared, task.test, task.inference, batch_size=task.training.batch_size)
    for index, probabilities in zip(task.test, timed(PREDICTION, stream), strict=True):
        with stage("reading"):
            case, truth = prepared.cases[index], prepared.recipe(index).truth()
        with stage(PREDICTION):
            predicted = clean(prepared.decide(probabilities), cleanings)
        if task.keeps_all:
            with stage("writing"):
                write_prediction(folder, prepared, index, predicted)
        known = (key.loss, key.fold, key.seed, case.name, case.patient)
        for part in parts_to_score(prepared, truth, predicted, probabilities):
            scores = score_case(part.truth, part.predicted, case.spacing_mm, part.labels, part.probabilities)
            rows += score_rows(key.loss, key.fold, key.seed, case, scores)
            if task.keeps_all:
                with stage(PROBABILITY_STAGE):
                    bins.append(csv_text(probability_rows(known, part.truth, part.probabilities, part.labels)))
    return pd.DataFrame(rows, columns=SCORE_COLUMNS), "".join(bins)
