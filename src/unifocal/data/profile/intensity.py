"""Grey values: their range, and how a target stands out from what surrounds it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.data.profile.numbers import bounding_box, moments, sampled

RIM = 5
"""The surroundings of a target reach this many steps, each across a face of an element."""

MOST_RANKED = 1 << 16
"""AUCs of more values come from this many, so that their standard error stays below 0.002."""

EDGES = np.linspace(-3.0, 6.0, 73)
"""Bins of the histograms, in standard deviations from the image's mean; the outer bins hold what lies beyond."""


@dataclass(frozen=True)
class Intensity:
    """The values of one channel of one image, in the file's units."""

    minimum: float
    p1: float
    median: float
    p99: float
    maximum: float
    mean: float
    sd: float


@dataclass(frozen=True)
class Contrast:
    """How the values of a target differ from others, in one channel of one image.

    Attributes:
        inside: The mean of the target's values.
        outside: The mean of the background's; nan where there is none.
        difference: (inside - outside) / sqrt((variance inside + variance outside) / 2), Cohen's d with the mean
            variance; nan where both are constant.
        auc: The probability that a random element of the target is brighter than one of the background, ties counted
            half (Mann-Whitney): 0.5 means that brightness alone says nothing, 0 and 1 that it says all.
        auc_rim: The same against the background within `RIM` steps of the target.
    """

    inside: float
    outside: float
    difference: float
    auc: float
    auc_rim: float


def intensity_of(channel: NDArray[np.float32]) -> Intensity:
    """The range of a channel; percentiles are exact up to `MOST_SAMPLED` elements, of a sample beyond."""
    p1, median, p99 = (float(value) for value in np.percentile(sampled(channel), [1, 50, 99]))
    mean, square = moments(channel)
    return Intensity(float(channel.min()), p1, median, p99, float(channel.max()), mean, math.sqrt(square))


def histogram(values: NDArray[Any], intensity: Intensity) -> NDArray[np.float64]:
    """The share of the values in each bin of `EDGES`, after the image's own z-score."""
    if not values.size:
        return np.zeros(len(EDGES) - 1)
    scores = (values.astype(np.float64) - intensity.mean) / (intensity.sd or 1.0)
    counts, _ = np.histogram(np.clip(scores, EDGES[0], EDGES[-1]), EDGES)
    return np.asarray(counts / values.size, dtype=np.float64)


def background_sample(channel: NDArray[np.float32], foreground: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values of the background: all of them, or a sample."""
    return np.asarray(sampled(channel)[~sampled(foreground)], dtype=np.float32)


def rim_of(target: NDArray[np.bool_], foreground: NDArray[np.bool_]) -> tuple[tuple[slice, ...], NDArray[np.bool_]]:
    """The background within `RIM` steps of a target that is not empty: a box, and which of its elements."""
    from scipy.ndimage import binary_dilation

    inner = bounding_box(target)
    assert inner is not None
    box = tuple(
        slice(max(part.start - RIM, 0), min(part.stop + RIM, length))
        for part, length in zip(inner, target.shape, strict=True)
    )
    return box, binary_dilation(target[box], iterations=RIM) & ~foreground[box]


def contrast_of(
    inside: NDArray[np.float32],
    outside: NDArray[np.float32],
    rim: NDArray[np.float32],
) -> Contrast:
    """How a target stands out.

    Args:
        inside: The target's values, at least one.
        outside: The background's values, or a sample of them.
        rim: Those of the background near the target.
    """
    mean_in, square_in = moments(inside)
    mean_out, square_out = moments(outside) if outside.size else (math.nan, math.nan)
    width = math.sqrt((square_in + square_out) / 2)
    values = np.sort(sampled(inside, MOST_RANKED))
    return Contrast(
        inside=mean_in,
        outside=mean_out,
        difference=(mean_in - mean_out) / width if width > 0 else math.nan,
        auc=_auc(values, sampled(outside, MOST_RANKED)),
        auc_rim=_auc(values, sampled(rim, MOST_RANKED)),
    )


def _auc(ordered: NDArray[Any], others: NDArray[Any]) -> float:
    """P(a > b) + P(a = b) / 2 for a of `ordered`, b of `others`; nan where there are no others."""
    if not others.size:
        return math.nan
    lower = np.searchsorted(ordered, others, side="left").sum(dtype=np.int64)
    upper = np.searchsorted(ordered, others, side="right").sum(dtype=np.int64)
    return float(1 - (lower + upper) / (2 * ordered.size * others.size))
