"""Tests by rank and sign against enumeration and scipy; Holm's correction by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from unifocal.statistics.paired import cohen_d, holm, rank_sums, sign_test, signed_rank, smallest_p


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


@given(st.lists(st.integers(-3, 3), max_size=30))
def test_sign_test_is_the_binomial(differences: list[int]) -> None:
    values = np.array(differences, dtype=float)
    above, below = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    p = sign_test(values)
    if above + below:
        assert p == pytest.approx(stats.binomtest(above, above + below).pvalue)
    else:
        assert np.isnan(p) if not differences else p == 1


def test_cohen_d_by_hand() -> None:
    assert cohen_d(np.array([1.0, 2.0, 3.0])) == pytest.approx(2)
    assert cohen_d(np.array([-1.0, -3.0])) == pytest.approx(-2 / np.sqrt(2))
    assert np.isnan(cohen_d(np.array([1.0])))
    assert np.isnan(cohen_d(np.array([1.0, 1.0])))


def test_rank_sum_ignores_the_pairing() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=25), rng.normal(0.7, 1, 25)
    found = rank_sums(np.column_stack([a, a, a]), np.column_stack([b, rng.permutation(b), a]))
    assert found[0] == found[1] == pytest.approx(stats.mannwhitneyu(a, b).pvalue)
    assert found[0] == pytest.approx(stats.ranksums(a, b).pvalue, rel=0.1)
    assert found[2] == 1


@pytest.mark.parametrize("n", [5, 20])
def test_rank_sum_with_gaps(n: int) -> None:
    a, b = np.random.default_rng(n).normal(size=(2, n, 3))
    a[1, 0] = b[2, 0] = np.nan
    a[:, 2] = np.nan
    found = rank_sums(a, b)
    kept = [0, *range(3, n)]
    assert found[0] == pytest.approx(stats.mannwhitneyu(a[kept, 0], b[kept, 0]).pvalue)
    assert found[1] == pytest.approx(stats.mannwhitneyu(a[:, 1], b[:, 1]).pvalue)
    assert np.isnan(found[2])


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
