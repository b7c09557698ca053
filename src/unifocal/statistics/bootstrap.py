"""Bootstrap means and their intervals, for many columns on the same resampled patients."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

Floats = NDArray[np.float64]

_BLOCK = 4_000_000
_COLUMNS = 256
_LEVEL = 0.95
_LEVEL_EQUIVALENCE = 0.90
ROUNDING = 1e-12
"""Means that differ by less, relative to their scale, differ by rounding alone."""


@dataclass(frozen=True)
class Bounds:
    """Intervals of the columns' means, each an array of shape (columns, 2).

    NaN where fewer than two patients have a value; the constant itself where all values are the same.

    Attributes:
        shown: The 95 % interval that is reported: on either side the outer bound of BCa and Student's t.
        shown_90: Likewise at 90 %, for two one-sided tests at 5 %.
        bca: The 95 % BCa interval.
        percentile: The 95 % percentile interval.
    """

    shown: Floats
    shown_90: Floats
    bca: Floats
    percentile: Floats


@dataclass(frozen=True)
class Resampled:
    """What the resamples say of each column.

    Attributes:
        bounds: Intervals of the means.
        above: The share of resamples with a mean above zero; means of zero count half.
        within: The share of resamples with a mean within the column's margin; NaN without a margin.
    """

    bounds: Bounds
    above: Floats
    within: Floats


def resample(values: Floats, resamples: int, seed: int, margins: Floats, ranges: Floats) -> Resampled:
    """Intervals and shares of many columns, a few hundred at a time so that memory stays small.

    Args:
        values: (patients, columns), NaN where missing.
        resamples: The number of bootstrap resamples.
        seed: Of the draws.
        margins: One per column, NaN for none.
        ranges: (columns, 2): the smallest and largest possible value, which no bound exceeds.
    """
    parts = []
    for start in range(0, values.shape[1], _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        means = resampled_means(values[:, columns], resamples, seed)
        parts.append((*_shares(means, margins[columns]), intervals(values[:, columns], means, ranges[columns])))
    empty = np.empty((0, 2))
    names = ("shown", "shown_90", "bca", "percentile")
    joined = {name: np.concatenate([empty, *(getattr(part[2], name) for part in parts)]) for name in names}
    above, within = (np.concatenate([empty[:, 0], *(part[k] for part in parts)]) for k in (0, 1))
    return Resampled(Bounds(**joined), above, within)


def resampled_means(values: Floats, resamples: int, seed: int) -> Floats:
    """The mean of every column in every bootstrap resample of the rows.

    All columns see the same resamples, and the resamples depend on nothing but the number of rows
    and the seed: differences between columns, and between calls, stay paired.

    Args:
        values: (patients, columns); NaN where a patient has no value, which its mean then leaves out.
        resamples: How often to draw as many patients as there are, with replacement.
        seed: Of the draws.

    Returns:
        (resamples, columns); NaN where none of the drawn patients has a value.
    """
    n = len(values)
    rng = np.random.default_rng(seed)
    present = np.isfinite(values)
    filled = np.where(present, values, 0.0)
    gaps = ~present.all(axis=0)
    means = np.empty((resamples, values.shape[1]))
    step = max(1, _BLOCK // n)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        counted = np.full((size, values.shape[1]), np.float64(n))
        counted[:, gaps] = times @ present[:, gaps]
        with np.errstate(invalid="ignore"):
            means[start : start + size] = (times @ filled) / counted
    return means


def intervals(values: Floats, means: Floats, ranges: Floats) -> Bounds:
    """Intervals of the columns' means.

    BCa is the bias-corrected and accelerated interval of Efron 1987, "Better bootstrap confidence
    intervals", Eqs. 2.3 and 7.3 (acceleration from the jackknife). It follows skewed values where Student's t
    does not, and is too narrow where few values far out on both sides make the acceleration erratic, where Student's
    t is not; so on either side the outer of both bounds is shown (docs/decisions/0009-verdict.md).

    Args:
        values: (patients, columns), NaN where missing.
        means: What `resampled_means` gave for them.
        ranges: (columns, 2): the smallest and largest possible value.
    """
    n = np.isfinite(values).sum(axis=0)
    shape = _shape(values, means)
    ordered = np.sort(means.T, axis=1)

    def settled(bounds: Floats) -> Floats:
        bounds = np.clip(bounds, ranges[:, :1], ranges[:, 1:])
        bounds[shape.is_constant] = shape.mean[shape.is_constant, None]
        bounds[n < 2] = np.nan
        return bounds

    def bootstrapped(level: float, bias: Floats, acceleration: Floats) -> Floats:
        shifted = bias + norm.ppf([[(1 - level) / 2], [(1 + level) / 2]])
        places = norm.cdf(bias + shifted / (1 - acceleration * shifted))
        return np.column_stack([_quantiles(ordered, place) for place in places])

    def shown(level: float) -> Floats:
        bca = bootstrapped(level, shape.bias, shape.acceleration)
        reach = student.ppf((1 + level) / 2, np.maximum(n - 1, 1)) * shape.standard_error
        low, high = np.minimum(bca[:, 0], shape.mean - reach), np.maximum(bca[:, 1], shape.mean + reach)
        return settled(np.column_stack([low, high]))

    none = np.zeros(len(n))
    return Bounds(
        shown=shown(_LEVEL),
        shown_90=shown(_LEVEL_EQUIVALENCE),
        bca=settled(bootstrapped(_LEVEL, shape.bias, shape.acceleration)),
        percentile=settled(bootstrapped(_LEVEL, none, none)),
    )


@dataclass(frozen=True)
class _Shape:
    mean: Floats
    standard_error: Floats
    bias: Floats
    acceleration: Floats
    is_constant: NDArray[np.bool_]


def _shape(values: Floats, means: Floats) -> _Shape:
    present = np.isfinite(values)
    n = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, values, 0.0).sum(axis=0) / n
    deviations = np.where(present, values - mean, 0.0)
    scale = np.abs(deviations).max(axis=0, initial=0.0)
    is_constant = scale <= ROUNDING * np.abs(mean)
    slack = ROUNDING * np.maximum(scale, np.abs(mean))
    n_means = np.isfinite(means).sum(axis=0)
    counted = ((means < mean - slack).sum(axis=0) + (means <= mean + slack).sum(axis=0)) / 2
    # Half a resample on either side keeps the correction finite when none lies there.
    share = np.clip(counted, 0.5, np.maximum(n_means - 0.5, 0.5)) / np.maximum(n_means, 1)
    scaled = deviations / np.where(is_constant, 1.0, scale)
    squares = np.where(is_constant, 1.0, np.sum(scaled**2, axis=0))
    return _Shape(
        mean=mean,
        standard_error=scale * np.sqrt(squares / (n * np.maximum(n - 1, 1))),
        bias=norm.ppf(share),
        acceleration=np.sum(scaled**3, axis=0) / (6 * squares**1.5),
        is_constant=is_constant,
    )


def _quantiles(ordered: Floats, levels: Floats) -> Floats:
    """One quantile per row of rows that are sorted, NaN last; linear interpolation."""
    n = np.isfinite(ordered).sum(axis=1)
    last = np.maximum(n - 1, 0)
    place = levels * last
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, last)
    rows = np.arange(len(ordered))
    below, above = ordered[rows, low], ordered[rows, high]
    found: Floats = below + (place - low) * (above - below)
    return found


def _shares(means: Floats, margins: Floats) -> tuple[Floats, Floats]:
    n = np.maximum(np.isfinite(means).sum(axis=0), 1)
    above = ((means > 0).sum(axis=0) + (means == 0).sum(axis=0) / 2) / n
    within = (np.abs(means) <= margins * (1 + ROUNDING)).sum(axis=0) / n
    some = np.isfinite(means).any(axis=0)
    return np.where(some, above, np.nan), np.where(some & np.isfinite(margins), within, np.nan)


def shares_of_best(means: Floats, *, higher_is_better: bool) -> Floats:
    """The share of resamples in which each column has the best mean; ties are split evenly.

    Args:
        means: (resamples, columns); resamples with a NaN are left out.
        higher_is_better: Whether the largest mean is the best.

    Returns:
        One share per column, adding up to 1; NaN where no resample is complete.
    """
    complete = means[np.isfinite(means).all(axis=1)]
    if complete.size == 0:
        return np.full(means.shape[1], np.nan)
    oriented = complete if higher_is_better else -complete
    winners = is_best(oriented)
    shares: Floats = (winners / winners.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def is_best(oriented: Floats) -> NDArray[np.bool_]:
    """Where the last axis has its largest value, or one that differs from it by rounding alone."""
    best = oriented.max(axis=-1, keepdims=True)
    slack = ROUNDING * np.abs(oriented).max(axis=-1, keepdims=True)
    found: NDArray[np.bool_] = oriented >= best - slack
    return found
