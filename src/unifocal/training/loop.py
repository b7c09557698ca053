"""The training loop, which is Lightning's. It takes seconds to import, so only `fit` does, when it begins."""

import logging
import signal
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from unifocal.augmentation import standard
from unifocal.config.schema import TrainingConfig
from unifocal.training.bfloat16 import thin_volumes_in_float32
from unifocal.training.callbacks import Keeper, StepSeed
from unifocal.training.module import SegmentationModule
from unifocal.training.patches import Patches
from unifocal.training.samples import Cases, ShuffledCases, TrainingSamples, ValidationSamples
from unifocal.training.settings import choose_precision, choose_workers
from unifocal.training.stage_clock import StageClock


def train(
    module: SegmentationModule,
    keeper: Keeper,
    samples: Cases,
    cases: Sequence[int],
    validation: Sequence[int],
    settings: TrainingConfig,
    seed: int,
    *,
    resume: bool,
) -> None:
    """Train to the last epoch, or until the keeper stops it.

    Args:
        module: Network, loss and optimiser.
        keeper: Hears of every epoch, and keeps the state.
        samples: All prepared cases.
        cases: Indices of the training cases.
        validation: Indices of the validation cases.
        settings: Epochs, batches, precision.
        seed: Decides order, augmentation and dropout.
        resume: Whether to go on from the keeper's state file.
    """
    augment = standard(samples.shape[1:]) if settings.augmentation == "standard" else None
    workers = choose_workers(settings.workers)
    order = ShuffledCases(cases, seed, samples.per_case)
    # Lightning says so itself, but only after the processes of a loader have begun to read ahead.
    order.set_epoch(len(keeper.history))
    batches: DataLoader[Any] = DataLoader(
        TrainingSamples(samples, augment, seed),
        batch_size=settings.batch_size,
        sampler=order,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    validation_batches: DataLoader[Any] = DataLoader(
        ValidationSamples(samples, validation),
        batch_size=1 if isinstance(samples, Patches) else settings.batch_size,
    )
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Hints about loader workers and log intervals: the samples are in memory and small.
        warnings.filterwarnings("ignore", module="lightning.*")
        trainer = Trainer(
            accelerator="auto",
            devices=1,
            precision="bf16-mixed" if choose_precision(settings.precision) == "bfloat16" else "32-true",
            max_epochs=settings.epochs,
            callbacks=[StepSeed(seed), keeper, StageClock()],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            deterministic="warn",
            default_root_dir=keeper.folder,
            plugins=[_StraightToDisk()],
        )
        handler = signal.getsignal(signal.SIGINT)
        try:
            with thin_volumes_in_float32(module.network):
                trainer.fit(module, batches, validation_batches, ckpt_path=keeper.state_file if resume else None)
        except SystemExit:
            # Lightning turns an interruption into an exit with code 1 and leaves further ones ignored.
            if not trainer.interrupted:
                raise
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None


class _StraightToDisk(TorchCheckpointIO):
    """Lightning's own way makes two copies in memory first, to replace the file at once, which the keeper does."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        torch.save(checkpoint, path)
