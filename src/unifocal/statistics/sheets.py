"""From the long table of scores to one sheet of patients by losses per label and metric."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
class Cells:
    """What one patient's cases, each in each fold that tests it, were scored with.

    Attributes:
        values: (cells, losses): the mean over trainings; NaN without a defined score.
        scored: (cells, losses): whether there is a score, defined or not.
    """

    values: NDArray[np.float64]
    scored: NDArray[np.bool_]

    def common(self, losses: Sequence[int]) -> Floats | None:
        """(losses,) means over the cells that all of these losses were scored on; None without any."""
        rows = self.scored[:, losses].all(axis=1)
        return column_means(self.values[rows][:, losses]) if rows.any() else None


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
        uneven: The patients, by row, of whom not every loss was scored on the same cases: a run failed, or a loss left
            a race, and another fold tests other cases of them.
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
    uneven: Mapping[int, Cells] = field(default_factory=dict)

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
        uneven=_uneven(rows, losses, patients),
    )


def _uneven(rows: pd.DataFrame, losses: Sequence[str], patients: Sequence[object]) -> dict[int, Cells]:
    cells = rows.groupby(["patient", "case", "fold", "loss"])["value"]
    scored = cells.size().unstack("loss").reindex(columns=pd.Index(losses)).notna()
    by_patient = scored.groupby(level="patient")
    uneven = (by_patient.any() & ~by_patient.all()).any(axis=1)
    if not uneven.any():
        return {}
    values = cells.mean().unstack("loss").reindex(columns=pd.Index(losses))
    places = {patient: place for place, patient in enumerate(patients)}
    return {
        places[patient]: Cells(
            values.loc[[patient]].to_numpy(dtype=np.float64), scored.loc[[patient]].to_numpy(dtype=np.bool_)
        )
        for patient in uneven.index[uneven]
    }


def comparable(sheet: Sheet, without: Collection[str] = ()) -> Sheet:
    """The part of a sheet on which the losses can be ranked fairly.

    A loss without any defined value is left out, and so is a patient on whom one of the others was
    never scored (a run that failed), unless that leaves nobody. Where a patient's losses were scored on different
    cases, only those count that all of them were scored on.

    Args:
        sheet: All of it.
        without: Losses to leave out too.
    """
    kept = np.isfinite(sheet.values).any(axis=0) & ~np.isin(np.asarray(sheet.losses, dtype=object), list(without))
    sheet = _on_common_cases(sheet, np.flatnonzero(kept).tolist())
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
        uneven={},
    )


def _on_common_cases(sheet: Sheet, losses: Sequence[int]) -> Sheet:
    values, scored = sheet.values.copy(), sheet.scored.copy()
    for row, cells in sheet.uneven.items():
        asked = [loss for loss in losses if scored[row, loss]]
        if cells.scored[:, asked].all():
            continue
        means = cells.common(asked)
        values[row, asked] = np.nan if means is None else means
        scored[row, asked] = means is not None
    return replace(sheet, values=values, scored=scored)


def column_means(values: Floats) -> Floats:
    """The mean of every column's defined values; NaN for a column without any."""
    present = np.isfinite(values)
    n = present.sum(axis=0)
    totals = np.where(present, values, 0.0).sum(axis=0)
    means = np.full(values.shape[1], np.nan)
    np.divide(totals, n, out=means, where=n > 0)
    return means


def paired(sheet: Sheet, first: int, second: int) -> tuple[Floats, Floats]:
    """(patients,) of two losses, each over the same cases of a patient; NaN where either was scored on none of them."""
    a, b = sheet.values[:, first].copy(), sheet.values[:, second].copy()
    for row, cells in sheet.uneven.items():
        means = cells.common([first, second])
        a[row], b[row] = (np.nan, np.nan) if means is None else means
    return a, b


def pair_differences(sheet: Sheet, pairs: Sequence[tuple[int, int]]) -> Floats:
    """First minus second loss of each pair; NaN where either is missing.

    Args:
        sheet: Over all patients.
        pairs: Places of losses.

    Returns:
        (patients, pairs)
    """
    differences = np.empty((len(sheet.patients), len(pairs)))
    for place, (first, second) in enumerate(pairs):
        a, b = paired(sheet, first, second)
        # Two means of the same scores may differ in the last digit; that is no difference.
        same = np.abs(a - b) <= ROUNDING * np.maximum(np.abs(a), np.abs(b))
        differences[:, place] = np.where(same, 0.0, a - b)
    return differences


def rarest_label(scores: pd.DataFrame, labels: Sequence[int]) -> int:
    """The label with the fewest elements in the truth, of those with any; the smallest where that is not known."""
    in_truth = scores["metric"].isin(["true_positives", "false_negatives"])
    counted = scores[in_truth & scores["label"].isin(labels)]
    sizes = counted.groupby("label")["value"].sum()
    sizes = sizes[sizes > 0]
    return int(min(sizes.index, key=lambda label: sizes[label])) if len(sizes) else min(labels)
