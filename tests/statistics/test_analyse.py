"""The tables of an analysis, from scores made by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import f1_score, precision_score, recall_score

from unifocal.problems import InputError
from unifocal.statistics import analyse

MakeScores = Callable[..., pd.DataFrame]
NAN = np.nan


@pytest.fixture
def three_losses() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    base = rng.beta(5, 3, 40)
    return {
        name: base + shift + rng.normal(0, 0.05, 40)
        for name, shift in [("focal", 0.0), ("bce", -0.1), ("unified", 0.005)]
    }


def row(table: pd.DataFrame, **keys: object) -> pd.Series:
    for name, value in keys.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_a_patient_counts_once_over_cases_and_seeds(make_scores: MakeScores) -> None:
    scores = pd.concat(
        [
            make_scores({"bce": [0.2, 0.8]}),
            make_scores({"bce": [0.4]}, cases="again"),
            make_scores({"bce": [0.6]}, cases="again", seed=1),
        ]
    )
    found = row(analyse(scores, resamples=50).summary, loss="bce")
    assert found["mean"] == pytest.approx((0.4 + 0.8) / 2)
    assert (found["n_cases"], found["n_patients"], found["n_undefined"]) == (3, 2, 0)


def test_undefined_scores_are_left_out_and_counted(make_scores: MakeScores) -> None:
    values = {"bce": [0.5, NAN, 0.7, 0.9], "focal": [0.6, 0.1, NAN, 0.8], "none": [NAN] * 4}
    analysis = analyse(make_scores(values), resamples=200)
    bce = row(analysis.summary, loss="bce")
    assert bce["mean"] == pytest.approx(0.7)
    assert (bce["n_cases"], bce["n_patients"], bce["n_undefined"]) == (3, 3, 1)
    empty = row(analysis.summary, loss="none")
    assert np.isnan(empty["mean"])
    assert empty["n_undefined"] == 4
    pair = row(analysis.comparison, loss_a="bce", loss_b="focal")
    assert pair["n_patients"] == 2
    assert pair["difference"] == pytest.approx((-0.1 + 0.1) / 2)
    assert np.isnan(row(analysis.comparison, loss_a="focal", loss_b="none")["p_adjusted"])
    assert list(analysis.ranking["loss"]) == ["bce", "focal"]
    assert "none" in analysis.verdict.explanation
    assert "6 scores are undefined" in analysis.verdict.explanation


def test_comparison_matches_scipy(make_scores: MakeScores, three_losses: dict[str, np.ndarray]) -> None:
    comparison = analyse(make_scores(three_losses), resamples=4000).comparison
    assert len(comparison) == 3
    raw = []
    for found in comparison.to_dict("records"):
        a, b = three_losses[found["loss_a"]], three_losses[found["loss_b"]]
        assert found["difference"] == pytest.approx(np.mean(a - b))
        assert found["p_signed_rank"] == pytest.approx(stats.wilcoxon(a, b).pvalue)
        assert found["p_sign"] == pytest.approx(stats.binomtest(int((a > b).sum()), len(a)).pvalue)
        assert found["cohen_d"] == pytest.approx(np.mean(a - b) / np.std(a - b, ddof=1))
        assert found["p_permutation"] == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)
        assert found["p_rank_sum"] == pytest.approx(stats.mannwhitneyu(a, b).pvalue)
        oracle = stats.bootstrap((a - b,), np.mean, rng=np.random.default_rng(0))
        low, high = oracle.confidence_interval
        assert found["lower_bca"] == pytest.approx(low, abs=0.06 * (high - low))
        assert found["upper_bca"] == pytest.approx(high, abs=0.06 * (high - low))
        plain = stats.ttest_rel(a, b).confidence_interval()
        assert found["lower"] == pytest.approx(min(found["lower_bca"], plain.low))
        assert found["upper"] == pytest.approx(max(found["upper_bca"], plain.high))
        raw.append(found["p"])
    smallest = int(np.argmin(raw))
    assert comparison["p_adjusted"][smallest] == pytest.approx(3 * raw[smallest])


def test_counts_and_sizes_are_summarised_but_not_compared(make_scores: MakeScores) -> None:
    both = {"bce": [3, 4, 5], "focal": [1, 2, 9]}
    scores = pd.concat(
        [
            make_scores({"bce": [0.3, 0.4, 0.5], "focal": [0.1, 0.2, 0.9]}),
            make_scores(both, "area_truth", unit="mm2"),
            make_scores(both, "my_own", unit="px"),
        ]
    )
    analysis = analyse(scores, resamples=50)
    assert list(analysis.summary["metric"]) == ["dice"] * 2 + ["area_truth"] * 2 + ["my_own"] * 2
    assert set(analysis.comparison["metric"]) == {"dice"}
    assert analysis.comparison["p"].dtype == float
    assert row(analysis.summary, loss="bce", metric="area_truth")["unit"] == "mm2"


def test_ranking_adds_up(make_scores: MakeScores, three_losses: dict[str, np.ndarray]) -> None:
    ranking = analyse(make_scores(three_losses), resamples=2000).ranking
    assert list(ranking["loss"]) == ["unified", "focal", "bce"]
    assert ranking["probability_best"].sum() == pytest.approx(1)
    matrix = np.column_stack([three_losses[loss] for loss in ranking["loss"]])
    ranks = [[1 + sum(other > one for other in line) for one in line] for line in matrix]
    np.testing.assert_allclose(ranking["mean_rank"], np.mean(ranks, axis=0))
    difference = three_losses["unified"] - three_losses["focal"]
    expected = stats.norm.cdf(difference.mean() / (difference.std() / np.sqrt(len(difference))))
    assert ranking["probability_best"][0] == pytest.approx(expected, abs=0.04)


def test_ranks_under_the_bootstrap(make_scores: MakeScores, three_losses: dict[str, np.ndarray]) -> None:
    analysis = analyse(make_scores(three_losses), resamples=2000)
    shares = analysis.rank_shares.pivot_table(index="loss", columns="rank", values="share")
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    for found in analysis.ranking.to_dict("records"):
        assert shares.loc[found["loss"], 1] == pytest.approx(found["probability_best"])
    assert shares.loc["bce", 3] > 0.99
    last = row(analysis.ranking, loss="bce")
    assert (last["rank_lower"], last["rank_upper"]) == (3, 3)
    first = row(analysis.ranking, loss="unified")
    assert (first["rank_lower"], first["rank_upper"]) == (1, 2)


def test_losses_with_the_same_scores_share_a_rank(make_scores: MakeScores) -> None:
    analysis = analyse(make_scores({"a": [0.1, 0.5, 0.9], "b": [0.1, 0.5, 0.9], "c": [0.0, 0.1, 0.2]}), resamples=50)
    shares = analysis.rank_shares.pivot_table(index="loss", columns="rank", values="share")
    assert shares.loc["a"].tolist() == shares.loc["b"].tolist() == [1, 0, 0]
    assert shares.loc["c"].tolist() == [0, 0, 1]


def test_probabilities_of_a_pair(make_scores: MakeScores, three_losses: dict[str, np.ndarray]) -> None:
    wide, narrow = (analyse(make_scores(three_losses), resamples=4000, margin=size) for size in (0.5, 0.02))
    pair = row(narrow.comparison, loss_a="focal", loss_b="unified")
    difference = three_losses["focal"] - three_losses["unified"]
    normal = stats.norm(difference.mean(), difference.std() / np.sqrt(len(difference)))
    assert pair["probability_a_better"] == pytest.approx(normal.sf(0), abs=0.03)
    assert pair["probability_equivalent"] == pytest.approx(normal.cdf(0.02) - normal.cdf(-0.02), abs=0.03)
    assert wide.comparison["is_equivalent"].all()
    assert not row(narrow.comparison, loss_a="focal", loss_b="bce")["is_equivalent"]
    low, high = stats.ttest_1samp(difference, 0).confidence_interval(0.90)
    for margin, inside in ((1.2, True), (0.8, False)):
        size = margin * max(abs(low), abs(high))
        found = analyse(make_scores(three_losses), resamples=500, margin=size).comparison
        assert row(found, loss_a="focal", loss_b="unified")["is_equivalent"] == inside


def test_a_margin_is_for_the_primary_metric_alone(make_scores: MakeScores) -> None:
    values = {"a": [0.1, 0.2, 0.3, 0.4], "b": [0.4, 0.3, 0.2, 0.1]}
    scores = pd.concat([make_scores(values), make_scores(values, "hd95", unit="mm"), make_scores(values, "iou")])
    analysis = analyse(scores, resamples=50, margin=0.7)
    assert analysis.verdict.margin == 0.7
    equivalent = dict(zip(analysis.comparison["metric"], analysis.comparison["probability_equivalent"], strict=True))
    assert equivalent["dice"] == 1
    assert equivalent["iou"] < 1
    assert np.isnan(equivalent["hd95"])


def test_better_means_lower_for_distances(make_scores: MakeScores, three_losses: dict[str, np.ndarray]) -> None:
    scores = make_scores({k: 10 * v for k, v in three_losses.items()}, "hd95", unit="mm")
    found = analyse(scores, metric="hd95", resamples=300).comparison
    assert row(found, loss_a="focal", loss_b="bce")["probability_a_better"] < 0.01


def test_undefined_scores_are_listed_with_their_reasons(make_scores: MakeScores) -> None:
    scores = make_scores({"b": [0.5, NAN, NAN, 0.1], "a": [0.5, 0.2, NAN, 0.1]})
    scores.loc[scores["case"] == "case1", "reason"] = "nothing there"
    scores.loc[scores["case"] == "case2", "reason"] = np.nan
    again = make_scores({"b": [NAN] * 4}, cases="again").assign(reason="nothing there")
    found = analyse(pd.concat([scores, again]), resamples=20).undefined
    assert found.to_dict("split")["data"] == [
        ["b", 1, "dice", "", 1, 1],
        ["b", 1, "dice", "nothing there", 5, 4],
        ["a", 1, "dice", "", 1, 1],
    ]
    old = analyse(scores.drop(columns="reason"), resamples=20).undefined
    assert old["n_scores"].tolist() == [2, 1]
    assert analyse(make_scores({"a": [0.1, 0.2]}), resamples=20).undefined.empty


def test_lower_is_better_for_distances(make_scores: MakeScores, three_losses: dict[str, np.ndarray]) -> None:
    scores = make_scores({k: 10 * v for k, v in three_losses.items()}, "hd95", unit="mm")
    analysis = analyse(scores, metric="hd95", resamples=500)
    assert list(analysis.ranking["loss"]) == ["bce", "focal", "unified"]
    assert analysis.ranking["probability_best"][0] > 0.99
    assert analysis.ranking["mean_rank"].argmin() == 0
    assert analysis.verdict.told_apart == ("focal", "unified")
    assert "mm" in analysis.verdict.sentence


def test_a_difference_of_rounding_is_none(make_scores: MakeScores) -> None:
    assert 0.1 + 0.2 != 0.3
    found = analyse(make_scores({"a": [0.1 + 0.2] * 8, "b": [0.3] * 8}), resamples=50).comparison.iloc[0]
    assert found["difference"] == 0
    assert found["p"] == 1
    assert "all differences are zero" in found["test"]


def test_the_ranking_keeps_to_patients_that_every_loss_was_scored_on(
    make_scores: MakeScores,
) -> None:
    """A run failed on the hard patients: its loss must not look better for it."""
    hard = [0.9] * 8 + [0.1] * 4
    scores = make_scores({"whole": np.array(hard), "failed": np.array(hard[:8]) - 0.01})
    analysis = analyse(scores, resamples=100)
    assert row(analysis.summary, loss="failed")["mean"] > row(analysis.summary, loss="whole")["mean"]
    assert analysis.verdict.best == "whole"
    assert analysis.ranking["mean"].tolist() == pytest.approx([0.9, 0.89])
    assert "8 of 12" in analysis.verdict.explanation
    assert "these 8 patients" in analysis.verdict.sentence


def test_losses_never_scored_on_the_same_patient(make_scores: MakeScores) -> None:
    scores = make_scores({"a": [0.5] * 8 + [NAN] * 8, "b": [NAN] * 8 + [0.7] * 8})
    analysis = analyse(scores[scores["value"].notna()], resamples=100)
    assert "not comparable" in analysis.verdict.explanation
    assert analysis.verdict.told_apart == ()
    assert "did best" not in analysis.verdict.sentence


def test_pooled_figures_come_from_all_pixels(make_scores: MakeScores) -> None:
    rng = np.random.default_rng(2)
    names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
    truth, prediction = rng.integers(0, 2, (2, 6, 50))
    codes = 2 * truth + prediction
    counts = [make_scores({"bce": (codes == code).sum(axis=1)}, name) for code, name in enumerate(names)]
    dice = make_scores({"bce": [0.5] * 6})
    pooled = analyse(pd.concat([*counts, dice]), resamples=50).pooled
    oracles = {"dice": f1_score, "precision": precision_score, "recall": recall_score}
    for name, oracle in oracles.items():
        found = row(pooled, metric=name)
        assert found["value"] == pytest.approx(oracle(truth.ravel(), prediction.ravel()))
        assert found["n_cases"] == 6
    assert row(pooled, metric="accuracy")["value"] == pytest.approx((truth == prediction).mean())
    assert analyse(dice, resamples=50).pooled.empty


def test_the_rarest_label_is_the_primary_one(make_scores: MakeScores) -> None:
    frames = [make_scores({"a": [0.5] * 3, "b": [0.4] * 3}, label=k) for k in (1, 2, 3)]
    sizes = {1: 90, 2: 7, 3: 0}
    for label, size in sizes.items():
        both = {"a": [size] * 3, "b": [size] * 3}
        frames += [make_scores(both, f"{name}s", label) for name in ("true_positive", "false_negative")]
    scores = pd.concat(frames)
    verdict = analyse(scores, resamples=50).verdict
    assert verdict.label == 2
    assert "fewest elements" in verdict.explanation
    assert analyse(scores, label=1, resamples=50).verdict.label == 1
    assert "fewest" not in analyse(scores, label=1, resamples=50).verdict.explanation


def test_results_do_not_depend_on_the_order_of_the_rows(
    make_scores: MakeScores, three_losses: dict[str, np.ndarray]
) -> None:
    rng = np.random.default_rng(8)
    frames = [
        make_scores({name: rng.permutation(values) for name, values in three_losses.items()}, seed=k) for k in range(7)
    ]
    scores = pd.concat(frames, ignore_index=True)
    order = ["bce", "unified", "focal"]
    one = analyse(scores, resamples=300, order=order)
    two = analyse(scores.sample(frac=1, random_state=1), resamples=300, order=order)
    for name in ("summary", "comparison", "ranking", "rank_shares", "undefined", "power", "variance"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name), check_exact=True)
    assert one.verdict == two.verdict
    assert list(one.summary["loss"]) == order


def test_a_written_table_gives_the_same_analysis(
    make_scores: MakeScores, three_losses: dict[str, np.ndarray], tmp_path: Path
) -> None:
    three_losses["bce"][4] = NAN
    scores = make_scores(three_losses)
    path = tmp_path / "scores.csv"
    scores.to_csv(path, index=False)
    one, two = analyse(scores, resamples=100), analyse(pd.read_csv(path), resamples=100)
    pd.testing.assert_frame_equal(one.summary, two.summary)
    assert one.verdict == two.verdict


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: s.drop(columns=["patient", "value"]), "columns are missing: patient, value"),
        (lambda s: s.iloc[:0], "there are none"),
        (lambda s: pd.concat([s, s.iloc[:2]]), "2 scores are there twice, first dice of case case0"),
        (lambda s: s.assign(value=np.inf), "8 values are not finite numbers"),
        (lambda s: s.assign(value=["a few"] + [0.5] * 7), "1 values are not finite numbers"),
        (lambda s: s.assign(patient=[None, *s["patient"][1:]]), "empty cells in: patient"),
        (lambda s: s.assign(unit=["mm", *[""] * 7]), "dice comes in several units: none, mm"),
        (lambda s: s.assign(metric="area_truth"), "no scores of 'dice'"),
    ],
)
def test_scores_that_cannot_be_analysed(make_scores: MakeScores, damage: object, message: str) -> None:
    scores = make_scores({"a": [0.1, 0.2, 0.3, 0.4], "b": [0.4, 0.3, 0.2, 0.1]})
    with pytest.raises(InputError, match=message):
        analyse(damage(scores), resamples=10)  # type: ignore[operator]


def test_unknown_choices_name_the_known_ones(make_scores: MakeScores) -> None:
    scores = make_scores({"a": [0.1, 0.2]})
    with pytest.raises(InputError, match="Choose one of: dice"):
        analyse(scores, metric="dise", resamples=10)
    with pytest.raises(InputError, match=r"no scores of label 4.*Choose one of: 1"):
        analyse(scores, label=4, resamples=10)
    with pytest.raises(ValueError, match="resamples is 0"):
        analyse(scores, resamples=0)
    with pytest.raises(ValueError, match="margin is 0"):
        analyse(scores, resamples=10, margin=0)


def test_labels_that_are_no_integers_are_refused(make_scores: MakeScores) -> None:
    for label in ("one", 1.5):
        scores = make_scores({"a": [0.5, 0.6], "b": [0.4, 0.7]})
        scores["label"] = scores["label"].astype(object)
        scores.loc[0, "label"] = label
        with pytest.raises(InputError, match="1 labels are no integers, first of dice of case case0 with a"):
            analyse(scores, resamples=100)
