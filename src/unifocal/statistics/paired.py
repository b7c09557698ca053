"""Tests of paired differences: Wilcoxon's signed-rank test, Holm's correction, the effect size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import PermutationMethod, mannwhitneyu, rankdata, wilcoxon

Floats = NDArray[np.float64]

_EXACT_UNTIED = 50
_EXACT_TIED = 13


@dataclass(frozen=True)
class SignedRank:
    """What the signed-rank test found.

    Attributes:
        p: Two-sided; NaN without any pair.
        effect_size: Matched-pairs rank-biserial correlation, -1 to 1.
        test: Which form of the test it was.
    """

    p: float
    effect_size: float
    test: str


def signed_rank(differences: Floats) -> SignedRank:
    """Wilcoxon's signed-rank test of paired differences (Wilcoxon 1945).

    Differences of zero are dropped. The p-value is exact up to 50 differences without ties in size
    and up to 13 with ties, and from the normal approximation with correction for ties beyond. The
    effect size is the matched-pairs rank-biserial correlation (Kerby 2014): the rank sum of the
    positive differences minus that of the negative ones, over their total; positive when the
    differences are mostly above zero.

    Args:
        differences: One per patient, none missing.
    """
    if len(differences) == 0:
        return SignedRank(np.nan, np.nan, "none: no patient has both scores")
    nonzero = differences[differences != 0]
    n = len(nonzero)
    if n == 0:
        return SignedRank(1.0, 0.0, "Wilcoxon signed-rank (all differences zero)")
    ranks = rankdata(np.abs(nonzero))
    effect_size = float(np.sum(np.sign(nonzero) * ranks) / ranks.sum())
    tied = len(np.unique(ranks)) < n
    if not tied and n <= _EXACT_UNTIED:
        p, form = wilcoxon(nonzero, method="exact").pvalue, "exact"
    elif n <= _EXACT_TIED:
        # As many resamples as there are ways to choose the signs: all of them, none at random.
        every_sign = PermutationMethod(n_resamples=2**_EXACT_TIED)
        p, form = wilcoxon(nonzero, method=every_sign).pvalue, "exact"
    else:
        p, form = wilcoxon(nonzero, method="approx").pvalue, "normal approximation"
    return SignedRank(float(p), effect_size, f"Wilcoxon signed-rank ({form})")


def rank_sum(a: Floats, b: Floats) -> float:
    """Two-sided p of the rank-sum test (Mann and Whitney 1947), which ignores the pairing."""
    if len(a) == 0 or len(b) == 0:
        return np.nan
    return float(mannwhitneyu(a, b, alternative="two-sided").pvalue)


def smallest_p(n_patients: int, n_tests: int) -> float:
    """The smallest p that Holm's correction can leave of `n_tests` signed-rank tests."""
    return min(1.0, n_tests * 2.0 ** (1 - n_patients))


def holm(p: Floats) -> Floats:
    """P-values adjusted for their number by Holm's step-down method (Holm 1979).

    Args:
        p: Raw p-values; NaN for a test that could not be made, which then does not count.
    """
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted
