"""Would a difference survive another training? A t interval that counts the trainings' own variance."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from unifocal.statistics.components import Trainings, mean_squares
from unifocal.statistics.sheets import Sheet, paired

Floats = NDArray[np.float64]

_FEWEST = 2
"""With a single degree of freedom between trainings, their variance is hardly more than a guess."""


@dataclass(frozen=True)
class Retrained:
    """The difference of two losses with newly trained networks and new patients.

    Attributes:
        p: Two-sided; NaN where trainings were not repeated enough to tell how much they vary.
        lower: Of the 95 % interval.
        upper: Of the 95 % interval.
        lower_90: Of the 90 % interval.
        upper_90: Of the 90 % interval.
    """

    p: float = np.nan
    lower: float = np.nan
    upper: float = np.nan
    lower_90: float = np.nan
    upper_90: float = np.nan

    def is_within(self, margin: float) -> bool:
        """Whether the 90 % interval lies within plus or minus the margin; true where p is missing."""
        return not np.isfinite(self.p) or max(abs(self.lower_90), abs(self.upper_90)) <= margin


def retrained_pairs(
    sheets: Sequence[Sheet], trainings: dict[tuple[int, str], Trainings]
) -> dict[tuple[int, str, str, str], Retrained]:
    """`retrained` for every pair of losses, of every metric with a direction; empty where all were trained once."""
    found = {}
    for sheet in sheets:
        apart = trainings.get((sheet.label, sheet.metric))
        if not sheet.sign or apart is None or apart.values.shape[1] < 2:
            continue
        for a, b in combinations(range(len(sheet.losses)), 2):
            key = (sheet.label, sheet.metric, sheet.losses[a], sheet.losses[b])
            first, second = paired(sheet, a, b)
            difference = first - second
            apart_difference = apart.values[:, :, a] - apart.values[:, :, b]
            found[key] = retrained(difference[np.isfinite(difference)], apart_difference, apart.folds)
    return found


def retrained(differences: Floats, apart: Floats, folds: NDArray[np.int64]) -> Retrained:
    """Student's t with the variance between patients plus the variance between trainings of one fold.

    The patients' bootstrap holds the networks fixed. Here the variance of the mean difference is
    var(d) / n + sum over folds of (n_f / n)^2 / S_f * v, where v is the variance between trainings of one
    fold beyond what the patients' own scatter explains, from analysis of variance. Degrees of
    freedom after Satterthwaite 1946.

    Args:
        differences: (patients,): of the patients' means over all trainings.
        apart: (rows, seeds): the same with the trainings kept apart; NaN where missing.
        folds: (rows,): the rows' folds.
    """
    n = len(differences)
    squares = mean_squares(apart, folds)
    if n < 2 or squares.training_freedom < _FEWEST:
        return Retrained()
    patients = float(np.var(differences, ddof=1)) / n
    weight = float(np.sum((squares.n / squares.n.sum()) ** 2 / squares.s))
    between = weight * float(squares.trainings.sum()) / squares.training_freedom
    scatter = weight * float(np.sum((squares.s - 1) / squares.n)) / squares.training_freedom
    rest = scatter * float(np.nan_to_num(squares.rest_variance))
    extra = max(0.0, between - rest)
    variance = patients + extra
    if not variance > 0:
        return Retrained()
    terms = [(patients, n - 1.0)]
    if extra > 0:
        terms += [(between, squares.training_freedom), (rest, squares.rest_freedom)]
    freedom = variance**2 / sum(term**2 / degrees for term, degrees in terms if degrees)
    mean, error = float(differences.mean()), float(np.sqrt(variance))
    reach, reach_90 = (float(student.ppf(level, freedom)) * error for level in (0.975, 0.95))
    p = 2 * float(student.sf(abs(mean) / error, freedom))
    return Retrained(p, mean - reach, mean + reach, mean - reach_90, mean + reach_90)
