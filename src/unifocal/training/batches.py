"""Loaders of batches: samples read and augmented one by one on processors, or together on the device that trains."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unifocal.augmentation import BatchAugmentation, standard
from unifocal.config.schema import TrainingConfig
from unifocal.data.child import end_with_parent
from unifocal.training.patches import Patches
from unifocal.training.samples import Cases, Key, ShuffledCases, TrainingSamples, ValidationSamples
from unifocal.training.settings import choose_workers

Loader = DataLoader[tuple[Tensor, Tensor]]


def training_batches(
    samples: Cases, order: ShuffledCases, settings: TrainingConfig, seed: int, device: torch.device
) -> Loader:
    """The batches of an epoch: images (N, channels, *spatial) float32 and class indices (N, 1, *spatial) int64.

    Args:
        samples: All prepared cases, on the device if the settings say so.
        order: Of the training cases.
        settings: Size of the batches, augmentation, and who makes them.
        seed: Decides where patches lie, and the augmentation.
        device: That trains.
    """
    augments, size = settings.augmentation == "standard", samples.shape[1:]
    if settings.on_device:
        together = BatchAugmentation(size, samples.classes) if augments else None
        batches: Dataset[Any] = TrainingBatches(samples, together, seed, device)
        return DataLoader(batches, settings.batch_size, sampler=order, collate_fn=_as_is)
    workers = choose_workers(settings.workers)
    return DataLoader(
        TrainingSamples(samples, standard(size) if augments else None, seed),
        settings.batch_size,
        sampler=order,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=_ends_with_parent if workers else None,
        pin_memory=torch.cuda.is_available(),
    )


def validation_batches(samples: Cases, cases: Sequence[int], settings: TrainingConfig, device: torch.device) -> Loader:
    """The validation cases, in their order and as they are; those that patches are cut from one by one."""
    size = 1 if isinstance(samples, Patches) else settings.batch_size
    together = partial(batch_on, device) if settings.on_device else None
    return DataLoader(ValidationSamples(samples, cases), size, collate_fn=together)


class TrainingBatches(Dataset[tuple[Tensor, Tensor]]):
    """Samples augmented a batch at a time on the device that trains.

    A loader whose dataset has `__getitems__` asks for all samples of a batch at once.

    Args:
        samples: All prepared cases, on the device or not.
        augment: Of a whole batch, or None.
        seed: Decides where patches lie, and the augmentation.
        device: Where the batches are to be.
    """

    def __init__(self, samples: Cases, augment: BatchAugmentation | None, seed: int, device: torch.device) -> None:
        self.plain = TrainingSamples(samples, None, seed)
        self.augment = augment
        self.device = device

    def __getitems__(self, keys: Sequence[Key]) -> tuple[Tensor, Tensor]:
        """The batch of these samples."""
        images, classes = batch_on(self.device, [self.plain[key] for key in keys])
        if self.augment is None:
            return images, classes
        return self.augment(images, classes, [self.plain.seed_for(key, "augment") for key in keys])


def batch_on(device: torch.device, samples: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A batch on a device, of samples that are there or elsewhere."""
    images, classes = zip(*samples, strict=True)
    return torch.stack([each.to(device) for each in images]), torch.stack([each.to(device) for each in classes])


def _ends_with_parent(_worker: int) -> None:
    # The loader's own way looks at who its parent is, which does not change where a server forks for it.
    end_with_parent()


def _as_is(batch: Any) -> Any:
    return batch
