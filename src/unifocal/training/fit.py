"""Train one network with one loss on one fold, from the first epoch or from where it was killed."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from unifocal.config.schema import TrainingConfig
from unifocal.training.loggers import Diary, EpochLogger
from unifocal.training.patches import Patches
from unifocal.training.records import EpochRecord, FitResult
from unifocal.training.samples import Cases

if TYPE_CHECKING:
    from unifocal.training.callbacks import Keeper


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
    from unifocal.training.callbacks import Keeper
    from unifocal.training.loop import train as train_on
    from unifocal.training.module import SegmentationModule

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
    tile = samples.size if isinstance(samples, Patches) else None
    module = SegmentationModule(network, loss, settings, tile, regions)
    resume = _load_state(keeper)
    diary.begin(keeper.history)
    finished = keeper.stopped or len(keeper.history) >= settings.epochs
    try:
        if not finished:
            train_on(module, keeper, samples, train, validation, settings, seed, resume=resume)
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


def _load_state(keeper: "Keeper") -> bool:
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
