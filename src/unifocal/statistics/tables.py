"""The rows of the summary, comparison, pooled and ranking tables."""

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from unifocal.metrics.overlap import OVERLAP_METRICS, Counts, overlap_scores
from unifocal.statistics.bootstrap import (
    ROUNDING,
    intervals,
    resampled_means,
    shares_of_best,
)
from unifocal.statistics.paired import holm, rank_sum, signed_rank
from unifocal.statistics.sheets import Sheet

# Named, so that a table without rows has the same types as any other.
_COMPARISON_TYPES = {
    "label": "int64",
    **dict.fromkeys(["metric", "loss_a", "loss_b"], "str"),
    "n_patients": "int64",
    **dict.fromkeys(["difference", "lower", "upper", "effect_size"], "float64"),
    "test": "str",
    **dict.fromkeys(["p", "p_adjusted", "p_rank_sum"], "float64"),
}
_COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")


def column_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of every column's defined values; NaN for a column without any."""
    present = np.isfinite(values)
    n = present.sum(axis=0)
    totals = np.where(present, values, 0.0).sum(axis=0)
    means = np.full(values.shape[1], np.nan)
    np.divide(totals, n, out=means, where=n > 0)
    return means


def describe(sheet: Sheet, resamples: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sheet's rows of the summary and, for a metric with a direction, of the comparison."""
    pairs = list(combinations(range(len(sheet.losses)), 2)) if sheet.sign else []
    differences = [_difference(sheet.values[:, a], sheet.values[:, b]) for a, b in pairs]
    columns = np.column_stack([sheet.values, *differences])
    lower, upper = intervals(columns, resampled_means(columns, resamples, seed))
    n = len(sheet.losses)
    summary = pd.DataFrame(
        {
            "loss": sheet.losses,
            "label": sheet.label,
            "metric": sheet.metric,
            "unit": sheet.unit,
            "mean": column_means(sheet.values),
            "lower": lower[:n],
            "upper": upper[:n],
            "n_cases": sheet.n_cases,
            "n_patients": np.isfinite(sheet.values).sum(axis=0),
            "n_undefined": sheet.n_undefined,
        }
    )
    comparison = pd.DataFrame(
        [_compare(sheet, a, b, columns[:, n + i]) for i, (a, b) in enumerate(pairs)],
        columns=list(_COMPARISON_TYPES),
    )
    comparison["lower"], comparison["upper"] = lower[n:], upper[n:]
    comparison["p_adjusted"] = holm(comparison["p"].to_numpy(dtype=float))
    comparison = comparison.astype(_COMPARISON_TYPES)
    return summary, comparison


def _difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    difference = a - b
    # Two means of the same scores may differ in the last digit; that is no difference.
    same = np.abs(difference) <= ROUNDING * np.maximum(np.abs(a), np.abs(b))
    return np.where(same, 0.0, difference)


def _compare(sheet: Sheet, a: int, b: int, difference: NDArray[np.float64]) -> dict[str, object]:
    both = np.isfinite(difference)
    result = signed_rank(difference[both])
    return {
        "label": sheet.label,
        "metric": sheet.metric,
        "loss_a": sheet.losses[a],
        "loss_b": sheet.losses[b],
        "n_patients": int(both.sum()),
        "difference": float(column_means(difference[:, None])[0]),
        "effect_size": result.effect_size,
        "test": result.test,
        "p": result.p,
        "p_rank_sum": rank_sum(sheet.values[both, a], sheet.values[both, b]),
    }


def pool(scores: pd.DataFrame, losses: tuple[str, ...]) -> pd.DataFrame:
    """Overlap metrics of the summed counts of all cases, folds and seeds, per loss and label."""
    counted = scores[scores["metric"].isin(_COUNTS)]
    sums = counted.pivot_table(index=["loss", "label"], columns="metric", values="value", aggfunc="sum").reindex(
        columns=list(_COUNTS)
    )
    n_cases = counted.groupby(["loss", "label"])["case"].nunique()
    rows = []
    for loss, label in sorted(sums.index, key=lambda key: (losses.index(key[0]), key[1])):
        four = sums.loc[(loss, label)]
        if four.isna().any():
            continue
        values = overlap_scores(Counts(*(int(number) for number in four)))
        for metric in OVERLAP_METRICS:
            value = values[metric][0]
            shown = np.nan if value is None else value
            rows.append((loss, int(label), metric, shown, int(n_cases[(loss, label)])))
    return pd.DataFrame(rows, columns=["loss", "label", "metric", "value", "n_cases"])


def rank_losses(sheet: Sheet, resamples: int, seed: int) -> pd.DataFrame:
    """The losses, best mean first; ties in the order of their names.

    Args:
        sheet: The primary metric and label, cut down to what can be ranked.
        resamples: The number of bootstrap resamples.
        seed: Of the bootstrap.
    """
    means = column_means(sheet.values)
    drawn = resampled_means(sheet.values, resamples, seed)
    lower, upper = intervals(sheet.values, drawn)
    complete = sheet.values[np.isfinite(sheet.values).all(axis=1)]
    ranks = rankdata(-sheet.sign * complete, axis=1) if complete.size else complete
    table = pd.DataFrame(
        {
            "loss": sheet.losses,
            "mean": means,
            "lower": lower,
            "upper": upper,
            "probability_best": shares_of_best(drawn, higher_is_better=sheet.sign > 0),
            "mean_rank": column_means(ranks),
        }
    )
    return table.sort_values(["mean", "loss"], ascending=[sheet.sign < 0, True], ignore_index=True)
