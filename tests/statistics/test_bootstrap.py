"""Bootstrap means and intervals against scipy's, and against what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from unifocal.statistics.bootstrap import intervals, is_best, resampled_means, shares_of_best

NAN = np.nan


@pytest.mark.parametrize("shape", ["normal", "skewed", "bounded"])
def test_intervals_match_scipys_bca(shape: str) -> None:
    rng = np.random.default_rng(5)
    draws = {
        "normal": rng.normal(3, 2, 40),
        "skewed": rng.lognormal(0, 1, 40),
        "bounded": rng.beta(5, 1, 40),
    }
    values = draws[shape]
    lower, upper = intervals(values[:, None], resampled_means(values[:, None], 20_000, 1))
    oracle = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    width = oracle.high - oracle.low
    assert lower[0] == pytest.approx(oracle.low, abs=0.03 * width)
    assert upper[0] == pytest.approx(oracle.high, abs=0.03 * width)
    if shape == "skewed":
        # The percentile interval, which a skewed sample tells from BCa, must not pass.
        plain = np.quantile(resampled_means(values[:, None], 20_000, 1), [0.025, 0.975])
        assert upper[0] - plain[1] > 0.03 * width


def test_every_resample_is_a_mean_of_drawn_patients() -> None:
    """Powers of a large base tell how often each patient was drawn."""
    values = np.array([[1.0], [100.0], [10_000.0]])
    sums = np.rint(resampled_means(values, 500, 0)[:, 0] * 3).astype(int)
    digits = [(total % 100, total // 100 % 100, total // 10_000) for total in sums]
    assert all(sum(times) == 3 for times in digits)
    assert len(set(digits)) == 10
    shares = np.mean(digits, axis=0)
    np.testing.assert_allclose(shares, 1, atol=0.15)


def test_columns_share_their_resamples() -> None:
    rng = np.random.default_rng(0)
    first, noise = rng.normal(size=(2, 30))
    values = np.column_stack([first, first + 0.3, noise])
    means = resampled_means(values, 300, 4)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 0.3)
    np.testing.assert_allclose(resampled_means(values[:, 2:], 300, 4)[:, 0], means[:, 2])
    assert not np.allclose(resampled_means(values, 300, 5), means)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(20, 2))
    whole = resampled_means(values, 101, 0)
    monkeypatch.setattr("unifocal.statistics.bootstrap._BLOCK", 20 * 7)
    np.testing.assert_allclose(resampled_means(values, 101, 0), whole)


def test_missing_values_are_left_out_of_each_resample() -> None:
    values = np.array([[1.0, 5.0], [2.0, NAN], [4.0, NAN]])
    means = resampled_means(values, 400, 0)
    assert set(np.unique(means[np.isfinite(means[:, 1]), 1])) == {5.0}
    assert np.isnan(means[:, 1]).mean() == pytest.approx((2 / 3) ** 3, abs=0.08)
    assert np.isfinite(means[:, 0]).all()


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([0.7], (NAN, NAN)),
        ([NAN, NAN], (NAN, NAN)),
        ([NAN, 0.7], (NAN, NAN)),
        ([0.1, 0.1, 0.1], (0.1, 0.1)),
        ([0.0, 0.0, NAN], (0.0, 0.0)),
    ],
)
def test_degenerate_columns(column: list[float], expected: tuple[float, float]) -> None:
    values = np.array(column)[:, None]
    lower, upper = intervals(values, resampled_means(values, 200, 0))
    np.testing.assert_allclose([lower[0], upper[0]], expected)


@given(hnp.arrays(float, st.integers(2, 12), elements=st.floats(-10, 10)), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_intervals_lie_within_the_values(values: np.ndarray, seed: int) -> None:
    lower, upper = intervals(values[:, None], resampled_means(values[:, None], 100, seed))
    slack = 1e-9
    assert values.min() - slack <= lower[0] <= upper[0] <= values.max() + slack


def test_intervals_cover_the_true_mean() -> None:
    """200 studies of 100 patients whose Dice has a known mean."""
    rng = np.random.default_rng(11)
    values = rng.beta(4, 2, (100, 200))
    lower, upper = intervals(values, resampled_means(values, 600, 0))
    assert 0.90 <= np.mean((lower <= 4 / 6) & (upper >= 4 / 6)) <= 0.99


def test_intervals_move_and_scale_with_the_values() -> None:
    """Coarse scores often resample to their very mean: rounding must not break those ties."""
    values = np.random.default_rng(0).integers(0, 5, (11, 40)).astype(float)
    plain = intervals(values, resampled_means(values, 1000, 0))
    for scale, shift in ((0.1, 0.3), (0.7, 0.1), (1 / 3, 0.0)):
        moved = values * scale + shift
        found = intervals(moved, resampled_means(moved, 1000, 0))
        np.testing.assert_allclose((np.array(found) - shift) / scale, plain, atol=1e-9)


def test_ties_for_the_best_are_split() -> None:
    means = np.array([[1.0, 1.0, 0.0], [3.0, 2.0, 0.0], [0.0, 1.0, 2.0], [NAN, 9.0, 0.0]])
    np.testing.assert_allclose(shares_of_best(means, higher_is_better=True), [0.5, 1 / 6, 1 / 3])
    np.testing.assert_allclose(shares_of_best(means, higher_is_better=False), [1 / 3, 0, 2 / 3])
    assert np.isnan(shares_of_best(means[3:], higher_is_better=True)).all()


def test_rounding_does_not_make_a_winner() -> None:
    assert is_best(np.array([0.1 + 0.2, 0.3, 0.29])).tolist() == [True, True, False]
