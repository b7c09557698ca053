"""What goes through preprocessing: an image with what belongs to it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_TUPLES = ("before", "after", "start", "order", "mirrored")


@dataclass(frozen=True)
class GeometryRecord:
    """One change of the grid, enough to undo it.

    Attributes:
        kind: `resize` samples the same field of view anew; `frame` takes a window of the grid, which may lie partly
            outside it (cropping and padding); `orient` turns and mirrors the axes.
        before: Elements along each spatial axis before the step.
        after: The same after it.
        start: Of a frame: where its first element lies on the grid before, negative where padding comes first; empty
            for the others.
        order: Of an orient: the number of the axis before the step that each axis is after it; empty for the others.
        mirrored: Of an orient: the axes after the step that run backwards.
    """

    kind: Literal["resize", "frame", "orient"]
    before: tuple[int, ...]
    after: tuple[int, ...]
    start: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    mirrored: tuple[int, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """As values that JSON and YAML hold."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "GeometryRecord":
        """From what `to_plain` gave."""
        return cls(values["kind"], *(tuple(map(int, values.get(key, ()))) for key in _TUPLES))


@dataclass(frozen=True)
class Sample:
    """An image on its way to the network.

    Attributes:
        image: (channels, *spatial), float32.
        labels: (*spatial), integers; None where there is no mask.
        spacing_mm: Distance between the centres of neighbouring elements along each spatial axis; None if unknown.
        inside: (*spatial), True where the image shows what it is of (field of view, brain); None where nobody said.
        geometry: What changed the grid, in order.
        affine: (4, axes + 1), as in `Scan`, of the grid that the files hold; None if unknown. Steps leave it as it is.
    """

    image: NDArray[np.float32]
    labels: NDArray[Any] | None = None
    spacing_mm: tuple[float, ...] | None = None
    inside: NDArray[np.bool_] | None = None
    geometry: tuple[GeometryRecord, ...] = ()
    affine: NDArray[np.float64] | None = None

    @property
    def spatial(self) -> tuple[int, ...]:
        """Elements along each spatial axis."""
        return self.image.shape[1:]
