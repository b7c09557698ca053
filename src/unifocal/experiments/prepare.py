"""Every case prepared once, in two memory-mapped arrays that all runs share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from unifocal.config.schema import PreprocessingConfig
from unifocal.data.case import Case
from unifocal.data.coding import MaskCoding, label_values
from unifocal.data.read import read_image, read_mask
from unifocal.preprocessing import prepare_image, prepare_labels
from unifocal.training import Samples


@dataclass(frozen=True)
class Prepared:
    """The prepared cases of a data set: plain values and paths, cheap to send to another process.

    Attributes:
        folder: Holds `images.npy` and `classes.npy`.
        cases: The cases, in the arrays' order.
        sizes: (rows, columns) of each case's own image.
        channels: Of the prepared images.
        labels: The labels in the masks, ascending, without background; class index k + 1 is `labels[k]`.
        coding: What the masks' stored values mean.
    """

    folder: Path
    cases: tuple[Case, ...]
    sizes: tuple[tuple[int, int], ...]
    channels: int
    labels: tuple[int, ...]
    coding: MaskCoding

    @property
    def out_channels(self) -> int:
        """One for foreground against background, else one per class with the background."""
        return 1 if len(self.labels) == 1 else len(self.labels) + 1

    def samples(self) -> Samples:
        """The arrays, memory-mapped."""
        return Samples(
            np.load(self.folder / "images.npy", mmap_mode="r"), np.load(self.folder / "classes.npy", mmap_mode="r")
        )

    def truth(self, case: Case) -> NDArray[Any]:
        """The case's labels (rows, columns) at its own size, from its mask file."""
        assert case.mask is not None
        return label_values(read_mask(case.mask), self.coding)

    def labels_of(self, indices: NDArray[np.uint8]) -> NDArray[Any]:
        """Labels for class indices."""
        table = np.array([0, *self.labels])
        return table[indices].astype(np.uint8 if table.max() <= 255 else np.uint16)

    def indices_of(self, labels: NDArray[Any]) -> NDArray[np.uint8]:
        """Class indices for labels."""
        return np.searchsorted(np.array([0, *self.labels]), labels).astype(np.uint8)


def prepare(prepared: Prepared, settings: PreprocessingConfig, advance: Callable[[], None]) -> None:
    """Fill the folder, unless it is filled already.

    Args:
        prepared: What to prepare and where to.
        settings: How.
        advance: Called after each case.
    """
    if all((prepared.folder / name).is_file() for name in ("images.npy", "classes.npy")):
        return
    prepared.folder.mkdir(parents=True, exist_ok=True)
    count = len(prepared.cases)
    partial = [prepared.folder / f"{name}.partial" for name in ("images.npy", "classes.npy")]
    images = open_memmap(partial[0], mode="w+", dtype=np.float32, shape=(count, prepared.channels, *settings.size))
    classes = open_memmap(partial[1], mode="w+", dtype=np.uint8, shape=(count, *settings.size))
    for index, case in enumerate(prepared.cases):
        images[index] = prepare_image(
            read_image(case.image),
            channels=prepared.channels,
            size=settings.size,
            intensity=settings.intensity,
            skull_strip=settings.skull_strip,
        )
        classes[index] = prepare_labels(prepared.indices_of(prepared.truth(case)), size=settings.size)
        advance()
    images.flush()
    classes.flush()
    for path in partial:
        path.replace(path.with_suffix(""))
