"""Which stage of its time a training is in, for the clock of `unifocal.clock`; without one nothing is measured."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from unifocal.clock import turn_to
from unifocal.training.stages import BATCHES, START, STATE, STEPS, VALIDATION


class StageClock(Callback):
    """Turns from stage to stage; whoever calls `fit` enters `START` before and leaves the last stage after.

    Batches are waited for while they are read, augmented and moved to the device. A device that works by itself is
    waited for in the stage that needs its result, so its backward passes may overlap with waiting for batches.
    """

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The first batch is fetched."""
        turn_to(BATCHES)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """The batch is there."""
        turn_to(STEPS)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """The next one is fetched."""
        turn_to(BATCHES)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the last batch of an epoch; the cases to validate on are read here, too."""
        turn_to(VALIDATION)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """`Keeper` is a checkpoint callback, which Lightning calls after all others."""
        turn_to(STATE)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What is left is taking down what the start set up."""
        turn_to(START)
