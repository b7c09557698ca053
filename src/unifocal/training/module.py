"""The Lightning module: logits, loss, and what is measured on the validation part."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from unifocal.config.schema import TrainingConfig
from unifocal.losses import DeepSupervisionLoss
from unifocal.models.layout import channels_last
from unifocal.training.records import DivergedError
from unifocal.training.targets import target_for


class SegmentationModule(LightningModule):
    """A network under training with one loss.

    Args:
        network: Maps (N, channels, *spatial) to logits (N, outputs, *spatial).
        loss: Called as `loss(logits, target)`, returns a scalar.
        settings: Optimiser and learning rate.
        tile: (*spatial) of the pieces in which validation cases go through the network; None: whole.
        regions: Per output, the class indices that belong to it, where regions overlap; None: a class per output.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        settings: TrainingConfig,
        tile: Sequence[int] | None = None,
        regions: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.compiled: Callable[[Tensor], Any] | None = None
        self.loss = loss
        self.deep_loss = DeepSupervisionLoss(loss)
        self.settings = settings
        self.tile = tile
        self.layout = torch.contiguous_format
        self.regions = regions
        self.train_loss = WeightedMean()
        self.validation_loss = WeightedMean()
        self.validation_dice = WeightedMean()

    def forward(self, image: Tensor) -> Any:
        """Logits of images; a list of them, fine to coarse, from a deeply supervised network in training mode."""
        # Tiles are views into images of many sizes, each of which would be compiled for.
        return self.network(image) if self.compiled is None else self.compiled(_channels_last(image))

    def lay_out(self, layout: torch.memory_format) -> None:
        """Let weights, and the images that train them, lie so in memory."""
        self.layout = layout
        self.network.to(memory_format=layout)  # type: ignore[call-overload]

    def on_train_start(self) -> None:
        """Let what the optimiser keeps lie as the weights do: a state file may be from where they lay otherwise.

        Fused optimisers walk through both in the order of memory, and would take one weight's values for another's.
        """
        for optimizer in self.trainer.optimizers:
            for parameter, state in optimizer.state.items():
                for name, value in state.items():
                    if isinstance(value, Tensor) and value.shape == parameter.shape:
                        state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)

    def compute_loss(self, logits: Tensor | Sequence[Tensor], classes: Tensor) -> Tensor:
        """The loss in float32, whatever the autocast precision."""
        with torch.autocast(classes.device.type, enabled=False):
            if isinstance(logits, Tensor) and logits.ndim > classes.ndim:
                logits = logits.unbind(1)  # MONAI's DynUNet stacks the outputs of deep supervision
            if isinstance(logits, Tensor):
                value: Tensor = self.loss(logits.float(), target_for(self.loss, logits, classes))
            else:
                target = target_for(self.loss, logits[0], classes)
                value = self.deep_loss([each.float() for each in logits], target)
        return value

    def training_step(self, batch: tuple[Tensor, Tensor], _batch_index: int) -> Tensor:
        """The loss of one batch."""
        image, classes = self._batch(batch)
        value = self.compute_loss(self(image.contiguous(memory_format=self.layout)), classes)
        self.train_loss.add(value, len(image))
        return value

    def validation_step(self, batch: tuple[Tensor, Tensor], _batch_index: int) -> None:
        """Loss and Dice of one batch of validation cases."""
        image, classes = self._batch(batch)
        logits = self._validate(_channels_last(image))
        self.validation_loss.add(self.compute_loss(logits, classes), len(image))
        dices = defined_dice(logits, classes) if self.regions is None else region_dice(logits, classes)
        for dice in dices:
            self.validation_dice.add(dice, 1)

    def close_epoch(self) -> tuple[float, float, float]:
        """Mean loss of training and of validation, and the mean Dice of validation, since the last call.

        Raises:
            DivergedError: If a loss was not finite.
        """
        (training, bad), (validation, also_bad) = self.train_loss.pop(), self.validation_loss.pop()
        for value in (bad, also_bad):
            if value is not None:
                message = f"the loss became {value} in epoch {self.current_epoch}"
                raise DivergedError(message)
        return training, validation, self.validation_dice.pop()[0]

    def _batch(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The images, and class indices (N, 1, *spatial) or the masks of regions (N, regions, *spatial) float32."""
        image, classes = batch
        return image, classes if self.regions is None else region_masks(classes, self.regions)

    def _validate(self, image: Tensor) -> Tensor:
        if self.tile is None:
            logits: Tensor = self(image)
            return logits
        return by_tiles(self, image, self.tile)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser; the learning rate is lowered by a callback, whose state is saved with the epoch's."""
        s = self.settings
        parameters: Iterator[nn.Parameter] = self.network.parameters()
        if s.optimizer == "sgd":
            return torch.optim.SGD(
                parameters,
                lr=s.learning_rate,
                momentum=s.momentum,
                nesterov=s.momentum > 0,
                weight_decay=s.weight_decay,
                fused=True,
            )
        kind: Any = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[s.optimizer]
        optimizer: torch.optim.Optimizer = kind(parameters, lr=s.learning_rate, weight_decay=s.weight_decay, fused=True)
        return optimizer


def by_tiles(network: Callable[[Tensor], Tensor], image: Tensor, tile: Sequence[int]) -> Tensor:
    """Logits of an image larger than what the network takes at once, from tiles that do not overlap but at the end.

    Args:
        network: Maps (1, channels, *tile) to logits of the same size.
        image: (1, channels, *spatial); where it is smaller than a tile, zeros go around it.
        tile: Elements of a tile along each axis.
    """
    spatial = image.shape[2:]
    margins = [max(0, length - extent) for extent, length in zip(spatial, tile, strict=True)]
    around = [(margin // 2, margin - margin // 2) for margin in margins]
    padded = nn.functional.pad(image, [amount for pair in reversed(around) for amount in pair])
    starts = [
        [min(start, extent - length) for start in range(0, extent, length)]
        for extent, length in zip(padded.shape[2:], tile, strict=True)
    ]
    logits: Tensor | None = None
    for place in itertools.product(*starts):
        window: tuple[Any, ...] = (
            ...,
            *(slice(start, start + length) for start, length in zip(place, tile, strict=True)),
        )
        part = network(padded[window])
        if logits is None:
            logits = part.new_empty((*part.shape[:2], *padded.shape[2:]))
        logits[window] = part
    assert logits is not None
    for axis, ((before, _), extent) in enumerate(zip(around, spatial, strict=True), start=2):
        logits = logits.narrow(axis, before, extent)
    return logits


class WeightedMean:
    """A running mean; NaN while nothing was added."""

    def __init__(self) -> None:
        self.values: list[Tensor | float] = []
        self.weights: list[int] = []

    def add(self, value: Tensor | float, weight: int) -> None:
        """Count `value` `weight` times. A tensor is not read before `pop`: whoever reads it waits for its device."""
        self.values.append(value.detach().clone() if isinstance(value, Tensor) else value)
        self.weights.append(weight)

    def pop(self) -> tuple[float, float | None]:
        """The mean so far, and the first value that is not finite, if any; starts anew."""
        values = [float(value) for value in self.values]
        total = sum(value * weight for value, weight in zip(values, self.weights, strict=True))
        mean = total / sum(self.weights) if values else math.nan
        self.values, self.weights = [], []
        return mean, next((value for value in values if not math.isfinite(value)), None)


def defined_dice(logits: Tensor, classes: Tensor) -> list[float]:
    """Hard Dice per case and foreground class, where either truth or prediction has any.

    Args:
        logits: (N, C, *spatial); one channel means foreground where above 0.
        classes: (N, 1, *spatial) class indices.
    """
    one_channel = logits.shape[1] == 1
    predicted = (logits > 0).long() if one_channel else logits.argmax(dim=1, keepdim=True)
    values = []
    for label in range(1, 2 if one_channel else logits.shape[1]):
        p, g = (predicted == label).flatten(1), (classes == label).flatten(1)
        for overlap, size in zip((p & g).sum(1).tolist(), (p.sum(1) + g.sum(1)).tolist(), strict=True):
            if size:
                values.append(2 * overlap / size)
    return values


def region_masks(classes: Tensor, regions: Sequence[Sequence[int]]) -> Tensor:
    """Where regions are, (N, regions, *spatial) float32, from class indices (N, 1, *spatial)."""
    table = torch.zeros(len(regions), 1 + max(map(max, regions), default=0), device=classes.device)
    for region, members in zip(table, regions, strict=True):
        region[list(members)] = 1
    # Classes beyond the table belong to no region.
    padded = nn.functional.pad(table, (0, 256 - table.shape[1]))
    return padded[:, classes[:, 0]].movedim(0, 1).contiguous()


def region_dice(logits: Tensor, masks: Tensor) -> list[float]:
    """Hard Dice per case and region, where either truth or prediction has any; logits above 0 are the region."""
    p, g = (logits > 0).flatten(2), (masks > 0.5).flatten(2)
    sizes = (p.sum(2) + g.sum(2)).flatten().tolist()
    return [2 * o / size for o, size in zip((p & g).sum(2).flatten().tolist(), sizes, strict=True) if size]


def _channels_last(image: Tensor) -> Tensor:
    return image.contiguous(memory_format=channels_last(image.ndim - 2))
