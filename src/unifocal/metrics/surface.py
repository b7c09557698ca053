"""Distances between the boundaries of two masks, computed once for every surface metric."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

SURFACE_DISTANCES = ("hausdorff", "hd95", "hd95_pooled", "assd")


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances from every boundary element of one mask to the nearest of the other mask.

    Attributes:
        from_truth: One distance per boundary element of the truth, in no particular order.
        from_prediction: One distance per boundary element of the prediction, likewise.
    """

    from_truth: NDArray[np.float64]
    from_prediction: NDArray[np.float64]

    def summarise(self, tolerance: float) -> dict[str, float]:
        """Hausdorff distance, its 95th percentiles, the average distance and the surface Dice.

        Args:
            tolerance: For `nsd` (Nikolov et al. 2018, counted over boundary elements), in the unit
                of the distances.
        """
        both = np.concatenate([self.from_truth, self.from_prediction])
        directed = [np.percentile(distances, 95) for distances in (self.from_truth, self.from_prediction)]
        # A distance of exactly the tolerance may come out a rounding error above it.
        within = both <= tolerance * (1 + 1e-9)
        return {
            "hausdorff": float(both.max()),
            "hd95": float(max(directed)),
            "hd95_pooled": float(np.percentile(both, 95)),
            "assd": float(both.mean()),
            "nsd": float(within.mean()),
        }


def boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The foreground elements with a face neighbour outside; beyond the array counts as outside."""
    padded = np.pad(mask, 1)
    inner = (slice(1, -1),) * mask.ndim
    interior = mask.copy()
    for axis in range(mask.ndim):
        for neighbour in (slice(None, -2), slice(2, None)):
            interior &= padded[(*inner[:axis], neighbour, *inner[axis + 1 :])]
    return mask & ~interior


def surface_distances(
    truth: NDArray[np.bool_], prediction: NDArray[np.bool_], spacing: Sequence[float]
) -> SurfaceDistances:
    """Distances between the element centres of two boundaries.

    Args:
        truth: A mask with at least one foreground element.
        prediction: Likewise, of the same shape.
        spacing: The distance between element centres along each axis.

    Returns:
        The distances of both directions, in the unit of the spacing.
    """
    box = _bounding_box(truth | prediction)
    edge_truth, edge_prediction = boundary(truth[box]), boundary(prediction[box])
    return SurfaceDistances(
        from_truth=_directed(edge_truth, edge_prediction, spacing),
        from_prediction=_directed(edge_prediction, edge_truth, spacing),
    )


def image_diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """The distance between opposite corners' centres: sqrt(sum(((n - 1) * spacing)^2))."""
    extent = (np.asarray(shape) - 1) * np.asarray(spacing, dtype=np.float64)
    return float(np.sqrt(np.square(extent).sum()))


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)


def _directed(source: NDArray[np.bool_], target: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float64]:
    distances = np.zeros(np.count_nonzero(source))
    apart = np.argwhere(source & ~target) * np.asarray(spacing, dtype=np.float64)
    if len(apart):
        tree = cKDTree(np.argwhere(target) * np.asarray(spacing, dtype=np.float64))
        distances[: len(apart)] = tree.query(apart)[0]
    return distances
