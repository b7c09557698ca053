"""The rows of the summary, comparison and ranking tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from unifocal.metrics import METRICS
from unifocal.statistics.bootstrap import (
    ROUNDING,
    Resampled,
    intervals,
    resample,
    resampled_means,
    shares_of_best,
)
from unifocal.statistics.paired import FEWEST_PATIENTS, cohen_d, holm, rank_sums, sign_test, signed_rank
from unifocal.statistics.retraining import Retrained
from unifocal.statistics.sheets import Sheet, column_means, pair_differences
from unifocal.statistics.sign_flips import FlipTests, flip_tests

Floats = NDArray[np.float64]

# Named, so that a table without rows has the same types as any other.
_COMPARISON_TYPES = {
    "label": "int64",
    **dict.fromkeys(["metric", "loss_a", "loss_b"], "str"),
    "n_patients": "int64",
    **dict.fromkeys(["difference", "lower", "upper", "lower_bca", "upper_bca"], "float64"),
    **dict.fromkeys(["lower_percentile", "upper_percentile", "lower_retrained", "upper_retrained"], "float64"),
    **dict.fromkeys(["effect_size", "cohen_d"], "float64"),
    "test": "str",
    **dict.fromkeys(["p", "p_adjusted", "p_flips", "p_retrained", "p_signed_rank", "p_permutation"], "float64"),
    **dict.fromkeys(["p_sign", "p_rank_sum", "probability_a_better", "probability_equivalent"], "float64"),
    "is_equivalent": "bool",
}

RetrainedPairs = Mapping[tuple[int, str, str, str], Retrained]
"""What repeated trainings say of a difference, by label, metric and the two losses."""


@dataclass(frozen=True, eq=False)
class _Columns:
    """One sheet's part of the matrix that is resampled: its losses, then its pairs."""

    sheet: Sheet
    pairs: list[tuple[int, int]]
    differences: Floats
    margin: float

    @property
    def values(self) -> Floats:
        return np.hstack([self.sheet.values, self.differences])

    @property
    def margins(self) -> Floats:
        return np.repeat([np.nan, self.margin], [len(self.sheet.losses), len(self.pairs)])

    @property
    def ranges(self) -> Floats:
        low, high = range_of(self.sheet.metric)
        return np.repeat([[low, high], [low - high, high - low]], [len(self.sheet.losses), len(self.pairs)], axis=0)


def range_of(metric: str) -> tuple[float, float]:
    """The smallest and largest possible value; without bounds for a metric that is not known."""
    return METRICS[metric].range if metric in METRICS else (-np.inf, np.inf)


def margin_of(metric: str, given: float | None) -> float:
    """The largest difference that counts as none: the user's, else the metric's own, else NaN."""
    if given is not None:
        return given
    own = METRICS[metric].margin if metric in METRICS else None
    return np.nan if own is None else own


