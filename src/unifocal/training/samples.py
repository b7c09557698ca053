"""Samples: prepared cases as the network meets them, in an order that the seed decides."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from unifocal.augmentation import Augmentation
from unifocal.training.seeds import derive_seed

Key = tuple[int, int, int]
"""Epoch, case, and which of the case's samples in that epoch."""


class Cases(Protocol):
    """The prepared cases of a data set, as training takes them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, *spatial) of every training sample."""
        ...

    @property
    def per_case(self) -> int:
        """Training samples drawn from each case in an epoch."""
        ...

    @property
    def classes(self) -> int:
        """How many class indices there are, the background with them."""
        ...

    def __getitem__(self, case: int) -> tuple[Tensor, Tensor]:
        """The whole of one case: image (channels, *spatial) float32 and class indices (1, *spatial) int64."""
        ...

    def draw(self, case: int, seed: int) -> tuple[Tensor, Tensor]:
        """One training sample of a case, of the shape `shape`; the seed decides which."""
        ...


@dataclass(frozen=True)
class Samples:
    """All prepared cases of a data set, each of one size and taken whole.

    Attributes:
        fetch: Gives image (channels, *spatial) float32 and class indices (*spatial) uint8 of a case by its index, as
            arrays of the caller's own, or as tensors that nobody writes into.
        shape: (channels, *spatial) of every image.
        classes: How many class indices there are, the background with them.
    """

    fetch: Callable[[int], tuple[Any, Any]]
    shape: tuple[int, ...]
    classes: int

    @classmethod
    def of_arrays(cls, images: NDArray[np.float32], classes: NDArray[np.uint8]) -> "Samples":
        """Samples that lie in two arrays: (cases, channels, *spatial) and (cases, *spatial)."""
        return cls(lambda case: (np.array(images[case]), classes[case]), images.shape[1:], int(classes.max()) + 1)

    def __getitem__(self, case: int) -> tuple[Tensor, Tensor]:
        """Image (channels, *spatial) float32 and class indices (1, *spatial) int64 of one case."""
        image, classes = self.fetch(case)
        return as_tensor(image).float(), as_tensor(classes).long()[None]

    @property
    def per_case(self) -> int:
        """A case gives one sample: itself."""
        return 1

    def draw(self, case: int, seed: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - there is nothing to choose
        """The case."""
        return self[case]


def as_tensor(array: Any) -> Tensor:
    """A tensor that shares an array's memory where it can; a tensor stays what and where it is."""
    if isinstance(array, Tensor):
        return array
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


class ShuffledCases(Sampler[Key]):
    """Each epoch's cases in an order that depends on the seed and the epoch alone.

    Yields (epoch, case, draw), so that a sample knows its epoch without shared state; `draw` counts the samples of
    one case in an epoch. Lightning calls `set_epoch`.
    """

    def __init__(self, cases: Sequence[int], seed: int, per_case: int = 1) -> None:
        self.cases = tuple(cases)
        self.seed = seed
        self.per_case = per_case
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration is for."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.cases) * self.per_case

    def __iter__(self) -> Iterator[Key]:
        order = np.random.default_rng(derive_seed(self.seed, self.epoch, "order")).permutation(len(self))
        places = [(int(at) % len(self.cases), int(at) // len(self.cases)) for at in order]
        return iter([(self.epoch, self.cases[place], draw) for place, draw in places])


class TrainingSamples(Dataset[tuple[Tensor, Tensor]]):
    """Augmented samples by (epoch, case, draw): the same three always give the same sample."""

    def __init__(self, samples: Cases, augment: Augmentation | None, seed: int) -> None:
        self.samples = samples
        self.augment = augment
        self.seed = seed

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        image, classes = self.samples.draw(key[1], self.seed_for(key, "patch"))
        return (image, classes) if self.augment is None else self.augment(image, classes, self.seed_for(key, "augment"))

    def seed_for(self, key: Key, use: str) -> int:
        """What decides about one sample."""
        epoch, case, draw = key
        return derive_seed(self.seed, epoch, int(case), use, *((draw,) if draw else ()))


class ValidationSamples(Dataset[tuple[Tensor, Tensor]]):
    """The samples of the validation cases, as they are."""

    def __init__(self, samples: Cases, cases: Sequence[int]) -> None:
        self.samples = samples
        self.cases = tuple(cases)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        return self.samples[self.cases[position]]
