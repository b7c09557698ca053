"""Bootstrap means and intervals against scipy's, and against what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from unifocal.statistics.bootstrap import (
    Bounds,
    intervals,
    is_best,
    resample,
    resampled_means,
    shares_of_best,
)

NAN = np.nan


def bounds_of(
    values: np.ndarray, resamples: int, seed: int = 0, limits: tuple[float, float] = (-np.inf, np.inf)
) -> Bounds:
    means = resampled_means(values, resamples, seed)
    return intervals(values, means, np.tile(limits, (values.shape[1], 1)))


@pytest.mark.parametrize("shape", ["normal", "skewed", "bounded"])
def test_intervals_match_scipys_bca(shape: str) -> None:
    rng = np.random.default_rng(5)
    draws = {
        "normal": rng.normal(3, 2, 40),
        "skewed": rng.lognormal(0, 1, 40),
        "bounded": rng.beta(5, 1, 40),
    }
    values = draws[shape]
    found = bounds_of(values[:, None], 20_000, 1)
    ((lower, upper),) = found.bca
    oracle = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    width = oracle.high - oracle.low
    assert lower == pytest.approx(oracle.low, abs=0.03 * width)
    assert upper == pytest.approx(oracle.high, abs=0.03 * width)
    plain = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=3).confidence_interval
    assert found.percentile[0] == pytest.approx(plain, abs=0.03 * width)
    student = stats.ttest_1samp(values, 0).confidence_interval()
    assert found.shown[0] == pytest.approx([min(lower, student.low), max(upper, student.high)])
    if shape == "skewed":
        # The percentile interval, which a skewed sample tells from BCa, must not pass.
        assert upper - plain.high > 0.03 * width


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
    found = bounds_of(np.array(column)[:, None], 200)
    for bounds in vars(found).values():
        np.testing.assert_allclose(bounds[0], expected)


@given(hnp.arrays(float, st.integers(2, 12), elements=st.floats(-10, 10)), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_intervals_lie_within_the_values(values: np.ndarray, seed: int) -> None:
    found = bounds_of(values[:, None], 100, seed)
    slack = 1e-9
    for lower, upper in (found.bca[0], found.percentile[0]):
        assert values.min() - slack <= lower <= upper <= values.max() + slack
    assert found.shown[0, 0] <= found.bca[0, 0] + slack
    assert found.shown[0, 1] >= found.bca[0, 1] - slack
    assert found.shown[0, 0] - slack <= found.shown_90[0, 0] <= found.shown_90[0, 1] <= found.shown[0, 1] + slack


def test_no_interval_leaves_what_is_possible() -> None:
    values = np.array([[0.0, 1.0, 0.97], [0.0, 1.0, 1.0], [0.9, 0.4, 1.0]])
    found = bounds_of(values, 300, limits=(0.0, 1.0))
    assert (found.shown >= 0).all()
    assert (found.shown <= 1).all()
    wide = bounds_of(values, 300)
    assert wide.shown[0, 0] < 0
    assert wide.shown[1, 1] > 1


def test_intervals_cover_the_true_mean() -> None:
    """200 studies of 100 patients whose Dice has a known mean."""
    rng = np.random.default_rng(11)
    values = rng.beta(4, 2, (100, 200))
    lower, upper = bounds_of(values, 600).shown.T
    assert 0.90 <= np.mean((lower <= 4 / 6) & (upper >= 4 / 6)) <= 0.99


def test_few_skewed_values_are_covered_better_than_by_bca_alone() -> None:
    """Symmetric differences, a quarter of them far out: where the acceleration misleads BCa."""
    rng = np.random.default_rng(12)
    values = rng.normal(0, 1, (30, 1500)) * np.where(rng.random((30, 1500)) < 0.25, 5, 1)
    found = bounds_of(values, 500)
    shown, bca = (np.mean((b[:, 0] <= 0) & (b[:, 1] >= 0)) for b in (found.shown, found.bca))
    assert bca < 0.91
    assert 0.93 <= shown <= 0.975


def test_intervals_move_and_scale_with_the_values() -> None:
    """Coarse scores often resample to their very mean: rounding must not break those ties."""
    values = np.random.default_rng(0).integers(0, 5, (11, 40)).astype(float)
    plain = vars(bounds_of(values, 1000))
    for scale, shift in ((0.1, 0.3), (0.7, 0.1), (1 / 3, 0.0)):
        found = vars(bounds_of(values * scale + shift, 1000))
        for name, bounds in found.items():
            np.testing.assert_allclose((bounds - shift) / scale, plain[name], atol=1e-9)


@pytest.mark.parametrize("width", [1, 3, 7])
def test_chunks_of_columns_do_not_show(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    values = np.random.default_rng(0).normal(0.1, 1, (20, 7))
    values[3, 2] = NAN
    margins, limits = np.array([0.3, NAN, 0.3, 0.1, 0.2, 0.3, 0.4]), np.tile([-9.0, 9.0], (7, 1))
    whole = resample(values, 200, 1, margins, limits)
    monkeypatch.setattr("unifocal.statistics.bootstrap._COLUMNS", width)
    parts = resample(values, 200, 1, margins, limits)
    for name in ("above", "within"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name))
    for name, bounds in vars(whole.bounds).items():
        np.testing.assert_allclose(getattr(parts.bounds, name), bounds)
    means = resampled_means(values, 200, 1)
    np.testing.assert_allclose(whole.above, (means > 0).mean(axis=0))
    np.testing.assert_allclose(whole.within[[0, 3]], (np.abs(means) <= margins).mean(axis=0)[[0, 3]])
    assert np.isnan(whole.within[1])


def test_gaps_elsewhere_do_not_change_a_column() -> None:
    values = np.random.default_rng(3).normal(size=(15, 3))
    alone = bounds_of(values[:, :1], 200).shown[0]
    values[4:9, 1:] = NAN
    np.testing.assert_allclose(bounds_of(values, 200).shown[0], alone)
    kept = values[np.isfinite(values[:, 1]), 1]
    student = stats.ttest_1samp(kept, 0).confidence_interval()
    found = bounds_of(values, 200)
    assert found.shown[1, 0] == pytest.approx(min(student.low, found.bca[1, 0]))


def test_ties_for_the_best_are_split() -> None:
    means = np.array([[1.0, 1.0, 0.0], [3.0, 2.0, 0.0], [0.0, 1.0, 2.0], [NAN, 9.0, 0.0]])
    np.testing.assert_allclose(shares_of_best(means, higher_is_better=True), [0.5, 1 / 6, 1 / 3])
    np.testing.assert_allclose(shares_of_best(means, higher_is_better=False), [1 / 3, 0, 2 / 3])
    assert np.isnan(shares_of_best(means[3:], higher_is_better=True)).all()


def test_rounding_does_not_make_a_winner() -> None:
    assert is_best(np.array([0.1 + 0.2, 0.3, 0.29])).tolist() == [True, True, False]
