"""What goes through preprocessing: an image with what belongs to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class GeometryRecord:
    """One change of the grid, enough to undo it.

    Attributes:
        kind: `resize` samples the same field of view anew; `frame` takes a window of the grid, which may lie partly
            outside it (cropping and padding).
        before: Elements along each spatial axis before the step.
        after: The same after it.
        start: Of a frame: where its first element lies on the grid before, negative where padding comes first; empty
            for a resize.
    """

    kind: Literal["resize", "frame"]
    before: tuple[int, ...]
    after: tuple[int, ...]
    start: tuple[int, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """As values that JSON and YAML hold."""
        return {
            "kind": self.kind,
            "before": list(self.before),
            "after": list(self.after),
            "start": list(self.start),
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "GeometryRecord":
        """From what `to_plain` gave."""
        before, after, start = (tuple(map(int, values[key])) for key in ("before", "after", "start"))
        return cls("resize" if values["kind"] == "resize" else "frame", before, after, start)


@dataclass(frozen=True)
class Sample:
    """An image on its way to the network.

    Attributes:
        image: (channels, *spatial), float32.
        labels: (*spatial), integers; None where there is no mask.
        spacing_mm: Distance between the centres of neighbouring elements along each spatial axis; None if unknown.
        inside: (*spatial), True where the image shows what it is of (field of view, brain); None where nobody said.
        geometry: What changed the grid, in order.
    """

    image: NDArray[np.float32]
    labels: NDArray[Any] | None = None
    spacing_mm: tuple[float, ...] | None = None
    inside: NDArray[np.bool_] | None = None
    geometry: tuple[GeometryRecord, ...] = ()

    @property
    def spatial(self) -> tuple[int, ...]:
        """Elements along each spatial axis."""
        return self.image.shape[1:]