def describe(
    sheets: Sequence[Sheet], resamples: int, seed: int, margins: Mapping[str, float], retrained: RetrainedPairs
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All rows of the summary and, for metrics with a direction, of the comparison.

    Args:
        sheets: All of one study, over the same patients.
        resamples: The number of bootstrap resamples, which all sheets share.
        seed: Of the bootstrap and of the sign flips.
        margins: Per metric, the largest difference that counts as none; NaN where there is no such number.
        retrained: Where losses were trained repeatedly.
    """
    parts = [_columns(sheet, margins[sheet.metric]) for sheet in sheets]
    values = np.hstack([part.values for part in parts])
    found = resample(
        values,
        resamples,
        seed,
        np.concatenate([part.margins for part in parts]),
        np.concatenate([part.ranges for part in parts]),
    )
    tests = flip_tests(np.hstack([part.differences for part in parts]), seed)
    summary, comparison = [], []
    start, first_pair = 0, 0
    for part in parts:
        middle, end = start + len(part.sheet.losses), start + part.values.shape[1]
        pairs = slice(first_pair, first_pair + len(part.pairs))
        summary.append(_summary(part.sheet, _cut(found, slice(start, middle))))
        comparison.append(_comparison(part, _cut(found, slice(middle, end)), _cut_tests(tests, pairs), retrained))
        start, first_pair = end, pairs.stop
    return pd.concat(summary, ignore_index=True), pd.concat(comparison, ignore_index=True)


def _columns(sheet: Sheet, margin: float) -> _Columns:
    pairs = list(combinations(range(len(sheet.losses)), 2)) if sheet.sign else []
    return _Columns(sheet, pairs, pair_differences(sheet, pairs), margin)


def _cut(found: Resampled, columns: slice) -> Resampled:
    bounds = type(found.bounds)(**{name: value[columns] for name, value in vars(found.bounds).items()})
    return Resampled(bounds, found.above[columns], found.within[columns])


def _cut_tests(tests: FlipTests, columns: slice) -> FlipTests:
    return FlipTests(tests.mean[columns], tests.ranks[columns], tests.either[columns], tests.is_exact)


def _summary(sheet: Sheet, found: Resampled) -> pd.DataFrame:
    n = np.isfinite(sheet.values).sum(axis=0)
    means = column_means(sheet.values)
    squares = np.where(np.isfinite(sheet.values), sheet.values - means, 0.0) ** 2
    sd = np.full(len(n), np.nan)
    np.divide(squares.sum(axis=0), n - 1, out=sd, where=n > 1)
    return pd.DataFrame(
        {
            "loss": sheet.losses,
            "label": sheet.label,
            "metric": sheet.metric,
            "unit": sheet.unit,
            "mean": means,
            "sd": np.sqrt(sd),
            **_bounds(found),
            "n_cases": sheet.n_cases,
            "n_patients": n,
            "n_undefined": sheet.n_undefined,
        }
    )


def _bounds(found: Resampled) -> dict[str, Floats]:
    bounds = found.bounds
    named = {"": bounds.shown, "_bca": bounds.bca, "_percentile": bounds.percentile}
    return {f"{side}{name}": both[:, k] for name, both in named.items() for k, side in enumerate(("lower", "upper"))}


def _comparison(part: _Columns, found: Resampled, tests: FlipTests, retrained: RetrainedPairs) -> pd.DataFrame:
    sheet = part.sheet
    above = found.above if sheet.sign > 0 else 1 - found.above
    names = [(sheet.label, sheet.metric, sheet.losses[a], sheet.losses[b]) for a, b in part.pairs]
    again = [retrained.get(name, Retrained()) for name in names]
    compared = [_compare(part, i, tests, each) for i, each in enumerate(again)]
    rows = pd.DataFrame(compared, columns=list(_COMPARISON_TYPES))
    for name, values in _bounds(found).items():
        rows[name] = values
    # Two one-sided tests at 5 % (Schuirmann 1987): the 90 % interval lies within the margin.
    inside = np.abs(found.bounds.shown_90).max(axis=1, initial=0.0) <= part.margin
    first, second = np.array(part.pairs, dtype=np.int64).reshape(-1, 2).T
    # On fewer patients a spread of nearly nothing is luck: as little can be shown to be alike as to differ.
    enough = rows["n_patients"].to_numpy(dtype=float) >= FEWEST_PATIENTS
    # Where one alone is defined, pairs may agree although the means that stand beside each other do not.
    means = column_means(sheet.values)
    inside &= enough & (np.abs(means[first] - means[second]) <= part.margin * (1 + ROUNDING))
    rows["is_equivalent"] = inside & np.array([each.is_within(part.margin) for each in again], dtype=bool)
    rows["p_rank_sum"] = rank_sums(sheet.values[:, first], sheet.values[:, second])
    rows["probability_a_better"], rows["probability_equivalent"] = above, found.within
    rows["p_adjusted"] = holm(rows["p"].to_numpy(dtype=float))
    return rows.astype(_COMPARISON_TYPES)


def _compare(part: _Columns, i: int, tests: FlipTests, again: Retrained) -> dict[str, object]:
    sheet, (a, b) = part.sheet, part.pairs[i]
    difference = part.differences[:, i]
    both = np.isfinite(difference)
    ranks = signed_rank(difference[both])
    p = float(tests.either[i])
    return {
        "label": sheet.label,
        "metric": sheet.metric,
        "loss_a": sheet.losses[a],
        "loss_b": sheet.losses[b],
        "n_patients": int(both.sum()),
        "difference": float(column_means(difference[:, None])[0]),
        "lower_retrained": again.lower,
        "upper_retrained": again.upper,
        "effect_size": ranks.effect_size,
        "cohen_d": cohen_d(difference[both]),
        "test": _test(difference[both], tests, again),
        "p": float(np.fmax(p, again.p)) if np.isfinite(p) else np.nan,
        "p_flips": p,
        "p_retrained": again.p,
        "p_signed_rank": ranks.p,
        "p_permutation": float(tests.mean[i]),
        "p_sign": sign_test(difference[both]),
    }


def _test(differences: Floats, tests: FlipTests, again: Retrained) -> str:
    if len(differences) == 0:
        return "none: no patient has both scores"
    if not differences.any():
        return "none needed: all differences are zero"
    form = "exact" if tests.is_exact else "Monte Carlo"
    also = "; and a t test with the trainings' own variance" if np.isfinite(again.p) else ""
    return f"sign-flip permutation of mean and signed ranks ({form}){also}"


def rank_losses(sheet: Sheet, resamples: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The losses, best mean first, ties in the order of their names; and how their ranks vary.

    Args:
        sheet: The primary metric and label, cut down to what can be ranked.
        resamples: The number of bootstrap resamples.
        seed: Of the bootstrap.

    Returns:
        `Analysis.ranking` and `Analysis.rank_shares`.
    """
    n = len(sheet.losses)
    drawn = resampled_means(sheet.values, resamples, seed)
    bounds = intervals(sheet.values, drawn, np.tile(range_of(sheet.metric), (n, 1))).shown
    complete = sheet.values[np.isfinite(sheet.values).all(axis=1)]
    ranks = rankdata(-sheet.sign * complete, axis=1) if complete.size else complete
    shares, limits = _rank_shares(-sheet.sign * drawn)
    table = pd.DataFrame(
        {
            "loss": sheet.losses,
            "mean": column_means(sheet.values),
            "lower": bounds[:, 0],
            "upper": bounds[:, 1],
            "probability_best": shares_of_best(drawn, higher_is_better=sheet.sign > 0),
            "mean_rank": column_means(ranks),
            "rank_lower": limits[:, 0],
            "rank_upper": limits[:, 1],
        }
    )
    table = table.sort_values(["mean", "loss"], ascending=[sheet.sign < 0, True])
    rows = [
        {"loss": sheet.losses[column], "rank": rank + 1, "share": shares[column, rank]}
        for column in table.index
        for rank in range(n)
    ]
    return table.reset_index(drop=True), pd.DataFrame(rows, columns=["loss", "rank", "share"])


def _rank_shares(oriented: Floats) -> tuple[Floats, Floats]:
    """(losses, ranks) shares of each rank, 1 for the smallest value, and (losses, 2) 95 % ranges.

    Losses whose means differ by rounding alone share the better rank.
    """
    n = oriented.shape[1]
    complete = oriented[np.isfinite(oriented).all(axis=1)]
    if complete.size == 0:
        return np.full((n, n), np.nan), np.full((n, 2), np.nan)
    slack = ROUNDING * np.abs(complete).max(axis=1)
    ranks = np.stack([1 + (complete < (complete[:, k] - slack)[:, None]).sum(axis=1) for k in range(n)], axis=1)
    shares = np.stack([(ranks == rank).mean(axis=0) for rank in range(1, n + 1)], axis=1)
    limits = np.quantile(ranks, [0.025, 0.975], axis=0, method="inverted_cdf").T
    return shares, limits.astype(np.float64)
