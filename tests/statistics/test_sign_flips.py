"""Permutation tests against enumeration, scipy and what they promise."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from unifocal.statistics.sign_flips import MOST_EXACT, flip_tests

NAN = np.nan


def enumerated(differences: list[float]) -> tuple[float, float, float]:
    """The three p-values by going through all signs with plain Python."""
    sizes = [abs(d) for d in differences]
    nonzero = [size for size in sizes if size]
    ranks = [
        0.0 if not size else sum(other < size for other in nonzero) + (sum(other == size for other in nonzero) + 1) / 2
        for size in sizes
    ]

    def both(signs: tuple[int, ...]) -> tuple[float, float]:
        mean = abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        signed = abs(sum(s * r * ((d > 0) - (d < 0)) for s, r, d in zip(signs, ranks, differences, strict=True)))
        lengths = [sum(x * x for x in weights) ** 0.5 or 1.0 for weights in (sizes, ranks)]
        return mean / lengths[0], signed / lengths[1]

    observed = both((1,) * len(differences))
    flips = [both(signs) for signs in product((1, -1), repeat=len(differences))]
    shares = [sum(flip[k] >= observed[k] - 1e-9 for flip in flips) / len(flips) for k in (0, 1)]
    either = sum(max(flip) >= max(observed) - 1e-9 for flip in flips) / len(flips)
    return shares[0], shares[1], either


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_few_patients_are_enumerated_with_ties_and_zeros(differences: list[int]) -> None:
    found = flip_tests(np.array(differences, dtype=float)[:, None], 0)
    assert found.is_exact
    expected = enumerated([float(d) for d in differences])
    assert (found.mean[0], found.ranks[0], found.either[0]) == pytest.approx(expected)


@pytest.mark.parametrize("n", [6, MOST_EXACT])
def test_the_exact_tests_are_scipys(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.4, 1, n)
    found = flip_tests(differences[:, None], 0)
    oracle = stats.permutation_test(
        (differences, np.zeros(n)), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
    )
    assert found.mean[0] == pytest.approx(oracle.pvalue)
    assert found.ranks[0] == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


def test_many_patients_are_drawn_at_random() -> None:
    rng = np.random.default_rng(1)
    differences = rng.normal(0.2, 1, (60, 3))
    found = flip_tests(differences, 0, 40_000)
    assert not found.is_exact
    np.testing.assert_allclose(found.mean, stats.ttest_1samp(differences, 0).pvalue, atol=0.012)
    np.testing.assert_allclose(found.ranks, stats.wilcoxon(differences, axis=0).pvalue, atol=0.012)
    assert (found.either >= np.minimum(found.mean, found.ranks)).all()
    assert (found.either <= found.mean + found.ranks).all()


def test_exact_and_drawn_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(2).normal(0.3, 1, (12, 4))
    exact = flip_tests(differences, 0)
    monkeypatch.setattr("unifocal.statistics.sign_flips.MOST_EXACT", 5)
    drawn = flip_tests(differences, 0, 40_000)
    for name in ("mean", "ranks", "either"):
        np.testing.assert_allclose(getattr(drawn, name), getattr(exact, name), atol=0.012)


def test_missing_values_are_as_if_they_were_not_there() -> None:
    values = np.random.default_rng(3).normal(0.5, 1, (9, 2))
    values[[1, 4], 0] = NAN
    found = flip_tests(values, 0)
    alone = flip_tests(values[np.isfinite(values[:, 0]), :1], 0)
    assert found.either[0] == pytest.approx(alone.either[0])
    nothing = flip_tests(np.full((4, 1), NAN), 0)
    assert np.isnan([nothing.mean[0], nothing.ranks[0], nothing.either[0]]).all()
    assert flip_tests(np.empty((4, 0)), 0).either.shape == (0,)


def test_no_difference_at_all_is_no_evidence() -> None:
    for n in (5, 30):
        assert flip_tests(np.zeros((n, 1)), 0, 500).either[0] == 1


@pytest.mark.parametrize("n", [7, 25])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_signs_scale_and_neighbours_do_not_matter(n: int, data: st.DataObject) -> None:
    values = data.draw(hnp.arrays(float, n, elements=st.integers(-6, 6).map(float)))
    other = np.arange(n) - 3.0
    plain = flip_tests(values[:, None], 4, 3000)
    changed = flip_tests(np.column_stack([other, -3.7 * values, other]), 4, 3000)
    assert (changed.mean[1], changed.ranks[1], changed.either[1]) == pytest.approx(
        (plain.mean[0], plain.ranks[0], plain.either[0])
    )


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).normal(0.2, 1, (21, 2))
    whole = flip_tests(values, 0, 1001)
    monkeypatch.setattr("unifocal.statistics.sign_flips._BLOCK", 64 * 7 + 9)
    np.testing.assert_allclose(flip_tests(values, 0, 1001).either, whole.either)


@pytest.mark.parametrize("shape", ["normal", "heavy", "coarse"])
def test_the_combined_test_keeps_its_level(shape: str) -> None:
    rng = np.random.default_rng(6)
    draws = {
        "normal": rng.normal(size=(25, 2000)),
        "heavy": rng.standard_t(2, (25, 2000)),
        "coarse": rng.integers(-2, 3, (25, 2000)).astype(float),
    }
    share = np.mean(flip_tests(draws[shape], 0, 1999).either <= 0.05)
    assert share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
    assert share > 0.03


def test_the_combined_test_follows_whichever_sees_more() -> None:
    rng = np.random.default_rng(7)
    few = rng.normal(0, 0.03, (50, 400)) + 0.25 * (rng.random((50, 400)) < 0.1)
    heavy = 0.02 + 0.03 * rng.standard_t(2, (50, 400))
    for values, better, worse in ((few, "mean", "ranks"), (heavy, "ranks", "mean")):
        tests = flip_tests(values, 0, 1999)
        power = {name: np.mean(getattr(tests, name) < 0.05) for name in ("mean", "ranks", "either")}
        assert power[better] > power[worse] + 0.1
        assert power["either"] > (power[better] + power[worse]) / 2
