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
            arrays of the caller's own.
        shape: (channels, *spatial) of every image.
    """

    fetch: Callable[[int], tuple[NDArray[np.float32], NDArray[np.uint8]]]
    shape: tuple[int, ...]

    @classmethod
    def of_arrays(cls, images: NDArray[np.float32], classes: NDArray[np.uint8]) -> "Samples":
        """Samples that lie in two arrays: (cases, channels, *spatial) and (cases, *spatial)."""
        return cls(lambda case: (np.array(images[case]), classes[case]), images.shape[1:])

    def __getitem__(self, case: int) -> tuple[Tensor, Tensor]:
        """Image (channels, *spatial) float32 and class indices (1, *spatial) int64 of one case."""
        image, classes = self.fetch(case)
        return torch.from_numpy(image), torch.from_numpy(classes.astype(np.int64))[None]

    @property
    def per_case(self) -> int:
        """A case gives one sample: itself."""
        return 1

    def draw(self, case: int, seed: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - there is nothing to choose
        """The case."""
        return self[case]


class ShuffledCases(Sampler[tuple[int, int, int]]):
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

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        order = np.random.default_rng(derive_seed(self.seed, self.epoch, "order")).permutation(len(self))
        places = [(int(at) % len(self.cases), int(at) // len(self.cases)) for at in order]
        return iter([(self.epoch, self.cases[place], draw) for place, draw in places])


class TrainingSamples(Dataset[tuple[Tensor, Tensor]]):
    """Augmented samples by (epoch, case, draw): the same three always give the same sample."""

    def __init__(self, samples: Cases, augment: Augmentation | None, seed: int) -> None:
        self.samples = samples
        self.augment = augment
        self.seed = seed

    def __getitem__(self, key: Any) -> tuple[Tensor, Tensor]:
        epoch, case, draw = key
        of_draw = (draw,) if draw else ()
        image, classes = self.samples.draw(case, derive_seed(self.seed, epoch, int(case), "patch", *of_draw))
        if self.augment is None:
            return image, classes
        return self.augment(image, classes, derive_seed(self.seed, epoch, int(case), "augment", *of_draw))


class ValidationSamples(Dataset[tuple[Tensor, Tensor]]):
    """The samples of the validation cases, as they are."""

    def __init__(self, samples: Cases, cases: Sequence[int]) -> None:
        self.samples = samples
        self.cases = tuple(cases)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        return self.samples[self.cases[position]]
