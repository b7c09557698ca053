"""Friedman's test of all losses at once, and Nemenyi's comparison of their mean ranks."""

from functools import cache
from itertools import combinations
from math import factorial, prod

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import f as fisher
from scipy.stats import rankdata, studentized_range

from unifocal.statistics.result import Omnibus
from unifocal.statistics.sheets import Sheet

Floats = NDArray[np.float64]

_LEVEL = 0.05


def omnibus(sheet: Sheet) -> Omnibus | None:
    """Friedman's test with the correction for ties, as the F of Iman and Davenport; Nemenyi's test after it.

    Iman and Davenport 1980; Nemenyi 1963; both as in Demsar 2006, "Statistical comparisons of classifiers
    over multiple data sets". None with fewer than three losses, or two patients with a value under each.

    Args:
        sheet: The primary metric and label, cut down to what can be ranked.
    """
    complete = sheet.values[np.isfinite(sheet.values).all(axis=1)]
    n, k = complete.shape
    if n < 2 or k < 3:
        return None
    ranks = rankdata(np.round(-sheet.sign * complete, 12), axis=1)
    statistic, p, test = _iman_davenport(ranks)
    means = pd.DataFrame({"loss": sheet.losses, "mean_rank": ranks.mean(axis=0)})
    means = means.sort_values(["mean_rank", "loss"], ignore_index=True)
    unit = np.sqrt(k * (k + 1) / (6 * n))
    critical = _studentized_range(k) / np.sqrt(2) * unit
    return Omnibus(
        test=test,
        statistic=statistic,
        p=p,
        n_patients=n,
        post_hoc="Nemenyi",
        critical_difference=float(critical),
        mean_ranks=means,
        pairs=_pairs(sheet.losses, ranks.mean(axis=0), float(unit)),
        groups=_groups(means, float(critical)),
    )


def _iman_davenport(ranks: Floats) -> tuple[float, float, str]:
    n, k = ranks.shape
    # In sums of squares of the ranks, which holds with and without ties (Conover 1999, section 5.8).
    total = float(np.sum((ranks - (k + 1) / 2) ** 2))
    between = n * float(np.sum((ranks.mean(axis=0) - (k + 1) / 2) ** 2))
    if total == 0:
        return 0.0, 1.0, "Friedman (all ranks tied)"
    chi_squared = n * (k - 1) * between / total
    slack = n * (k - 1) - chi_squared
    name = "Friedman, as the F of Iman and Davenport"
    if slack <= 1e-9 * n * k:
        # All rank alike: F has no value, and the exact p is the chance that all agree with the first.
        _, ties = np.unique(ranks[0], return_counts=True)
        orders = factorial(k) / prod(factorial(int(tie)) for tie in ties)
        return np.inf, float(orders ** (1 - n)), "Friedman (all rank alike, exact)"
    statistic = (n - 1) * chi_squared / slack
    return float(statistic), float(fisher.sf(statistic, k - 1, (k - 1) * (n - 1))), name


@cache
def _studentized_range(k: int) -> float:
    return float(studentized_range.ppf(1 - _LEVEL, k, np.inf))


def _pairs(losses: tuple[str, ...], mean_ranks: Floats, unit: float) -> pd.DataFrame:
    both = list(combinations(range(len(losses)), 2))
    first, second = np.array(both).T
    q = np.abs(mean_ranks[first] - mean_ranks[second]) / unit * np.sqrt(2)
    p = np.clip(studentized_range.sf(q, len(losses), np.inf), 0.0, 1.0)
    names = [(losses[a], losses[b]) for a, b in both]
    return pd.DataFrame(names, columns=["loss_a", "loss_b"]).assign(p=p)


def _groups(means: pd.DataFrame, critical: float) -> tuple[tuple[str, ...], ...]:
    """Maximal runs of losses of which the first and the last differ by less than the critical difference."""
    losses, ranks = list(means["loss"]), means["mean_rank"].to_numpy(dtype=float)
    found: list[tuple[int, int]] = []
    for start in range(len(losses)):
        end = int(np.searchsorted(ranks, ranks[start] + critical, side="right"))
        if end - start > 1 and (not found or end > found[-1][1]):
            found.append((start, end))
    return tuple(tuple(losses[start:end]) for start, end in found)
