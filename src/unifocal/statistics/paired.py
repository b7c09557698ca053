"""Tests of paired differences by rank and sign, effect sizes, Holm's correction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr
from scipy.stats import mannwhitneyu, rankdata, wilcoxon

from unifocal.statistics.sign_flips import MOST_EXACT, flip_tests

Floats = NDArray[np.float64]

_EXACT_UNTIED = 50
_FEW = 8
"""Up to here SciPy's rank-sum test is exact if nothing is tied, for which it looks at all columns at once."""


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
    and up to 14 with ties, and from the normal approximation with correction for ties beyond. The
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
    elif n <= MOST_EXACT:
        p, form = flip_tests(nonzero[:, None], seed=0).ranks[0], "exact"
    else:
        p, form = wilcoxon(nonzero, method="approx").pvalue, "normal approximation"
    return SignedRank(float(p), effect_size, f"Wilcoxon signed-rank ({form})")


def sign_test(differences: Floats) -> float:
    """Two-sided p of the exact sign test (Arbuthnott 1710), which looks at directions alone; zeros are dropped."""
    if len(differences) == 0:
        return np.nan
    n_above, n_below = int((differences > 0).sum()), int((differences < 0).sum())
    return min(1.0, 2 * float(bdtr(min(n_above, n_below), n_above + n_below, 0.5)))


def cohen_d(differences: Floats) -> float:
    """The mean difference over the differences' standard deviation (Cohen 1988, d_z); NaN where that is 0."""
    if len(differences) < 2:
        return np.nan
    spread = float(np.std(differences, ddof=1))
    return float(np.mean(differences)) / spread if spread > 0 else np.nan


def rank_sums(a: Floats, b: Floats) -> Floats:
    """Two-sided p of the rank-sum test (Mann and Whitney 1947), which ignores the pairing.

    Args:
        a: (patients, pairs); a patient with a missing value on either side is left out of that pair.
        b: The same shape.
    """
    both = np.isfinite(a) & np.isfinite(b)
    if both.all() and len(a) > _FEW:
        return np.asarray(mannwhitneyu(a, b, axis=0, alternative="two-sided").pvalue, dtype=np.float64)
    columns = [(x[here], y[here]) for x, y, here in zip(a.T, b.T, both.T, strict=True)]
    return np.array([mannwhitneyu(x, y).pvalue if len(x) else np.nan for x, y in columns], dtype=np.float64)


FEWEST_PATIENTS = 6
"""With fewer, no test of signs can give a p below 0.05, even uncorrected."""


def smallest_p(n_patients: int, n_tests: int) -> float:
    """The smallest p that Holm's correction can leave of `n_tests` tests of as many signs as patients."""
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
