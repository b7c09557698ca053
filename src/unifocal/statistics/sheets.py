"""From the long table of scores to one sheet of patients by losses per label and metric."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unifocal.metrics import METRICS
from unifocal.problems import Problem, raise_if_any
from unifocal.statistics.bootstrap import ROUNDING

Floats = NDArray[np.float64]

KEYS = ["loss", "fold", "seed", "case", "patient", "label", "metric"]
_WHERE = "the scores"


@dataclass(frozen=True, eq=False)
class Sheet:
    """One metric of one label.

    Attributes:
        label: The integer in the masks.
        metric: A name in `METRICS`.
        unit: Empty for ratios.
        losses: The columns.
        patients: The rows: every patient of the study.
        values: (patients, losses): the mean over a patient's defined scores; NaN without any.
        scored: (patients, losses): whether there is a score, defined or not.
        n_cases: Per loss, the cases with a defined score.
        n_undefined: Per loss, the scores that are undefined.
    """

    label: int
    metric: str
    unit: str
    losses: tuple[str, ...]
    patients: tuple[object, ...]
    values: NDArray[np.float64]
    scored: NDArray[np.bool_]
    n_cases: NDArray[np.int64]
    n_undefined: NDArray[np.int64]

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is, 0 for counts and sizes."""
        metric = METRICS.get(self.metric)
        if metric is None or metric.direction is None:
            return 0
        return 1 if metric.direction == "higher" else -1


def clean(scores: pd.DataFrame) -> pd.DataFrame:
    """Check that scores can be analysed, and turn their values into numbers.

    Raises:
        InputError: If columns, names or rows are missing, a value is no finite number, a score is
            there twice or one metric comes in several units.
    """
    missing = [name for name in (*KEYS, "value", "unit") if name not in scores.columns]
    if missing:
        remedy = "Give the table that `unifocal compare` or `unifocal evaluate` writes"
        raise_if_any([Problem(_WHERE, f"columns are missing: {', '.join(missing)}", remedy)])
    values = pd.to_numeric(scores["value"], errors="coerce").astype(float)
    raise_if_any(list(_problems(scores, values)))
    return scores.assign(value=values, label=scores["label"].astype(int), unit=_units(scores))


def _problems(scores: pd.DataFrame, values: "pd.Series[float]") -> Iterator[Problem]:
    if scores.empty:
        yield Problem(_WHERE, "there are none", "Train or evaluate at least one loss first")
        return
    named = ["loss", "case", "patient", "label", "metric"]
    nameless = [name for name in named if scores[name].isna().any()]
    if nameless:
        yield Problem(_WHERE, f"empty cells in: {', '.join(nameless)}", "Fill them in")
    odd = scores[~pd.to_numeric(scores["label"], errors="coerce").mod(1).eq(0)]
    if len(odd):
        what = f"{len(odd)} labels are no integers, first of {_named(odd)}"
        yield Problem(_WHERE, what, "Give the integers that the masks hold")
    bad = scores[(values.isna() & scores["value"].notna()) | np.isinf(values)]
    if len(bad):
        what = f"{len(bad)} values are not finite numbers, first {_named(bad)}"
        yield Problem(_WHERE, what, "Leave the value empty where a metric is undefined")
    twice = scores[scores.duplicated(KEYS)]
    if len(twice):
        what = f"{len(twice)} scores are there twice, first {_named(twice)}"
        yield Problem(_WHERE, what, "Remove the repeated rows")
    for metric, found in _units(scores).groupby(scores["metric"]).unique().items():
        if len(found) > 1:
            what = f"{metric} comes in several units: {', '.join(unit or 'none' for unit in sorted(found))}"
            yield Problem(_WHERE, what, "Give the spacing of every case, or of none")


def _units(scores: pd.DataFrame) -> "pd.Series[str]":
    # A column of empty cells is read from a file as numbers.
    return scores["unit"].astype(object).where(scores["unit"].notna(), "").astype(str)


def _named(scores: pd.DataFrame) -> str:
    first = scores.iloc[0]
    return f"{first['metric']} of case {first['case']} with {first['loss']}"


def loss_order(scores: pd.DataFrame, order: Sequence[str] | None) -> tuple[str, ...]:
    """The losses that have scores: those of `order` first, the others as they come."""
    present = list(dict.fromkeys(scores["loss"]))
    wanted = [loss for loss in dict.fromkeys(order or ()) if loss in present]
    return (*wanted, *(loss for loss in present if loss not in wanted))


