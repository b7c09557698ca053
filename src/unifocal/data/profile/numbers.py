"""Numbers that describe many numbers, and how arrays of any size are sampled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_SAMPLED = 1 << 18
"""Percentiles and ranks of larger arrays come from this many elements, drawn with replacement by a fixed seed."""

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Spread:
    """How values lie.

    Attributes:
        n: How many there are.
        mean: Their mean.
        sd: Their standard deviation (divisor n).
        minimum: The lowest.
        q25: The first quartile (linear interpolation).
        median: The median.
        q75: The third quartile.
        maximum: The highest.
    """

    n: int
    mean: float
    sd: float
    minimum: float
    q25: float
    median: float
    q75: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float] | NDArray[Any]) -> "Spread | None":
        """The spread of finite values; None where there are none."""
        array = np.asarray(values, dtype=np.float64)
        array = array[np.isfinite(array)]
        if not array.size:
            return None
        low, q25, median, q75, high = np.percentile(array, [0, 25, 50, 75, 100]).tolist()
        return cls(array.size, math.fsum(array.tolist()) / array.size, float(array.std()), low, q25, median, q75, high)


def weighted_quantiles(values: NDArray[Any], counts: NDArray[Any], quantiles: Sequence[float]) -> list[float]:
    """Quantiles of values that occur `counts` times each, as NumPy's linear interpolation gives for the long list."""
    order = np.argsort(values, kind="stable")
    ordered, ends = np.asarray(values)[order].astype(np.float64), np.cumsum(np.asarray(counts)[order])
    places = np.asarray(quantiles, dtype=np.float64) * (ends[-1] - 1)
    below = np.floor(places)
    lower = ordered[np.searchsorted(ends, below, side="right")]
    upper = ordered[np.searchsorted(ends, np.ceil(places), side="right")]
    return [float(value) for value in lower + (places - below) * (upper - lower)]


def moments(values: NDArray[Any], about: float | None = None) -> tuple[float, float]:
    """The mean, and the mean square distance from `about` (from the mean where None), without large temporaries.

    Args:
        values: Of any shape, at least one.
        about: What distances are taken from.
    """
    flat = values.reshape(-1)
    parts = [flat[start : start + _CHUNK] for start in range(0, flat.size, _CHUNK)]
    mean = math.fsum(float(part.sum(dtype=np.float64)) for part in parts) / flat.size
    centre = mean if about is None else about
    squares = (part.astype(np.float64) - centre for part in parts)
    return mean, math.fsum(float(np.dot(each, each)) for each in squares) / flat.size


def sampled(values: NDArray[Any], most: int = MOST_SAMPLED) -> NDArray[Any]:
    """All values as one row, or `most` of them, drawn with replacement, the same each time."""
    flat = values.reshape(-1)
    if flat.size <= most:
        return flat
    return np.asarray(flat[np.random.default_rng(0).integers(0, flat.size, most)])


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """The smallest box that holds all that is True; None where nothing is."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        if not places.size:
            return None
        box.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(box)
