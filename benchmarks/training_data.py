"""The arrays that all contenders train on. NumPy alone: Keras' environment has nothing of this project."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_LEVELS = 32
"""Grey values per standard deviation, so that the images compress like real ones."""


@dataclass(frozen=True)
class Shape:
    """What is trained on.

    Attributes:
        size: Of the network's input: (rows, columns), or (slices, rows, columns) of patches.
        batch: Images per step.
        cases: Training cases, each giving one sample per epoch.
    """

    size: tuple[int, ...]
    batch: int
    cases: int

    @classmethod
    def parse(cls, text: str) -> "Shape":
        """A shape from `128x128:20:200`: size, batch, and cases (ten batches where they are not given).

        Raises:
            ValueError: If it is none.
        """
        size, batch, *cases = text.split(":")
        shape = cls(tuple(map(int, size.split("x"))), int(batch), int(cases[0]) if cases else 10 * int(batch))
        if len(cases) > 1 or len(shape.size) not in {2, 3} or min(*shape.size, shape.batch, shape.cases) < 1:
            message = f"not a shape: {text}"
            raise ValueError(message)
        return shape

    def __str__(self) -> str:
        return f"{self.title}:{self.batch}:{self.cases}"

    @property
    def title(self) -> str:
        """The size alone."""
        return "x".join(map(str, self.size))

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return len(self.size)

    @property
    def channels(self) -> int:
        """Of the images: 3 for pictures, as source A has them, and 1 for volumes."""
        return 3 if self.dimensions == 2 else 1

    @property
    def extent(self) -> tuple[int, ...]:
        """Of a whole case: volumes are a sixth longer than their patches along each axis."""
        return self.size if self.dimensions == 2 else tuple(side + side // 6 for side in self.size)

    @property
    def held_out(self) -> int:
        """Cases for validation, besides those of training."""
        return max(1, self.cases // 5)

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return -(-self.cases // self.batch)


def write_arrays(folder: Path, shape: Shape) -> None:
    """Noise with one bright ellipsoid per case: images (cases, channels, *extent) and masks (cases, *extent).

    Grey values are a whole number of steps and the same in all channels, as those of a prepared grey picture.
    """
    random = np.random.default_rng(0)
    count = shape.cases + shape.held_out
    images = np.empty((count, shape.channels, *shape.extent), np.float32)
    masks = np.empty((count, *shape.extent), np.uint8)
    axes = np.ogrid[tuple(slice(side) for side in shape.extent)]
    for image, mask in zip(images, masks, strict=True):
        centre = random.uniform(0.3, 0.7, shape.dimensions)
        radius = random.uniform(0.08, 0.2, shape.dimensions)
        terms = ((axis / side - c) / r for axis, side, c, r in zip(axes, shape.extent, centre, radius, strict=True))
        mask[...] = sum(term**2 for term in terms) < 1
        grey = random.normal(size=shape.extent).astype(np.float32) + 2 * mask
        image[...] = np.round(grey * _LEVELS) / _LEVELS
    np.save(folder / "images.npy", images)
    np.save(folder / "masks.npy", masks)


def read_arrays(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Images and masks of all cases, those of training first."""
    return np.load(folder / "images.npy"), np.load(folder / "masks.npy")


def cropped(arrays: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """Of the training cases the part that a network takes at once, from their first corner."""
    return np.ascontiguousarray(arrays[(slice(shape.cases), ..., *(slice(side) for side in shape.size))])
