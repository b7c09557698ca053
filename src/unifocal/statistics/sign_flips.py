"""Permutation tests of paired differences: every patient's sign may flip when there is no difference."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]

MOST_EXACT = 14
"""Up to this many patients, all ways to choose the signs are gone through."""
FLIPS = 99_999
_BLOCK = 2**16
"""Numbers in one block: few enough to stay in the processor's cache."""
_SLACK = 1e-9


@dataclass(frozen=True)
class FlipTests:
    """P-values of many columns of differences, two-sided; NaN for a column without any.

    Attributes:
        mean: The permutation test of the mean difference.
        ranks: The same of the signed ranks.
        either: The larger of both standardised statistics, calibrated by the same flips.
        is_exact: Whether all ways to choose the signs were gone through.
    """

    mean: Floats
    ranks: Floats
    either: Floats
    is_exact: bool


def flip_tests(differences: Floats, seed: int, flips: int = FLIPS) -> FlipTests:
    """Test whether differences are centred on zero, by flipping their signs.

    Without a difference between two losses, swapping them in any patient changes nothing (Fisher
    1935; Pesarin and Salmaso 2010). The combined test takes for each column the larger of the absolute
    standardised mean, sum(d) / sqrt(sum(d^2)), and the absolute standardised signed-rank sum,
    sum(s r) / sqrt(sum(r^2)), and compares it with the larger of both under the same flips: it keeps its
    level and follows whichever statistic sees more.

    Args:
        differences: (patients, columns), NaN where missing.
        seed: Of the flips, when they are drawn.
        flips: How many are drawn when there are too many to go through.
    """
    n, n_columns = differences.shape
    present = np.isfinite(differences)
    filled = np.where(present, differences, 0.0)
    statistics = np.hstack([_standardised(filled), _standardised(_signed_ranks(filled))])
    observed = np.abs(statistics.sum(axis=0))
    threshold = observed - _SLACK
    largest = np.maximum(threshold[:n_columns], threshold[n_columns:])
    counts = np.zeros(3 * n_columns)
    total = 0
    for signs in _signs(n, seed, flips, 2 * n_columns):
        flipped = np.abs(signs @ statistics)
        counts[: 2 * n_columns] += (flipped >= threshold).sum(axis=0)
        either = np.maximum(flipped[:, :n_columns], flipped[:, n_columns:])
        counts[2 * n_columns :] += (either >= largest).sum(axis=0)
        total += len(signs)
    is_exact = n <= MOST_EXACT
    # What was observed is one of the equally likely flips (Phipson and Smyth 2010).
    p = counts / total if is_exact else (counts + 1) / (total + 1)
    p[np.tile(~present.any(axis=0), 3)] = np.nan
    return FlipTests(p[:n_columns], p[n_columns : 2 * n_columns], p[2 * n_columns :], is_exact)


def _standardised(values: Floats) -> Floats:
    length = np.sqrt((values**2).sum(axis=0))
    found: Floats = values / np.where(length > 0, length, 1.0)
    return found


def _signed_ranks(differences: Floats) -> Floats:
    """Ranks of the sizes with the signs of the differences; zeros are left out of the ranking."""
    sizes = np.where(differences == 0, np.nan, np.abs(differences))
    ranks = rankdata(sizes, axis=0, nan_policy="omit")
    found: Floats = np.where(differences == 0, 0.0, np.sign(differences) * ranks)
    return found


def _signs(n: int, seed: int, flips: int, width: int) -> Iterator[Floats]:
    """Rows of n signs in blocks: all there are, but for flipping everyone, or as many as wished.

    The signs do not depend on `width`, how many numbers each row is turned into; the size of the blocks does.
    """
    if n <= MOST_EXACT:
        # Flipping everyone changes no absolute value, so the last sign may stay.
        codes = np.arange(2 ** max(n - 1, 0))[:, None]
        yield (1 - 2 * (codes >> np.arange(n) & 1)).astype(np.float64)
        return
    rng = np.random.default_rng(seed)
    n_bytes = 8 * (-(-n // 64))
    step = max(1, _BLOCK // max(8 * n_bytes, width))
    for start in range(0, flips, step):
        size = min(step, flips - start)
        # Bytes come from the generator in words: whole words per row keep the rows apart from the blocks.
        bits = np.unpackbits(np.frombuffer(rng.bytes(size * n_bytes), np.uint8).reshape(size, -1), axis=1)
        yield 1.0 - 2.0 * bits[:, :n].astype(np.float64)
