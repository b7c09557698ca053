"""Short trainings that tests compare."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from unifocal.config.schema import TrainingConfig
from unifocal.losses import create
from unifocal.models import UNet
from unifocal.training import FitResult, Patches, Samples, fit
from unifocal.training.records import EpochRecord


class Killed(BaseException):
    """Not an Exception, so that nobody catches it by accident."""


def run(samples: Samples, folder: Path, *, kill_after: int | None = None, **settings: object) -> FitResult:
    torch.manual_seed(1)

    def on_epoch(record: EpochRecord) -> None:
        if record.epoch == kill_after:
            raise Killed

    defaults = {"epochs": 5, "batch_size": 4, "learning_rate": 0.01, "precision": "float32"}
    return fit(
        UNet(1, 1, width=4, depth=2),
        create("unified_focal"),
        samples,
        train=range(8),
        validation=range(8, 12),
        settings=TrainingConfig(**defaults | settings),  # type: ignore[arg-type]
        seed=3,
        folder=folder,
        on_epoch=on_epoch,
    )


def same(first: FitResult, second: FitResult) -> bool:
    return first.weights.keys() == second.weights.keys() and all(
        torch.equal(first.weights[name], second.weights[name]) for name in first.weights
    )


def history(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "history.csv").drop(columns="seconds")


def fit_volumes(
    volumes: Patches, folder: Path, on_epoch: Callable[[EpochRecord], None], **settings: object
) -> FitResult:
    torch.manual_seed(1)
    return fit(
        UNet(1, 2, dimensions=3, width=4, depth=2, deep_supervision=1, dropout=(0.1,)),
        create("dice_cross_entropy"),
        volumes,
        train=range(6),
        validation=range(6, 8),
        settings=TrainingConfig(
            **{"epochs": 4, "batch_size": 3, "learning_rate": 0.01, "precision": "float32"} | settings,  # type: ignore[arg-type]
        ),
        seed=3,
        folder=folder,
        on_epoch=on_epoch,
    )
