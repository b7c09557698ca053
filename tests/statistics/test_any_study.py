"""Whatever a study lost on its way, its analysis is whole, finite where it says so, and the same in any order."""

import warnings

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from unifocal.statistics import analyse

METRICS = ("dice", "hd95", "true_positives", "false_positives", "false_negatives", "true_negatives")
UNITS = {"hd95": "mm", "area_truth": "mm2", "area_prediction": "mm2"}


@st.composite
def studies(draw: st.DrawFn) -> pd.DataFrame:
    """A few losses, folds, seeds, patients with several cases, labels; runs lost, scores undefined, coarse values."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    losses, patients, seeds, folds, labels = (
        draw(st.integers(low, high)) for low, high in ((1, 4), (1, 17), (1, 3), (1, 4), (1, 2))
    )
    lost, undefined = draw(st.sampled_from([0.0, 0.2, 0.7])), draw(st.sampled_from([0.0, 0.1, 0.6, 1.0]))
    rows = []
    for loss in range(losses):
        for seed in range(seeds):
            missing = rng.random(folds) < lost
            for patient in range(patients):
                if missing[patient % folds]:
                    continue
                where = {"loss": f"l{loss}", "fold": patient % folds, "seed": seed, "patient": f"p{patient}"}
                for case in range(1 + patient % 2):
                    for label in range(1, labels + 1):
                        for metric in (*METRICS, "area_truth", "area_prediction"):
                            value = np.nan if rng.random() < undefined else float(rng.integers(0, 6))
                            row = {"case": f"p{patient}c{case}", "label": label, "metric": metric, "value": value}
                            rows.append({**where, **row, "unit": UNITS.get(metric, ""), "reason": ""})
    if not rows:
        rows = [{"loss": "l0", "fold": 0, "seed": 0, "patient": "p", "case": "c", "label": 1, "metric": "dice"}]
        return pd.DataFrame(rows).assign(value=0.5, unit="", reason="")
    table = pd.DataFrame(rows)
    return table.assign(value=table["value"].where(table["metric"] != "dice", table["value"] / 5))


@given(studies(), st.sampled_from(["dice", "hd95"]), st.sampled_from([None, 0.01, 3.0]))
@settings(max_examples=25, deadline=None)
def test_any_study(scores: pd.DataFrame, metric: str, margin: float | None) -> None:
    metric = metric if (scores["metric"] == metric).any() else "dice"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = analyse(scores, metric=metric, resamples=30, margin=margin)
        shuffled = analyse(scores.sample(frac=1, random_state=0), metric=metric, resamples=30, margin=margin)
    assert found.verdict.sentence == shuffled.verdict.sentence
    words = found.verdict.sentence + found.verdict.explanation + found.verdict.why
    assert "nan" not in words
    assert "inf" not in words
    for table in (found.summary, found.comparison):
        for side in ("", "_bca", "_percentile"):
            low, high = table[f"lower{side}"], table[f"upper{side}"]
            assert (low.isna() == high.isna()).all()
            assert (low <= high + 1e-12)[low.notna()].all()
    p = found.comparison[["p", "p_flips", "p_retrained", "p_adjusted", "p_sign", "p_permutation", "p_signed_rank"]]
    assert ((p >= 0) & (p <= 1) | p.isna()).all().all()
    assert (found.comparison["p"].isna() == (found.comparison["n_patients"] == 0)).all()
    assert (found.comparison["p_adjusted"] >= found.comparison["p"] - 1e-12)[found.comparison["p"].notna()].all()
    ratios = found.summary[found.summary["metric"] == "dice"]
    assert ratios[["lower", "upper"]].stack().dropna().between(0, 1).all()
    assert set(found.verdict.told_apart) <= set(found.ranking["loss"])
    assert set(found.verdict.equivalent) <= set(found.verdict.not_told_apart)
    assert found.undefined["n_scores"].sum() == scores["value"].isna().sum()
    assert (found.variance["sd"].dropna() >= 0).all()
    if len(found.rank_shares):
        shares = found.rank_shares.groupby("loss")["share"].sum(min_count=1).dropna()
        np.testing.assert_allclose(shares, 1)
