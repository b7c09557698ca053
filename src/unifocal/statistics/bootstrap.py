"""Bootstrap means and their intervals, for many columns on the same resampled patients."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Floats = NDArray[np.float64]

_BLOCK = 4_000_000
_LEVEL = 0.95
ROUNDING = 1e-12
"""Means that differ by less, relative to their scale, differ by rounding alone."""


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
    complete = bool(present.all())
    means = np.empty((resamples, values.shape[1]))
    step = max(1, _BLOCK // n)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        counted = np.float64(n) if complete else times @ present
        with np.errstate(invalid="ignore"):
            means[start : start + size] = (times @ filled) / counted
    return means


def intervals(values: Floats, means: Floats) -> tuple[Floats, Floats]:
    """95 % bias-corrected and accelerated (BCa) intervals of the columns' means.

    Efron 1987, "Better bootstrap confidence intervals", Eqs. 2.3 and 7.3 (acceleration from the
    jackknife).

    Args:
        values: (patients, columns), NaN where missing.
        means: What `resampled_means` gave for them.

    Returns:
        The lower and upper bounds, one per column. NaN where fewer than two patients have a value;
        the constant itself where all values are the same.
    """
    columns = zip(values.T, means.T, strict=True)
    found = [_interval(column[np.isfinite(column)], drawn) for column, drawn in columns]
    bounds = np.asarray(found).reshape(-1, 2)
    return bounds[:, 0], bounds[:, 1]


def _interval(column: Floats, drawn: Floats) -> tuple[float, float]:
    if len(column) < 2:
        return np.nan, np.nan
    mean = column.mean()
    deviations = column - mean
    scale = np.abs(deviations).max()
    if scale <= ROUNDING * np.abs(mean):
        return float(mean), float(mean)
    ordered = np.sort(drawn[np.isfinite(drawn)])
    slack = ROUNDING * max(scale, np.abs(mean))
    below = np.searchsorted(ordered, mean - slack, "left")
    not_above = np.searchsorted(ordered, mean + slack, "right")
    # Half a resample on either side keeps the correction finite when none lies there.
    share = np.clip((below + not_above) / 2, 0.5, len(ordered) - 0.5) / len(ordered)
    bias = norm.ppf(share)
    shape = deviations / scale
    acceleration = np.sum(shape**3) / (6 * np.sum(shape**2) ** 1.5)
    z = bias + norm.ppf([(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    quantiles = norm.cdf(bias + z / (1 - acceleration * z))
    lower, upper = np.quantile(ordered, quantiles)
    return float(lower), float(upper)


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
