"""Where the spread of scores comes from: patients, folds, repeated trainings, and the rest."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COMPONENTS = ("patient", "fold", "seed", "rest")


@dataclass(frozen=True, eq=False)
class Trainings:
    """One metric of one label with every training kept apart.

    Attributes:
        values: (rows, seeds, losses): the mean over a patient's defined scores; NaN without any. A row is a
            patient in a fold.
        folds: (rows,): the fold's number, from 0.
    """

    values: Floats
    folds: NDArray[np.int64]


@dataclass(frozen=True)
class MeanSquares:
    """Sums of squares of patients by trainings, per fold, over the patients that every training of the fold scored.

    Attributes:
        n: Patients.
        s: Trainings.
        mean: Their mean.
        patients: Of the patients' means over the trainings.
        trainings: Of the trainings' means over the patients.
        rest: Of what both leave.
    """

    n: Floats
    s: Floats
    mean: Floats
    patients: Floats
    trainings: Floats
    rest: Floats

    @property
    def rest_freedom(self) -> float:
        """Degrees of freedom of the rest."""
        return float(np.sum((self.n - 1) * (self.s - 1)))

    @property
    def training_freedom(self) -> float:
        """Degrees of freedom between trainings of the same fold."""
        return float(np.sum(self.s - 1))

    @property
    def rest_variance(self) -> float:
        """The variance that neither patients nor trainings explain; NaN where each patient was scored once."""
        return float(self.rest.sum() / self.rest_freedom) if self.rest_freedom else np.nan


def separate(scores: pd.DataFrame, losses: tuple[str, ...]) -> dict[tuple[int, str], Trainings]:
    """Every metric and label with the trainings kept apart, cases averaged within patients."""
    keys = ["label", "metric", "fold", "patient", "seed", "loss"]
    cells = scores.assign(fold=scores["fold"].astype(str), seed=scores["seed"].astype(str))
    means = cells.groupby(keys)["value"].mean()
    found = {}
    for label, metric in dict.fromkeys(zip(scores["label"], scores["metric"], strict=True)):
        table = means.loc[label, metric].unstack(["seed", "loss"])
        seeds = sorted(set(table.columns.get_level_values("seed")))
        table = table.reindex(columns=pd.MultiIndex.from_product([seeds, losses]))
        found[int(label), str(metric)] = Trainings(
            values=table.to_numpy(dtype=np.float64).reshape(len(table), len(seeds), len(losses)),
            folds=np.unique(table.index.get_level_values("fold"), return_inverse=True)[1].astype(np.int64),
        )
    return found


def mean_squares(values: Floats, folds: NDArray[np.int64]) -> MeanSquares:
    """Sums of squares per fold.

    Args:
        values: (rows, seeds) of one loss, or of the difference of two; NaN where missing.
        folds: (rows,)
    """
    found = np.array([_squares(block) for block in _blocks(values, folds)]).reshape(-1, 6)
    return MeanSquares(*found.T)


def _blocks(values: Floats, folds: NDArray[np.int64]) -> Iterator[Floats]:
    for fold in np.unique(folds):
        block = values[folds == fold]
        block = block[:, np.isfinite(block).any(axis=0)]
        block = block[np.isfinite(block).all(axis=1)]
        if block.size:
            yield block


def _squares(block: Floats) -> tuple[float, ...]:
    n, s = block.shape
    mean, patients, trainings = block.mean(), block.mean(axis=1), block.mean(axis=0)
    rest = block - patients[:, None] - trainings + mean
    squares = (np.sum((patients - mean) ** 2), np.sum((trainings - mean) ** 2), np.sum(rest**2))
    return (n, s, mean, *squares)


def variance_components(values: Floats, folds: NDArray[np.int64]) -> dict[str, tuple[float, str]]:
    """Variances of patients (within folds), folds, trainings (of one fold) and the rest, each with a note.

    The analysis-of-variance estimator (Searle, Casella and McCulloch 1992, chapter 4) for patients nested in
    folds and crossed with trainings, pooled over the folds; negative estimates count as 0.

    Args:
        values: (rows, seeds) of one loss, or of the difference of two; NaN where missing.
        folds: (rows,)

    Returns:
        Per component its variance, NaN where the design cannot tell, and why not or what it includes.
    """
    found = mean_squares(values, folds)
    several = found.training_freedom > 0
    rest = found.rest_variance
    known_rest = rest if np.isfinite(rest) else 0.0
    patients = _excess(found.patients, found.n - 1, known_rest / found.s)
    trainings = _excess(found.trainings, found.s - 1, known_rest / found.n)
    fold = np.nan
    if len(found.n) > 1:
        inner = np.nan_to_num(patients) / found.n + np.nan_to_num(trainings) / found.s
        fold = max(0.0, float(np.var(found.mean, ddof=1) - np.mean(inner + known_rest / (found.n * found.s))))
    return {
        "patient": (patients, _note(patients, "no fold has two patients", "" if several else "includes the rest")),
        "fold": (fold, _note(fold, "there is one fold", "" if several else "includes what another training changes")),
        "seed": (trainings, "" if several else "each network was trained once"),
        "rest": (rest, "" if np.isfinite(rest) else "each patient was scored once per loss"),
    }


def _excess(squares: Floats, freedom: Floats, expected: Floats) -> float:
    """The pooled variance beyond what is expected of other sources; NaN without degrees of freedom."""
    if not freedom.sum():
        return np.nan
    return max(0.0, float(np.sum(squares - freedom * expected) / freedom.sum()))


def _note(variance: float, missing: str, otherwise: str) -> str:
    return otherwise if np.isfinite(variance) else missing


def variance_table(trainings: Trainings, losses: tuple[str, ...], pair: tuple[str, str] | None) -> pd.DataFrame:
    """`Analysis.variance`: every loss, and the difference of `pair` as `first - second`."""
    columns = {loss: trainings.values[:, :, place] for place, loss in enumerate(losses)}
    if pair:
        columns[f"{pair[0]} - {pair[1]}"] = columns[pair[0]] - columns[pair[1]]
    rows = []
    for name, values in columns.items():
        if not np.isfinite(values).any():
            continue
        found = variance_components(values, trainings.folds)
        total = float(np.nansum([variance for variance, _ in found.values()]))
        for component, (variance, note) in found.items():
            share = variance / total if total > 0 else np.nan
            rows.append((name, component, np.sqrt(variance), share, note))
    return pd.DataFrame(rows, columns=["loss", "component", "sd", "share", "note"])
