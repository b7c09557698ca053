"""Tables of the pairwise comparison: every pair of losses, every test by its name."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from unifocal.reporting.table import Cell, Table
from unifocal.reporting.tables import (
    SIGNIFICANT,
    count_cell,
    direction,
    judged_metrics,
    label_words,
    metric_title,
    p_cell,
    unit_of,
    with_unit,
)
from unifocal.reporting.wording import digits_for, enumeration, interval, share, signed
from unifocal.statistics.result import Analysis

MOST_DIGITS = 6


def compared_metrics(analysis: Analysis, label: int) -> list[str]:
    """The metrics in which losses were compared, the verdict's first."""
    table = analysis.comparison
    metrics = judged_metrics(table.loc[table["label"] == label, "metric"])
    return sorted(metrics, key=lambda metric: metric != analysis.verdict.metric)


def comparison_table(analysis: Analysis, metric: str, label: int, *, is_explained: bool = True) -> Table:
    """Every pair of losses in one metric, every test by its name; the caption may leave out what the columns are."""
    table = analysis.comparison
    chosen = table[(table["metric"] == metric) & (table["label"] == label)]
    unit = unit_of(analysis.summary, metric)
    digits = _difference_digits(unit, chosen["difference"])
    optional = [name for name in _OPTIONAL if name in table and table[name].notna().any()]
    tests = enumeration([str(test) for test in chosen["test"].dropna().unique()])
    better = {"higher": "above", "lower": "below"}.get(str(direction(metric)), "away from")
    explained = [
        (
            f"p: {tests or 'not tested'}; p (Holm): the same, corrected for the number of pairs, bold below "
            f"{SIGNIFICANT}. Rank-biserial: effect size of matched pairs, -1 to 1, positive where A's values are "
            "larger."
        ),
        *(_OPTIONAL[name][1] for name in optional),
    ]
    return Table(
        caption=" ".join(
            [
                (
                    f"{with_unit(metric_title(metric), unit)}{label_words(analysis, label)}: A minus B over the "
                    f"patients that both were scored on, with its 95 % interval ({better} zero: A is better)."
                ),
                *(explained if is_explained else ["Tests and columns as in the first of these tables."]),
            ]
        ),
        stub="A",
        columns=(
            "B",
            "Difference",
            "p",
            "p (Holm)",
            "Rank-biserial",
            "Patients",
            *(_OPTIONAL[name][0] for name in optional),
        ),
        rows=tuple((str(row["loss_a"]), _pair_cells(row, digits, optional)) for row in chosen.to_dict("records")),
        names=2,
        name="comparison",
        title=metric_title(metric) + label_words(analysis, label),
        about=(("label", str(label)), ("metric", metric), ("unit", unit)),
    )


def _difference_digits(unit: str, differences: "pd.Series[float]") -> int:
    """As many decimals as the largest difference needs to show two figures, within reason."""
    digits = digits_for(unit, 0.0)
    largest = float(differences.abs().max()) if len(differences) else math.nan
    while math.isfinite(largest) and 0 < largest < 10.0 ** (1 - digits) and digits < MOST_DIGITS:
        digits += 1
    return digits


# Column, what it is called in the table, what the caption says of it.
_OPTIONAL = {
    "p_retrained": (
        "p (retrained)",
        "p (retrained): t test that counts the variance between repeated trainings, uncorrected.",
    ),
    "p_signed_rank": ("p (signed rank)", "p (signed rank): Wilcoxon's signed-rank test, uncorrected."),
    "cohen_d": ("Cohen's d", "Cohen's d: of the paired differences."),
    "p_permutation": ("p (permut.)", "p (permut.): paired permutation test of the mean difference, uncorrected."),
    "p_sign": ("p (sign)", "p (sign): sign test, uncorrected."),
    "p_rank_sum": (
        "p (rank sum)",
        (
            "p (rank sum): the unpaired, uncorrected test that many papers report; it ignores that the patients are "
            "the same."
        ),
    ),
    "probability_a_better": ("A better", "A better: share of bootstrap resamples in which A has the better mean."),
    "probability_equivalent": (
        "Equivalent",
        "Equivalent: share of resamples in which the difference lies within the margin.",
    ),
}


def _pair_cells(row: Mapping[Any, Any], digits: int, optional: Sequence[str]) -> tuple[Cell, ...]:
    significant = bool(row["p_adjusted"] < SIGNIFICANT)
    bounds = (float(row["difference"]), float(row["lower"]), float(row["upper"]))
    return (
        Cell(str(row["loss_b"])),
        Cell(
            signed(row["difference"], digits),
            note=interval(row["lower"], row["upper"], digits),
            strong=significant,
            numbers=bounds,
        ),
        p_cell(row["p"]),
        p_cell(row["p_adjusted"], strong=significant),
        Cell(signed(row["effect_size"], 2), numbers=(float(row["effect_size"]),)),
        count_cell(float(row["n_patients"])),
        *(_optional_cell(name, float(row[name])) for name in optional),
    )


def _optional_cell(name: str, value: float) -> Cell:
    if name.startswith("p_"):
        return p_cell(value)
    text = share(value) if name.startswith("probability") else signed(value, 2)
    return Cell(text, numbers=(value,))
