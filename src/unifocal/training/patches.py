"""Random patches of volumes: where they lie, and how they are cut from cases that stay compressed in the cache."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from unifocal.training.samples import as_tensor
from unifocal.training.seeds import derive_seed

_KEPT = 4096
"""So many elements of each class are remembered as centres for patches."""


class Sliceable(Protocol):
    """An array that may stay where it is until a part of it is asked for, or a tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis."""
        ...

    def __getitem__(self, index: Any) -> Any:
        """An array, or a tensor on whatever device."""
        ...


@dataclass(frozen=True)
class Patches:
    """Cases from which training draws patches of one size.

    Args:
        fetch: Gives image (channels, *spatial) float32 and class indices (*spatial) uint8 of a case by its index;
            only the parts that a patch needs are read.
        size: Elements of a patch along each spatial axis.
        channels: Of the images.
        classes: How many class indices there are, the background with them.
        foreground_share: Of the patches, how many are centred on an element of a foreground class: the class is drawn
            first, each that the case has alike, then one of its elements. The others lie anywhere.
        per_case: Patches drawn from each case in an epoch.

    Raises:
        ValueError: If a number is out of range.
    """

    fetch: Callable[[int], tuple[Sliceable, Sliceable]]
    size: tuple[int, ...]
    channels: int
    classes: int
    foreground_share: float = 1 / 3
    per_case: int = 1
    _centres: dict[int, list[NDArray[np.int32]]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if min(self.size) < 1 or self.per_case < 1 or not 0 <= self.foreground_share <= 1:
            message = (
                f"size and per_case must be at least 1 and foreground_share from 0 to 1, got {self.size}, "
                f"{self.per_case} and {self.foreground_share}"
            )
            raise ValueError(message)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, *size) of every patch."""
        return (self.channels, *self.size)

    def __getitem__(self, case: int) -> tuple[Tensor, Tensor]:
        """The whole case: image (channels, *spatial) float32 and class indices (1, *spatial) int64."""
        image, classes = self.fetch(case)
        return as_tensor(image[...]).float(), as_tensor(classes[...]).long()[None]

    def draw(self, case: int, seed: int) -> tuple[Tensor, Tensor]:
        """One patch: image (channels, *size) float32 and class indices (1, *size) int64.

        Where a case is smaller than a patch, it lies in its middle, with 0 and background around it.

        Args:
            case: Its index.
            seed: Decides where the patch lies; the same seed gives the same patch.
        """
        image, classes = self.fetch(case)
        random = np.random.default_rng(seed)
        spatial = classes.shape
        centres = self._centres_of(case, classes) if random.random() < self.foreground_share else []
        if centres:
            chosen = centres[random.integers(len(centres))]
            centre = chosen[random.integers(len(chosen))]
            wanted = [int(place) - length // 2 for place, length in zip(centre, self.size, strict=True)]
        else:
            wanted = [int(random.integers(max(0, n - k) + 1)) for n, k in zip(spatial, self.size, strict=True)]
        windows = [window(*axis) for axis in zip(wanted, spatial, self.size, strict=True)]
        cut = tuple(slice(start, stop) for start, stop, _ in windows)
        around = [
            (before, length - before - (stop - start))
            for (start, stop, before), length in zip(windows, self.size, strict=True)
        ]
        margins = [margin for pair in reversed(around) for margin in pair]
        part = as_tensor(image[(slice(None), *cut)]).float(), as_tensor(classes[cut]).long()[None]
        return pad(part[0], margins), pad(part[1], margins)

    def _centres_of(self, case: int, classes: Sliceable) -> list[NDArray[np.int32]]:
        """Per foreground class that the case has, the positions of some of its elements (count, axes)."""
        if case not in self._centres:
            whole = as_tensor(classes[...]).cpu().numpy()
            random = np.random.default_rng(derive_seed(case, "centres"))
            self._centres[case] = [
                np.stack(np.unravel_index(_some(np.flatnonzero(whole == label), random), whole.shape), axis=1).astype(
                    np.int32
                )
                for label in np.unique(whole)
                if label != 0
            ]
        return self._centres[case]


def window(wanted: int, extent: int, length: int) -> tuple[int, int, int]:
    """Where a patch of `length` lies along an axis of `extent`.

    Args:
        wanted: Where it should start; it is moved to lie inside.
        extent: Elements of the case.
        length: Elements of the patch.

    Returns:
        Start and stop in the case, and how much padding comes before.
    """
    if extent < length:
        return 0, extent, (length - extent) // 2
    start = min(max(wanted, 0), extent - length)
    return start, start + length, 0


def _some(places: NDArray[np.intp], random: np.random.Generator) -> NDArray[np.intp]:
    if len(places) <= _KEPT:
        return places
    return np.sort(random.choice(places, _KEPT, replace=False))
