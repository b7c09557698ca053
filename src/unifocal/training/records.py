"""What a training tells of itself."""

from dataclasses import dataclass

from torch import Tensor

from unifocal.problems import WorkFailedError


class DivergedError(WorkFailedError):
    """The loss became NaN or infinite."""


@dataclass(frozen=True)
class EpochRecord:
    """One line of `history.csv`. Losses are means over cases; Dice is the mean of the defined values."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_dice: float
    learning_rate: float
    seconds: float


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
