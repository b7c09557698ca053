"""Train one network with one loss on one fold, from the first epoch or from where it was killed."""

import logging
import os
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from unifocal.augmentation import standard
from unifocal.config.schema import TrainingConfig
from unifocal.training.bfloat16 import thin_volumes_in_float32
from unifocal.training.callbacks import EpochRecord, Keeper, StepSeed
from unifocal.training.loggers import Diary, EpochLogger
from unifocal.training.module import DivergedError, SegmentationModule
from unifocal.training.patches import Patches
from unifocal.training.samples import Cases, ShuffledCases, TrainingSamples, ValidationSamples
from unifocal.training.stage_clock import StageClock

__all__ = ["DivergedError", "FitResult", "choose_precision", "choose_workers", "fit"]

MOST_WORKERS = 8


@dataclass(frozen=True)
class FitResult:
    """What training left.

    Attributes:
        weights: The network's state at its best epoch.
        best_epoch: Counted from 0.
        epochs: How many were trained, including those before an interruption.
        seconds: Time in epochs, likewise.
        validation_dice: At the best epoch.
        restarted: Whether a state file could not be read, so that training began anew.
    """

    weights: dict[str, Tensor]
    best_epoch: int
    epochs: int
    seconds: float
    validation_dice: float
    restarted: bool = False


def fit(  # noqa: PLR0913 - all are said by name but three
    network: nn.Module,
    loss: nn.Module,
    samples: Cases,
    *,
    train: Sequence[int],
    validation: Sequence[int],
    settings: TrainingConfig,
    seed: int,
    folder: Path,
    on_epoch: Callable[[EpochRecord], None] = lambda _record: None,
    regions: Sequence[Sequence[int]] | None = None,
    loggers: Sequence[EpochLogger] = (),
) -> FitResult:
    """Train until the last epoch or until the validation part stops improving; keep the best weights.

    Args:
        network: With its initial weights.
        loss: Called as `loss(logits, target)`.
        samples: All prepared cases; `Patches` where training draws patches from volumes, which are then validated
            whole, tile by tile.
        train: Indices of the training cases.
        validation: Indices of the validation cases.
        settings: Optimiser, schedule, epochs.
        seed: Decides order, augmentation and dropout.
        folder: Keeps `state.ckpt` (to go on from) and `history.csv`; if a state is there, training goes on.
        on_epoch: Called after each epoch.
        regions: Per output of the network, the class indices that belong to it, where regions overlap.
        loggers: Also hear of each epoch, before `on_epoch`; one that fails is left out, with a warning.

    Raises:
        DivergedError: If the loss becomes NaN or infinite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    diary = Diary(loggers)

    def close_epoch(record: EpochRecord) -> None:
        diary.log(asdict(record))
        on_epoch(record)

    keeper = Keeper(
        folder,
        monitor=settings.monitor,
        schedule=settings.schedule,
        epochs=settings.epochs,
        plateau_patience=settings.plateau_patience,
        plateau_factor=settings.plateau_factor,
        stop_patience=settings.stop_patience,
        on_epoch=close_epoch,
    )
    layout = torch.channels_last if len(samples.shape) == 3 else torch.channels_last_3d
    tile = samples.size if isinstance(samples, Patches) else None
    network = network.to(memory_format=layout)  # type: ignore[call-overload]
    module = SegmentationModule(network, loss, settings, tile, regions)
    resume = _load_state(keeper)
    diary.begin(keeper.history)
    finished = keeper.stopped or len(keeper.history) >= settings.epochs
    try:
        if not finished:
            _train(module, keeper, samples, train, validation, settings, seed, resume=resume)
            finished = True
    finally:
        diary.end(finished=finished)
    return FitResult(
        weights=keeper.best_weights,
        best_epoch=keeper.best_epoch,
        epochs=len(keeper.history),
        seconds=round(sum(row["seconds"] for row in keeper.history), 1),
        validation_dice=keeper.history[keeper.best_epoch]["validation_dice"],
        restarted=keeper.restarted,
    )


def choose_precision(name: str) -> str:
    """The precision that `auto` means on this machine: bfloat16 where the processor computes in it.

    Returns:
        `bfloat16` or `float32`.
    """
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "bfloat16" if supported() else "float32"


def choose_workers(asked: int | None) -> int:
    """How many processes read and augment batches ahead; which samples come, and in which order, does not change.

    Args:
        asked: So many; None: none on a processor, whose cores train, and up to `MOST_WORKERS` beside a GPU.
    """
    if asked is not None:
        return asked
    return min(MOST_WORKERS, (os.cpu_count() or 1) - 1) if torch.cuda.is_available() else 0


def _train(
    module: SegmentationModule,
    keeper: Keeper,
    samples: Cases,
    train: Sequence[int],
    validation: Sequence[int],
    settings: TrainingConfig,
    seed: int,
    *,
    resume: bool,
) -> None:
    augment = standard(samples.shape[1:]) if settings.augmentation == "standard" else None
    workers = choose_workers(settings.workers)
    order = ShuffledCases(train, seed, samples.per_case)
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


def _load_state(keeper: Keeper) -> bool:
    """Let the keeper go on from its state file, if there is one that can be read."""
    path = keeper.state_file
    if not path.is_file():
        return False
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        keeper.load_state_dict(state["callbacks"][keeper.state_key])
    except Exception:  # noqa: BLE001 - whatever is wrong with the file, training starts anew
        path.unlink()
        keeper.restarted = True
        return False
    return True
