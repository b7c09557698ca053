"""How many patients a difference of a given size would need."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import norm

from unifocal.metrics import METRICS
from unifocal.statistics.sheets import Sheet

POWER = 0.8
_RATIOS = (0.01, 0.02, 0.05)
_OTHERS = (1.0, 2.0, 5.0)
_COLUMNS = ["loss_a", "loss_b", "sd_difference", "difference", "is_observed", "power", "level", "n_patients"]


def patients_needed(difference: float, spread: float, level: float, power: float = POWER) -> float:
    """Patients that a two-sided paired t test needs, by Guenther 1981: (z + z')^2 / d^2 + z^2 / 2.

    Args:
        difference: Of the means.
        spread: The standard deviation of the patients' differences.
        level: Of the test.
        power: How often it shall find the difference.

    Returns:
        A whole number, at least 2; infinity for no difference, NaN for no spread.
    """
    if not spread > 0:
        return np.nan
    if difference == 0:
        return np.inf
    z = float(norm.ppf(1 - level / 2))
    size = abs(difference) / spread
    return max(2.0, float(np.ceil(((z + norm.ppf(power)) / size) ** 2 + z**2 / 2)))


def power_table(sheet: Sheet, best: str | None, level: float) -> pd.DataFrame:
    """`Analysis.power`: the best loss against each other one.

    Args:
        sheet: The primary metric and label, cut down to what can be ranked.
        best: The loss with the best mean; None when none could be ranked.
        level: At which each pair is tested.
    """
    rows: list[tuple[object, ...]] = []
    if best is None:
        return pd.DataFrame(rows, columns=_COLUMNS)
    first = sheet.losses.index(best)
    for other in range(len(sheet.losses)):
        difference = sheet.values[:, first] - sheet.values[:, other]
        difference = difference[np.isfinite(difference)]
        if other == first or len(difference) < 2:
            continue
        spread = float(np.std(difference, ddof=1))
        for size, is_observed in _sizes(sheet, float(difference.mean())):
            n = patients_needed(size, spread, level)
            rows.append((best, sheet.losses[other], spread, size, is_observed, POWER, level, n))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _sizes(sheet: Sheet, observed: float) -> Iterator[tuple[float, bool]]:
    is_ratio = np.isfinite(METRICS[sheet.metric].range[1])
    yield from ((size, False) for size in (_RATIOS if is_ratio else _OTHERS))
    yield observed, True
