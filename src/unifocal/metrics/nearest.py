"""How far the nearest of many grid points is, exactly.

Three ways, and all give the same distances to rounding; which is quickest was measured
(docs/results/metrics_speed.md). Boundaries of a fair prediction lie close together, so most distances are found by
looking at the nearest neighbours one after the other. The points that are left ask a k-d tree; a distance
transform answers where there are so many of them that a pass over the whole box costs less.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import gamma, pi, prod

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

_NEIGHBOURS = 100
_WIDEST = 32
_FEW = 1000
_DENSE = 20


def nearest_distances(source: NDArray[np.bool_], target: NDArray[np.bool_], spacing: Sequence[float]) -> Floats:
    """The distance from every element of one mask to the nearest element of another.

    Args:
        source: A mask of one dimension or more.
        target: Likewise, of the same shape, with at least one element.
        spacing: The distance between element centres along each axis.

    Returns:
        One distance per element of `source`, in no particular order, in the unit of the spacing.
    """
    distances = np.zeros(np.count_nonzero(source))
    apart = np.flatnonzero(source & ~target)
    if not len(apart):
        return distances
    points = _indices(apart, source.shape)
    steps = np.asarray(spacing, dtype=np.float64)
    if len(apart) > _FEW:
        near, points = _look_around(points, target, tuple(map(float, spacing)))
        distances[: len(near)] = near
    else:
        near = np.empty(0)
    if points.shape[1]:
        search = _by_transform if target.size < _DENSE * points.shape[1] else _by_tree
        difference = (search(points, target, steps) - points) * steps[:, None]
        distances[len(near) : len(apart)] = np.sqrt(np.square(difference).sum(axis=0))
    return distances


def _indices(flat: Integers, shape: tuple[int, ...]) -> Integers:
    """One row per axis, one column per element."""
    return np.stack(np.unravel_index(flat, shape))


def _by_tree(points: Integers, target: NDArray[np.bool_], steps: Floats) -> Integers:
    # Several times as fast as nonzero(target).
    targets = _indices(np.flatnonzero(target), target.shape)
    tree = cKDTree((targets * steps[:, None]).T, leafsize=64, compact_nodes=False, balanced_tree=False)
    return targets[:, tree.query((points * steps[:, None]).T)[1]]


def _by_transform(points: Integers, target: NDArray[np.bool_], steps: Floats) -> Integers:
    nearest = ndimage.distance_transform_edt(~target, sampling=steps, return_distances=False, return_indices=True)
    return np.asarray(nearest[(slice(None), *points)], np.intp)


def _look_around(points: Integers, target: NDArray[np.bool_], spacing: tuple[float, ...]) -> tuple[Floats, Integers]:
    """The distances of the points with a target among their nearest neighbours, and the other points."""
    offsets, lengths = _neighbourhood(spacing)
    margins = np.abs(offsets).max(axis=0)
    padded = np.pad(target, [(margin, margin) for margin in margins])
    strides = np.array([prod(padded.shape[axis + 1 :]) for axis in range(padded.ndim)])
    around = padded.ravel()
    left = np.arange(points.shape[1])
    places = strides @ (points + margins[:, None])
    found: list[Floats] = []
    for step, length in zip(offsets @ strides, lengths, strict=True):
        is_hit = around[places + step]
        missed = np.flatnonzero(~is_hit)
        found.append(np.full(len(places) - len(missed), length))
        left, places = left[missed], places[missed]
        if len(places) <= _FEW:
            break
    return np.concatenate(found), points[:, left]


@lru_cache(maxsize=64)
def _neighbourhood(spacing: tuple[float, ...]) -> tuple[Integers, Floats]:
    """The nearest 100 or so neighbours and their distances, nearest first; none nearer is missing."""
    ndim, steps = len(spacing), np.array(spacing)
    unit_ball = pi ** (ndim / 2) / gamma(ndim / 2 + 1)
    radius = (_NEIGHBOURS * prod(spacing) / unit_ball) ** (1 / ndim)
    radius = min(radius, _WIDEST * float(steps.min()))
    half = [int(radius / step) for step in spacing]
    offsets = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in half), indexing="ij")).reshape(ndim, -1).T
    lengths = np.sqrt(np.square(offsets * steps).sum(axis=1))
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] <= radius]
    return offsets[order].astype(np.intp), lengths[order]
