"""Probabilities against the truth: held to scikit-learn, to exact fractions and to counting one by one."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, brier_score_loss

from unifocal.metrics.probability import ProbabilityHistogram, average_precision, histogram, probability_scores

# Few different values, so that ties and edges of bins are common.
LEVELS = [0.0, 1e-30, 0.01, 0.07, 1 / 15, 0.29, 0.3, 0.5, 0.57, 2 / 3, 0.99, np.nextafter(1.0, 0.0), 1.0]


@st.composite
def maps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.sampled_from([(1,), (7,), (4, 5), (2, 3, 4)]))
    truth = draw(arrays(bool, shape))
    kind = draw(st.sampled_from([np.float32, np.float64]))
    values = st.one_of(st.sampled_from(LEVELS), st.floats(0, 1, width=32))
    return truth, draw(arrays(np.float64, shape, elements=values)).astype(kind)


def counted(truth: np.ndarray, probability: np.ndarray, bins: int) -> tuple[list[int], list[int], list[float]]:
    """By exact arithmetic, one element at a time."""
    elements, positives, sums = [0] * bins, [0] * bins, [0.0] * bins
    for inside, value in zip(truth.flat, probability.flat, strict=True):
        place = min(floor(Fraction(float(value)) * bins), bins - 1)
        elements[place] += 1
        positives[place] += int(inside)
        sums[place] += float(value)
    return elements, positives, sums


@given(maps(), st.sampled_from([1, 15, 100]))
def test_a_histogram_counts_every_element_once(case: tuple[np.ndarray, np.ndarray], bins: int) -> None:
    truth, probability = case
    if probability.dtype == np.float64:
        probability = probability.astype(np.float32).astype(np.float64)
    found = histogram(truth, probability, bins)
    elements, positives, sums = counted(truth, probability, bins)
    assert found.elements.tolist() == elements
    assert found.positives.tolist() == positives
    np.testing.assert_allclose(found.probability_sum, sums, rtol=1e-12)


@given(st.lists(maps(), min_size=2, max_size=4))
def test_histograms_add_up_to_that_of_all_elements(cases: list[tuple[np.ndarray, np.ndarray]]) -> None:
    total = histogram(*cases[0])
    for case in cases[1:]:
        total = total + histogram(*case)
    truth = np.concatenate([truth.ravel() for truth, _ in cases])
    probability = np.concatenate([probability.ravel().astype(np.float64) for _, probability in cases])
    whole = histogram(truth, probability)
    np.testing.assert_array_equal(total.elements, whole.elements)
    np.testing.assert_array_equal(total.positives, whole.positives)
    np.testing.assert_allclose(total.probability_sum, whole.probability_sum, rtol=1e-12)


@given(maps())
def test_scores_are_those_of_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = case
    scores = probability_scores(truth, probability)
    assert set(scores) == {"ece", "brier", "average_precision"}
    expected = float(np.mean([(float(p) - bool(t)) ** 2 for t, p in zip(truth.flat, probability.flat, strict=True)]))
    assert scores["brier"] == (pytest.approx(expected, abs=1e-15), "")
    if truth.any() and not truth.all():
        assert scores["brier"][0] == pytest.approx(
            brier_score_loss(truth.ravel(), probability.ravel().astype(np.float64)), abs=1e-12
        )
    if truth.any():
        oracle = average_precision_score(truth.ravel(), probability.ravel())
        assert scores["average_precision"] == (pytest.approx(oracle, abs=1e-12), "")
    else:
        value, reason = scores["average_precision"]
        assert value is None
        assert "truth" in reason


@given(maps())
def test_the_calibration_error_is_guos(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = case
    elements, positives, sums = counted(truth, probability.astype(np.float32), 15)
    expected = sum(
        n / truth.size * abs(total / n - inside / n)
        for n, inside, total in zip(elements, positives, sums, strict=True)
        if n
    )
    assert probability_scores(truth, probability.astype(np.float32))["ece"][0] == pytest.approx(expected, abs=1e-12)


def test_a_calibrated_forecast_has_no_error_and_lies_on_the_diagonal() -> None:
    truth = np.zeros(1000, bool)
    probability = np.empty(1000, np.float64)
    for group, share in enumerate((0.125, 0.375, 0.5, 0.875)):
        place = slice(250 * group, 250 * (group + 1))
        probability[place] = share
        truth[place][: int(250 * share)] = True
    found = histogram(truth, probability)
    points = found.reliability()
    np.testing.assert_allclose(points.probability, [0.125, 0.375, 0.5, 0.875])
    np.testing.assert_allclose(points.positives, [31 / 250, 93 / 250, 0.5, 218 / 250])
    assert points.elements.tolist() == [250] * 4
    assert found.expected_calibration_error == pytest.approx(np.mean([0.001, 0.003, 0, 0.003]))
    assert np.isnan(histogram(truth[:0], probability[:0]).expected_calibration_error)


@given(maps())
def test_the_threshold_curve_scores_the_masks_that_it_draws(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = case
    probability = probability.astype(np.float32)
    curve = histogram(truth, probability).threshold_curve()
    np.testing.assert_array_equal(curve.threshold, np.linspace(0, 0.99, 100).round(2))
    exact = [Fraction(float(value)) for value in probability.flat]
    for k in range(0, 100, 7):
        mask = np.array([value >= Fraction(k, 100) for value in exact]).reshape(truth.shape)
        both, drawn, true = (truth & mask).sum(), mask.sum(), truth.sum()
        for name, part, whole in (("dice", 2 * both, drawn + true), ("precision", both, drawn), ("recall", both, true)):
            value = getattr(curve, name)[k]
            assert np.isnan(value) if whole == 0 else value == pytest.approx(part / whole)


@given(maps())
def test_average_precision_knows_only_the_order(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = case
    squared = np.sqrt(probability.astype(np.float64))
    if len(np.unique(squared)) == len(np.unique(probability)):
        assert average_precision(truth, squared) == average_precision(truth, probability.astype(np.float64))


def test_inputs_stay_as_they_are_and_need_not_lie_in_one_piece() -> None:
    random = np.random.default_rng(0)
    truth, probability = random.random((20, 30)) < 0.2, random.random((20, 30)).astype(np.float32)
    expected = probability_scores(truth, probability)
    for array in (truth, probability):
        array.flags.writeable = False
    assert probability_scores(truth, probability) == expected
    turned = probability_scores(np.asfortranarray(truth), np.asfortranarray(probability))
    for name, (value, _) in expected.items():
        assert turned[name][0] == pytest.approx(value, rel=1e-12)


def test_histograms_of_other_bins_do_not_add() -> None:
    few, many = (histogram(np.ones(3, bool), np.ones(3), bins) for bins in (15, 100))
    with pytest.raises(ValueError, match="15 and 100"):
        few + many
    assert isinstance(few + few, ProbabilityHistogram)
