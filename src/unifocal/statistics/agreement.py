"""Predicted against true sizes: bias and limits of agreement."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2, norm
from scipy.stats import t as student

Floats = NDArray[np.float64]

_SIZES = ("area", "volume")
_FIGURES = (
    "bias",
    "bias_lower",
    "bias_upper",
    "limit_lower",
    "limit_lower_lower",
    "limit_lower_upper",
    "limit_upper",
    "limit_upper_lower",
    "limit_upper_upper",
)
_COLUMNS = ["loss", "label", "metric", "unit", "n_cases", "n_patients", *_FIGURES]


def agreement_table(scores: pd.DataFrame, losses: tuple[str, ...]) -> pd.DataFrame:
    """`Analysis.agreement`: prediction minus truth of areas or volumes, per loss and label."""
    rows: list[tuple[object, ...]] = []
    for size in _SIZES:
        differences = _differences(scores, size)
        for key, found in differences.groupby(["loss", "label"]):
            loss, label = tuple(key)
            codes = np.unique(found["patient"].astype(str), return_inverse=True)[1]
            figures = limits_of_agreement(found["difference"].to_numpy(dtype=np.float64), codes.astype(np.int64))
            counts = (found["case"].nunique(), found["patient"].nunique())
            rows.append((loss, label, size, found["unit"].iloc[0], *counts, *figures))
    rows.sort(key=lambda row: (losses.index(str(row[0])), row[1], row[2]))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _differences(scores: pd.DataFrame, size: str) -> pd.DataFrame:
    names = [f"{size}_prediction", f"{size}_truth"]
    keys = ["loss", "label", "patient", "case", "fold", "seed", "unit"]
    wanted = scores[scores["metric"].isin(names)]
    if not set(names) <= set(wanted["metric"]):
        return pd.DataFrame(columns=[*keys, "difference"])
    both = wanted.pivot_table(index=keys, columns="metric", values="value").reindex(columns=names).dropna()
    return (both[names[0]] - both[names[1]]).rename("difference").reset_index()


def limits_of_agreement(differences: Floats, patients: NDArray[np.int64]) -> tuple[float, ...]:
    """Bias and the limits between which 95 % of single cases are expected, each with its 95 % interval.

    Bland and Altman 1999, section 5.2, with a patient's cases as repeated measurements: the bias is
    the mean of the patients' means, the variance that between patients' means plus what averaging takes
    from the variance within; intervals of the limits by Zou 2013, "Confidence interval estimation for
    the Bland-Altman limits of agreement with multiple observations per individual".

    Args:
        differences: Prediction minus truth of every case.
        patients: Whose it is, numbered from 0.

    Returns:
        Bias, lower and upper; lower limit, its lower and upper; upper limit, its lower and upper. With one
        patient the bias alone, with NaN for the others.
    """
    times = np.bincount(patients)
    means = np.bincount(patients, differences) / times
    n, total = len(times), len(differences)
    bias = float(means.mean())
    if n < 2:
        return (bias, *[np.nan] * 8)
    between = float(np.var(means, ddof=1))
    error = float(np.sqrt(between / n))
    parts = [(between, n - 1)]
    if total > n:
        within = float(np.sum((differences - means[patients]) ** 2)) / (total - n)
        parts.append(((1 - float(np.mean(1 / times))) * within, total - n))
    variance = sum(part for part, _ in parts)
    low = variance - np.sqrt(sum((part * (1 - freedom / chi2.ppf(0.975, freedom))) ** 2 for part, freedom in parts))
    high = variance + np.sqrt(sum((part * (freedom / chi2.ppf(0.025, freedom) - 1)) ** 2 for part, freedom in parts))
    z = float(norm.ppf(0.975))
    reach, spread = float(student.ppf(0.975, n - 1)) * error, z * np.sqrt(variance)
    inner = np.hypot(reach, spread - z * np.sqrt(max(low, 0.0)))
    outer = np.hypot(reach, z * np.sqrt(high) - spread)
    lower, upper = bias - spread, bias + spread
    figures = (bias, bias - reach, bias + reach)
    return tuple(map(float, (*figures, lower, lower - outer, lower + inner, upper, upper - inner, upper + outer)))
