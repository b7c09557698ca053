"""The signed-rank test against enumeration and scipy; Holm's correction by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from unifocal.statistics.paired import holm, rank_sum, signed_rank, smallest_p


def enumerated_p(differences: list[float]) -> float:
    """The share of all sign patterns with a rank sum at least as far from its expectation."""
    sizes = [abs(d) for d in differences if d != 0]
    ranks = [sum(other < size for other in sizes) + (sum(other == size for other in sizes) + 1) / 2 for size in sizes]
    signs = [d > 0 for d in differences if d != 0]
    middle = sum(ranks) / 2
    observed = abs(sum(r for r, up in zip(ranks, signs, strict=True) if up) - middle)
    patterns = list(product((False, True), repeat=len(ranks)))
    extreme = sum(
        abs(sum(r for r, up in zip(ranks, pattern, strict=True) if up) - middle) >= observed - 1e-9
        for pattern in patterns
    )
    return extreme / len(patterns)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
@settings(max_examples=40, deadline=None)
def test_small_samples_are_exact_with_ties_and_zeros(differences: list[int]) -> None:
    result = signed_rank(np.array(differences, dtype=float))
    if any(differences):
        assert result.p == pytest.approx(enumerated_p([float(d) for d in differences]))
        assert result.test == "Wilcoxon signed-rank (exact)"
    else:
        assert result.p == 1
        assert "all differences zero" in result.test


@pytest.mark.parametrize(("n", "form"), [(5, "exact"), (30, "exact"), (120, "approximation")])
def test_matches_scipy_without_ties(n: int, form: str) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    result = signed_rank(differences)
    assert result.p == pytest.approx(stats.wilcoxon(differences).pvalue)
    assert form in result.test


def test_many_tied_differences_use_the_corrected_approximation() -> None:
    differences = np.random.default_rng(1).integers(-2, 4, 40).astype(float)
    result = signed_rank(differences)
    assert "normal approximation" in result.test
    nonzero = differences[differences != 0]
    ranks = stats.rankdata(np.abs(nonzero))
    z = (ranks[nonzero > 0].sum() - ranks.sum() / 2) / np.sqrt(np.sum(ranks**2) / 4)
    assert result.p == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_effect_size_is_the_balance_of_the_ranks() -> None:
    assert signed_rank(np.array([1.0, 2.0, 3.0])).effect_size == 1
    assert signed_rank(np.array([-1.0, -2.0, 0.0])).effect_size == -1
    assert signed_rank(np.array([1.0, 2.0, -3.0])).effect_size == 0
    assert signed_rank(np.array([4.0, -1.0, 2.0])).effect_size == pytest.approx((3 + 2 - 1) / 6)
    assert signed_rank(np.zeros(4)).effect_size == 0


def test_no_pairs_give_no_p() -> None:
    assert np.isnan(signed_rank(np.array([])).p)
    assert np.isnan(rank_sum(np.array([]), np.array([1.0])))


def test_rank_sum_ignores_the_pairing() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=25), rng.normal(0.7, 1, 25)
    assert rank_sum(a, b) == pytest.approx(rank_sum(a, rng.permutation(b)))
    assert rank_sum(a, b) == pytest.approx(stats.ranksums(a, b).pvalue, rel=0.1)
    assert rank_sum(np.ones(20), np.ones(20)) == 1


def test_holm_by_hand() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.5, 0.9, np.nan])), [1.0, 1.0, np.nan])
    assert holm(np.array([])).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.randoms())
@settings(max_examples=60, deadline=None)
def test_holm_lies_between_raw_and_bonferroni_whatever_the_order(p: list[float], random: "np.random.Generator") -> None:
    adjusted = holm(np.array(p))
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= np.minimum(np.array(p) * len(p), 1)).all()
    assert adjusted[np.argsort(p, kind="stable")].tolist() == sorted(adjusted)
    order = list(range(len(p)))
    random.shuffle(order)
    np.testing.assert_allclose(holm(np.array(p)[order]), adjusted[order])


@pytest.mark.parametrize("n", range(1, 9))
def test_smallest_p_is_what_the_most_extreme_data_give(n: int) -> None:
    p = signed_rank(np.arange(1, n + 1, dtype=float)).p
    assert smallest_p(n, 3) == pytest.approx(holm(np.array([p, p, p])).min())
