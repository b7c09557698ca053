"""Friedman and Nemenyi against Demsar's example, scipy and scikit-posthocs."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from scipy import stats

from unifocal.statistics import analyse

MakeScores = Callable[..., pd.DataFrame]

# Demsar 2006, Table 6: AUC of C4.5, with m, with cf, with both, on 14 data sets. His ranks tell that cf was
# ahead of both on the last but one before rounding.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
NAMES = ("plain", "m", "cf", "both")


def test_demsars_example(make_scores: MakeScores) -> None:
    found = analyse(make_scores(dict(zip(NAMES, DEMSAR.T, strict=True))), resamples=20).omnibus
    assert found is not None
    assert found.mean_ranks["loss"].tolist() == ["both", "m", "cf", "plain"]
    assert found.mean_ranks["mean_rank"].tolist() == pytest.approx([1.964, 2.0, 2.893, 3.143], abs=5e-4)
    assert found.critical_difference == pytest.approx(1.25, abs=5e-3)
    # Demsar's 9.28 and 3.69 do not correct for ties.
    chi_squared = stats.friedmanchisquare(*DEMSAR.T).statistic
    assert 9.28 < chi_squared < 10.3
    assert found.statistic == pytest.approx(13 * chi_squared / (14 * 3 - chi_squared))
    assert found.p == pytest.approx(stats.f.sf(found.statistic, 3, 39))
    assert found.groups == (("both", "m", "cf", "plain"),)
    assert found.n_patients == 14


def test_nemenyi_is_that_of_scikit_posthocs(make_scores: MakeScores) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(25, 5)) + np.array([0, 0.2, 0.4, 1.0, 1.1])
    losses = {f"loss{k}": values[:, k] for k in range(5)}
    found = analyse(make_scores(losses), resamples=20).omnibus
    assert found is not None
    oracle = scikit_posthocs.posthoc_nemenyi_friedman(pd.DataFrame(losses))
    for pair in found.pairs.to_dict("records"):
        assert pair["p"] == pytest.approx(oracle.loc[pair["loss_a"], pair["loss_b"]], abs=1e-6)
    ranks = found.mean_ranks.set_index("loss")["mean_rank"]
    for pair in found.pairs.to_dict("records"):
        apart = abs(ranks[pair["loss_a"]] - ranks[pair["loss_b"]]) > found.critical_difference
        assert apart == (pair["p"] < 0.05)
        together = any({pair["loss_a"], pair["loss_b"]} <= set(group) for group in found.groups)
        assert together == (not apart)


def test_groups_are_maximal_runs(make_scores: MakeScores) -> None:
    steps = np.random.default_rng(1).random(40)[:, None] + np.array([0, 10, 10.2, 20]) + np.array([[0.0, 0, 0, 0]])
    steps[::2, 1] += 0.5
    found = analyse(make_scores(dict(zip(NAMES, steps.T, strict=True))), resamples=20).omnibus
    assert found is not None
    assert [set(group) for group in found.groups] == [{"m", "cf"}]


def test_lower_is_better(make_scores: MakeScores) -> None:
    values = np.random.default_rng(2).random((10, 3)) + np.array([0, 1, 2])
    scores = make_scores(dict(zip("abc", values.T, strict=True)), "hd95", unit="mm")
    found = analyse(scores, metric="hd95", resamples=20).omnibus
    assert found is not None
    assert found.mean_ranks["mean_rank"].tolist() == [1, 2, 3]
    assert found.p == pytest.approx(6.0**-9)  # 3! orders, and all 10 patients agree with the first


def test_all_alike(make_scores: MakeScores) -> None:
    found = analyse(make_scores({name: [0.1, 0.5, 0.6] for name in "abc"}), resamples=20).omnibus
    assert found is not None
    assert (found.statistic, found.p) == (0, 1)
    assert "tied" in found.test


@pytest.mark.parametrize(("losses", "patients"), [(2, 9), (1, 9), (3, 1)])
def test_too_little_for_the_test(make_scores: MakeScores, losses: int, patients: int) -> None:
    values = np.random.default_rng(3).random((losses, patients))
    assert analyse(make_scores({f"l{k}": values[k] for k in range(losses)}), resamples=20).omnibus is None


def test_patients_without_every_score_are_left_out(make_scores: MakeScores) -> None:
    values = np.random.default_rng(4).random((3, 9))
    values[1, 2] = np.nan
    found = analyse(make_scores(dict(zip("abc", values, strict=True))), resamples=20).omnibus
    assert found is not None
    assert found.n_patients == 8
    oracle = stats.friedmanchisquare(*np.delete(values, 2, axis=1)).statistic
    assert found.statistic == pytest.approx(7 * oracle / (16 - oracle))