def build_sheets(scores: pd.DataFrame, losses: Sequence[str]) -> list[Sheet]:
    """One sheet per label and metric, metrics in the order of `METRICS` and unknown ones last.

    Args:
        scores: Checked scores.
        losses: The columns of every sheet.
    """
    # Sums must not depend on the order of the rows, not even in their last digit.
    ordered = scores.sort_values(["case", "seed", "fold"], key=lambda column: column.astype(str))
    patients = tuple(sorted(scores["patient"].unique(), key=str))
    places = {name: place for place, name in enumerate(METRICS)}

    def place(key: tuple[int, str]) -> tuple[int, int, str]:
        return key[0], places.get(key[1], len(places)), key[1]

    groups = {
        (int(rows["label"].iloc[0]), str(rows["metric"].iloc[0])): rows
        for _, rows in ordered.groupby(["label", "metric"])
    }
    return [_sheet(key, groups[key], losses, patients) for key in sorted(groups, key=place)]


def _sheet(key: tuple[int, str], rows: pd.DataFrame, losses: Sequence[str], patients: tuple[object, ...]) -> Sheet:
    columns, index = pd.Index(losses), pd.Index(patients)
    cells = rows.groupby(["patient", "loss"])["value"]
    means = cells.mean().unstack("loss").reindex(index=index, columns=columns)
    sizes = cells.size().unstack("loss").reindex(index=index, columns=columns)
    defined = rows["value"].notna()
    n_cases = rows[defined].groupby("loss")["case"].nunique().reindex(columns, fill_value=0)
    n_undefined = rows[~defined].groupby("loss").size().reindex(columns, fill_value=0)
    return Sheet(
        label=key[0],
        metric=key[1],
        unit=rows["unit"].iloc[0],
        losses=tuple(losses),
        patients=patients,
        values=means.to_numpy(dtype=np.float64),
        scored=sizes.notna().to_numpy(dtype=np.bool_),
        n_cases=n_cases.to_numpy().astype(np.int64),
        n_undefined=n_undefined.to_numpy().astype(np.int64),
    )


def comparable(sheet: Sheet, without: Collection[str] = ()) -> Sheet:
    """The part of a sheet on which the losses can be ranked fairly.

    A loss without any defined value is left out, and so is a patient on whom one of the others was
    never scored (a run that failed), unless that leaves nobody.

    Args:
        sheet: All of it.
        without: Losses to leave out too.
    """
    kept = np.isfinite(sheet.values).any(axis=0) & ~np.isin(np.asarray(sheet.losses, dtype=object), list(without))
    rows = sheet.scored[:, kept].all(axis=1) & kept.any()
    if not np.isfinite(sheet.values[rows][:, kept]).any(axis=0).all() or not rows.any():
        rows = np.ones(len(sheet.patients), dtype=bool)
    return replace(
        sheet,
        losses=tuple(np.asarray(sheet.losses, dtype=object)[kept]),
        patients=tuple(np.asarray(sheet.patients, dtype=object)[rows]),
        values=sheet.values[rows][:, kept],
        scored=sheet.scored[rows][:, kept],
        n_cases=sheet.n_cases[kept],
        n_undefined=sheet.n_undefined[kept],
    )


def column_means(values: Floats) -> Floats:
    """The mean of every column's defined values; NaN for a column without any."""
    present = np.isfinite(values)
    n = present.sum(axis=0)
    totals = np.where(present, values, 0.0).sum(axis=0)
    means = np.full(values.shape[1], np.nan)
    np.divide(totals, n, out=means, where=n > 0)
    return means


def pair_differences(values: Floats, pairs: Sequence[tuple[int, int]]) -> Floats:
    """First minus second column of each pair; NaN where either is missing.

    Args:
        values: (patients, losses).
        pairs: Places of columns.

    Returns:
        (patients, pairs)
    """
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    a, b = values[:, first], values[:, second]
    difference: Floats = a - b
    # Two means of the same scores may differ in the last digit; that is no difference.
    same = np.abs(difference) <= ROUNDING * np.maximum(np.abs(a), np.abs(b))
    return np.where(same, 0.0, difference)


def rarest_label(scores: pd.DataFrame, labels: Sequence[int]) -> int:
    """The label with the fewest elements in the truth, of those with any; the smallest where that is not known."""
    in_truth = scores["metric"].isin(["true_positives", "false_negatives"])
    counted = scores[in_truth & scores["label"].isin(labels)]
    sizes = counted.groupby("label")["value"].sum()
    sizes = sizes[sizes > 0]
    return int(min(sizes.index, key=lambda label: sizes[label])) if len(sizes) else min(labels)
