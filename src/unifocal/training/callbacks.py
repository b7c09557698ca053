"""What happens around each epoch. All of it goes into the state file, so that a killed run goes on exactly."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from torch import Tensor

from unifocal.training.module import SegmentationModule
from unifocal.training.records import EpochRecord
from unifocal.training.seeds import derive_seed

_POWER = 0.9


class StepSeed(Callback):
    """Seed PyTorch before each step, so that dropout does not depend on what drew numbers before."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed for this step."""
        torch.manual_seed(derive_seed(self.seed, trainer.current_epoch, batch_idx, "dropout"))


class Keeper(Checkpoint):
    """Measure the epoch, keep the best weights, lower the learning rate, stop early, save the state.

    One callback does all, at the end of the epoch, so that one atomic file holds a consistent state. (Lightning
    steps a plateau schedule after its checkpoints are written, so a continued run would not repeat it.)

    Args:
        folder: Where `state.ckpt` and `history.csv` go.
        monitor: `loss` (lower is better) or `dice` (higher is better), on the validation part.
        schedule: `plateau` lowers the learning rate where the monitored value stays; `polynomial` after every epoch,
            to (1 - epochs done / epochs) ** 0.9 of the first (Isensee et al. 2021).
        epochs: How many there will be at most.
        plateau_patience: Epochs without a better value until the learning rate is lowered.
        plateau_factor: What it is multiplied with.
        stop_patience: Epochs without a better value until training stops.
        on_epoch: Called with each epoch's record.
    """

    def __init__(
        self,
        folder: Path,
        *,
        monitor: str,
        schedule: str,
        epochs: int,
        plateau_patience: int,
        plateau_factor: float,
        stop_patience: int,
        on_epoch: Callable[[EpochRecord], None],
    ) -> None:
        self.folder = folder
        self.monitor = monitor
        self.schedule = schedule
        self.epochs = epochs
        self.plateau_patience = plateau_patience
        self.plateau_factor = plateau_factor
        self.stop_patience = stop_patience
        self.on_epoch = on_epoch
        self.history: list[dict[str, Any]] = []
        self.best_epoch = -1
        self.best_value = float("inf")
        self.best_weights: dict[str, Tensor] = {}
        self.last_lowered = -1
        self.stopped = False
        self.restarted = False
        self.started = time.monotonic()

    @property
    def state_file(self) -> Path:
        """Everything that the next epoch needs."""
        return self.folder / "state.ckpt"

    def state_dict(self) -> dict[str, Any]:
        """What the state file holds of this callback."""
        names = ("history", "best_epoch", "best_value", "best_weights", "last_lowered", "stopped", "restarted")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state file."""
        for name, value in state_dict.items():
            setattr(self, name, value)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the time."""
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the epoch."""
        assert isinstance(pl_module, SegmentationModule)
        train_loss, validation_loss, validation_dice = pl_module.close_epoch()
        record = EpochRecord(
            epoch=trainer.current_epoch,
            train_loss=train_loss,
            validation_loss=validation_loss,
            validation_dice=validation_dice,
            learning_rate=float(trainer.optimizers[0].param_groups[0]["lr"]),
            seconds=round(time.monotonic() - self.started, 3),
        )
        self.history.append(asdict(record))
        self._keep_if_best(record, pl_module)
        self._lower_or_stop(record.epoch, trainer)
        self._save(trainer)
        self.on_epoch(record)

    def _keep_if_best(self, record: EpochRecord, module: SegmentationModule) -> None:
        value = record.validation_loss if self.monitor == "loss" else -record.validation_dice
        if not self.best_weights or value < self.best_value:
            self.best_epoch, self.best_value = record.epoch, value
            self.best_weights = {name: w.detach().cpu().clone() for name, w in module.network.state_dict().items()}

    def _lower_or_stop(self, epoch: int, trainer: Trainer) -> None:
        waited = epoch - max(self.best_epoch, self.last_lowered)
        if self.schedule == "polynomial":
            left = [max(0.0, 1 - done / self.epochs) ** _POWER for done in (epoch, epoch + 1)]
            self._multiply_rate(trainer, left[1] / left[0] if left[0] else 0.0)
        elif waited >= self.plateau_patience:
            self.last_lowered = epoch
            self._multiply_rate(trainer, self.plateau_factor)
        if epoch - self.best_epoch >= self.stop_patience:
            self.stopped = True
            trainer.should_stop = True

    def _multiply_rate(self, trainer: Trainer, factor: float) -> None:
        for group in trainer.optimizers[0].param_groups:
            group["lr"] *= factor

    def _save(self, trainer: Trainer) -> None:
        partial = self.state_file.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        partial.replace(self.state_file)
        partial = self.folder / "history.csv.partial"
        pd.DataFrame(self.history).to_csv(partial, index=False)
        partial.replace(self.folder / "history.csv")
