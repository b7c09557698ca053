"""Distances between the boundaries of two masks, computed once for every surface metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unifocal.metrics.nearest import Floats, nearest_distances
from unifocal.metrics.regions import bounding_box

SURFACE_METRICS = ("hausdorff", "hd95", "hd95_pooled", "assd", "nsd")


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances from every boundary element of one mask to the nearest of the other mask.

    Attributes:
        from_truth: One distance per boundary element of the truth, in no particular order.
        from_prediction: One distance per boundary element of the prediction, likewise.
    """

    from_truth: Floats
    from_prediction: Floats

    @cached_property
    def both(self) -> Floats:
        """The distances of both directions together."""
        return np.concatenate([self.from_truth, self.from_prediction])

    def hausdorff(self) -> float:
        """The largest distance."""
        return float(self.both.max())

    def percentile(self, q: float) -> float:
        """The larger of the two directed percentiles (linear interpolation), `q` from 0 to 100."""
        return float(max(np.percentile(self.from_truth, q), np.percentile(self.from_prediction, q)))

    def pooled_percentile(self, q: float) -> float:
        """The percentile (linear interpolation) of both directions together, `q` from 0 to 100."""
        return float(np.percentile(self.both, q))

    def average(self) -> float:
        """The mean of both directions' distances together."""
        return float(self.both.mean())

    def surface_dice(self, tolerance: float) -> float:
        """The share of boundary elements within the tolerance, which has the unit of the distances."""
        # A distance of exactly the tolerance may come out a rounding error above it.
        return float(np.mean(self.both <= tolerance * (1 + 1e-9)))

    def scores(self, tolerance: float) -> dict[str, float]:
        """`SURFACE_METRICS` by name, `nsd` at the tolerance."""
        return {
            "hausdorff": self.hausdorff(),
            "hd95": self.percentile(95),
            "hd95_pooled": self.pooled_percentile(95),
            "assd": self.average(),
            "nsd": self.surface_dice(tolerance),
        }


def boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The foreground elements with a face neighbour outside; beyond the array counts as outside."""
    interior = mask.copy()
    for axis in range(mask.ndim):
        whole, inside = np.moveaxis(mask, axis, 0), np.moveaxis(interior, axis, 0)
        inside[1:] &= whole[:-1]
        inside[:-1] &= whole[1:]
        inside[[0, -1]] = False
    return mask & ~interior


def surface_distances(
    truth: NDArray[np.bool_], prediction: NDArray[np.bool_], spacing: Sequence[float]
) -> SurfaceDistances:
    """Distances between the element centres of two boundaries.

    Args:
        truth: A boolean mask with at least one foreground element.
        prediction: Likewise, of the same shape.
        spacing: The distance between element centres along each axis.

    Returns:
        The distances of both directions, in the unit of the spacing.

    Raises:
        ValueError: If the masks differ in shape or one of them is empty.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape}, prediction {prediction.shape}; expected the same")
    box = bounding_box(truth | prediction)
    masks = [] if box is None else [np.ascontiguousarray(mask[box], np.bool_) for mask in (truth, prediction)]
    if not masks or not all(mask.any() for mask in masks):
        raise ValueError("an empty mask has no boundary; expected foreground in both masks")
    edge_truth, edge_prediction = map(boundary, masks)
    return SurfaceDistances(
        from_truth=nearest_distances(edge_truth, edge_prediction, spacing),
        from_prediction=nearest_distances(edge_prediction, edge_truth, spacing),
    )


def image_diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """The distance between opposite corners' centres: sqrt(sum(((n - 1) * spacing)^2))."""
    extent = (np.asarray(shape) - 1) * np.asarray(spacing, dtype=np.float64)
    return float(np.sqrt(np.square(extent).sum()))
