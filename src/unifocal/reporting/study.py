"""A study folder, read into plain tables."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from unifocal.data.case import Source
from unifocal.problems import Problem, raise_if_any
from unifocal.reporting.race import EarlyExit, RunKey, read_exits, spared_by
from unifocal.reporting.reading import as_numbers, read_settings, read_table
from unifocal.reporting.time_spent import StageTime, read_time_spent
from unifocal.reporting.tuned import read_tuned

KNOWN_CASE_COLUMNS = frozenset(
    {
        "case",
        "patient",
        "fold",
        "image",
        "mask",
        "height",
        "width",
        "foreground_percent",
        "spacing_row_mm",
        "spacing_column_mm",
        "spacing_slice_mm",
        "spacing_mm",
        "slices",
        "depth",
    }
)
_ENDINGS = (".png", ".nii.gz", ".nrrd", ".mha", ".dcm")
SCORE_COLUMNS = frozenset({"loss", "fold", "seed", "case", "patient", "label", "metric", "value"})
CASE_COLUMNS = frozenset({"case", "patient"})
PREDICTION_COLUMNS = frozenset({"loss", "case", "file"})
MOST_CATEGORIES = 8
NO_STUDY = "Give the folder that `unifocal compare` or `unifocal evaluate` wrote, or run that command again"
NOTHING = 0.001
"""Below this validation Dice a network has found nothing."""


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        loss: The loss's label.
        fold: The fold that was held out, from 0.
        seed: The run's seed.
        status: `done` or `failed`.
        reason: Why it failed; empty when it did not.
        notes: What else happened on its way, in sentences.
        best_epoch: The epoch whose weights were kept.
        seconds: How long it took.
        history: One row per epoch; None when there is none to read.
        folder: The run's folder.
    """

    loss: str
    fold: int
    seed: int
    status: str
    reason: str
    best_epoch: int | None
    seconds: float | None
    history: pd.DataFrame | None
    folder: Path
    notes: tuple[str, ...] = ()

    def prediction(self, case: str) -> Path:
        """The file of a case's predicted mask."""
        folder = self.folder / "predictions"
        files = [folder / f"{case}{ending}" for ending in _ENDINGS]
        return next((file for file in files if file.is_file()), files[0])


@dataclass(frozen=True)
class StudyView:
    """What a study folder says, before any analysis.

    Attributes:
        folder: The study folder.
        settings: `study.yaml`; any key may be absent.
        cases: `cases.csv`, names as text.
        scores: `scores.csv`, names as text; an undefined value is NaN.
        runs: Every run with a record, in the order of loss, fold and seed.
        losses: The losses' labels in the order in which they were asked for; in an evaluation the methods' names.
        predictions: In an evaluation, the cell of `predictions.csv` that names each method's mask of each case.
        tuning: The trials of nested tuning (`tuning.csv`); empty where nothing was tuned.
        exits: The losses that left the race (`race.csv`).
    """

    folder: Path
    settings: Mapping[str, Any]
    cases: pd.DataFrame
    scores: pd.DataFrame
    runs: tuple[Run, ...]
    losses: tuple[str, ...]
    predictions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    tuning: pd.DataFrame = field(default_factory=pd.DataFrame)
    exits: tuple[EarlyExit, ...] = ()

    def setting(self, *keys: str) -> Any:
        """The value under nested keys of `study.yaml`; None where any of them is absent."""
        value: Any = self.settings
        for key in keys:
            if not isinstance(value, Mapping):
                return None
            value = value.get(key)
        return value

    @property
    def kind(self) -> str:
        """`study` where networks were trained, `evaluation` where masks from elsewhere were scored."""
        return "evaluation" if self.settings.get("kind") == "evaluation" else "study"

    @property
    def noun(self) -> str:
        """What is compared: `loss` or `method`."""
        return "method" if self.kind == "evaluation" else "loss"

    @property
    def nouns(self) -> str:
        """The same for several: `losses` or `methods`."""
        return "methods" if self.kind == "evaluation" else "losses"

    @property
    def is_phantom(self) -> bool:
        """Whether no data were named, so that the built-in phantom was used."""
        data = self.setting("config", "data")
        if self.kind == "evaluation":
            return False
        return isinstance(data, Mapping) and data.get("folder") is None and data.get("images") is None

    @property
    def failed_runs(self) -> tuple[Run, ...]:
        """The runs that have no scores."""
        return tuple(run for run in self.runs if run.status != "done")

    @property
    def planned(self) -> tuple[int, tuple[int, ...]]:
        """How many folds, and which seeds, every loss was to be trained with."""
        folds, seeds = self.setting("split", "folds"), self.setting("config", "seeds")
        known = {run.fold for run in self.runs}, {run.seed for run in self.runs}
        return (
            len(folds) if isinstance(folds, list) else max(known[0], default=-1) + 1,
            tuple(seeds) if isinstance(seeds, list) else tuple(sorted(known[1])),
        )

    @property
    def spared(self) -> dict[str, int]:
        """How many runs of each loss the race made needless; only those who were spared any."""
        spared = spared_by(self.exits, self.losses, *self.planned) - self._recorded
        counted = Counter(loss for loss, _, _ in spared)
        return {loss: counted[loss] for loss in self.losses if loss in counted}

    @property
    def _recorded(self) -> set[RunKey]:
        return {(run.loss, run.fold, run.seed) for run in self.runs}

    @property
    def missing_runs(self) -> int:
        """How many combinations of a loss, a fold and a seed, of those that occur, have no record and should."""
        expected = {
            (loss, fold, seed)
            for loss in self.losses
            for fold in {run.fold for run in self.runs}
            for seed in {run.seed for run in self.runs}
        }
        return len(expected - self._recorded - spared_by(self.exits, self.losses, *self.planned))

    @property
    def still_improving(self) -> dict[str, str]:
        """The losses of which a third of the runs or more were best in the last tenth of the epochs they had.

        Each with how many runs those are, as `2 of 5 runs`.
        """
        epochs = self.setting("config", "training", "epochs")
        found = {}
        for loss in self.losses:
            runs = [run for run in self.runs if run.loss == loss and run.best_epoch is not None]
            late = [run for run in runs if isinstance(epochs, int) and (run.best_epoch or 0) + 1 > 0.9 * epochs]
            if late and 3 * len(late) >= len(runs):
                found[loss] = f"{len(late)} of {len(runs)} runs"
        return found

    @property
    def found_nothing(self) -> dict[str, str]:
        """The losses with runs that ended at a validation Dice of 0: how many, as `2 of 5 runs`."""
        found = {}
        for loss in self.losses:
            told = [run.history for run in self.runs if run.loss == loss and run.history is not None]
            ends = [history["validation_dice"].iloc[-1] for history in told if "validation_dice" in history]
            nothing = sum(end < NOTHING for end in ends)
            if nothing:
                found[loss] = f"{nothing} of {len(ends)} runs"
        return found

    @property
    def kept_early(self) -> dict[str, str]:
        """The losses with runs that kept weights of less than half of the best validation Dice that they reached.

        Each with how many runs those are, as `2 of 5 runs`.
        """
        found = {}
        for loss in self.losses:
            told = [(run.best_epoch, run.history) for run in self.runs if run.loss == loss and run.history is not None]
            dice = [
                (history.set_index("epoch")["validation_dice"].get(kept), history["validation_dice"].max())
                for kept, history in told
                if {"epoch", "validation_dice"} <= {*history}
            ]
            poor = sum(kept is not None and most >= NOTHING and kept < most / 2 for kept, most in dice)
            if poor:
                found[loss] = f"{poor} of {len(dice)} runs"
        return found

    @property
    def time_spent(self) -> tuple[StageTime, ...]:
        """Where the time went (`profile.csv`), read when it is asked for, as drawing figures takes time, too."""
        return read_time_spent(self.folder / "profile.csv")

    def locate(self, cell: str) -> Source | None:
        """The files that a cell of a table names, from the study or the data folder on; None where they are gone."""
        places = [self.folder, Path(str(self.setting("data", "folder") or "."))]
        found = (Source.from_text(cell, place) for place in places if cell)
        return next((source for source in found if all(path.is_file() for path in source.paths)), None)

    def run_of(self, loss: str, case: str, seed: int | None = None) -> Run | None:
        """The first run (by seed, then fold) of a loss whose prediction of the case was kept."""
        runs = (run for run in self.runs if run.loss == loss and seed in (None, run.seed))
        return next((run for run in sorted(runs, key=_seed_and_fold) if run.prediction(case).is_file()), None)

    def prediction_of(self, loss: str, case: str, seed: int | None = None) -> Source | None:
        """The predicted mask of a case, of the first run unless a seed is named; None where none was kept."""
        if self.kind == "evaluation":
            return self.locate(self.predictions.get((loss, case), ""))
        run = self.run_of(loss, case, seed)
        return None if run is None else Source((run.prediction(case),))

    def values_of(self, label: int) -> tuple[int, ...]:
        """The masks' values that make up a label: itself, or those of the region of that number."""
        regions = self.setting("data", "regions")
        if not isinstance(regions, Mapping) or not 1 <= label <= len(regions):
            return (label,)
        return tuple(int(value) for value in list(regions.values())[label - 1])

    def name_of(self, label: int) -> str:
        """A label with its name, where one is declared: `label 1 (whole tumour)`."""
        names = self.setting("data", "label_names")
        name = names.get(label) if isinstance(names, Mapping) else None
        return f"label {label} ({name})" if name else f"label {label}"

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The categorical columns of `cases.csv` with their 2 to 8 values, most frequent first."""
        found: dict[str, tuple[str, ...]] = {}
        for column in self.cases.columns:
            if column in KNOWN_CASE_COLUMNS:
                continue
            named = self.cases.loc[self.cases[column] != "", column].value_counts()
            values = sorted(named.index, key=lambda value: (-named[value], value))
            if 2 <= len(values) <= MOST_CATEGORIES:
                found[str(column)] = tuple(values)
        return found

    def values(self, metric: str, label: int) -> pd.DataFrame:
        """Each case's defined values of one metric and label: `loss, case, patient, value`, mean over seeds."""
        chosen = self.scores[(self.scores["metric"] == metric) & (self.scores["label"] == label)]
        grouped = chosen.dropna(subset="value").groupby(["loss", "case", "patient"], sort=True)
        return grouped["value"].mean().reset_index()


def read_study(folder: Path) -> StudyView:
    """Read a study folder.

    Args:
        folder: A folder that `unifocal compare` or `unifocal evaluate` wrote.

    Raises:
        InputError: If `study.yaml`, `cases.csv` or `scores.csv` is missing or cannot be read, or a `predictions.csv`
            that is there cannot; every such problem at once.
    """
    problems: list[Problem] = []
    settings = read_settings(folder / "study.yaml", problems, NO_STUDY)
    cases = read_table(folder / "cases.csv", CASE_COLUMNS, problems)
    scores = read_table(folder / "scores.csv", SCORE_COLUMNS, problems)
    if "value" in scores:
        whole = ("fold", "seed", "label")
        scores = as_numbers(folder / "scores.csv", scores, problems, whole=whole, real=("value",))
    predictions = _read_predictions(folder / "predictions.csv", problems)
    trials = read_tuned(folder / "tuning.csv", problems)
    exits = read_exits(folder / "race.csv", problems)
    raise_if_any(problems)
    runs = [_read_run(record) for record in sorted(folder.glob("runs/*/*/record.json"))]
    losses = _ordered_losses(settings, scores, runs)
    runs.sort(key=lambda run: (losses.index(run.loss), run.fold, run.seed))
    return StudyView(folder, settings, cases, scores, tuple(runs), losses, predictions, trials, exits)


def _seed_and_fold(run: Run) -> tuple[int, int]:
    return run.seed, run.fold


def _read_predictions(path: Path, problems: list[Problem]) -> dict[tuple[str, str], str]:
    if not path.is_file():
        return {}
    table = read_table(path, PREDICTION_COLUMNS, problems)
    return {(row["loss"], row["case"]): row["file"] for row in table.to_dict("records")}


def _read_run(record: Path) -> Run:
    folder = record.parent
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        reason = str(content.get("reason") or "")
        return Run(
            loss=str(content["loss"]),
            fold=int(content["fold"]),
            seed=int(content["seed"]),
            status=str(content["status"]),
            reason=reason,
            best_epoch=None if content.get("best_epoch") is None else int(content["best_epoch"]),
            seconds=None if content.get("seconds") is None else float(content["seconds"]),
            history=_read_history(folder / "history.csv"),
            folder=folder,
            notes=tuple(map(str, content.get("notes") or ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{record.name} cannot be read ({type(error).__name__}: {error})"
        fold, seed = _numbers_in(folder.name)
        return Run(folder.parent.name, fold, seed, "failed", reason, None, None, None, folder)


def _numbers_in(name: str) -> tuple[int, int]:
    """Fold and seed from a folder's name such as `fold-2-seed-0`; -1 where it does not tell."""
    numbers = [int(part) for part in name.split("-") if part.isdigit()]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (-1, -1)


def _read_history(path: Path) -> pd.DataFrame | None:
    try:
        history = pd.read_csv(path)
    except (ValueError, OSError):
        return None
    if "epoch" not in history or not len(history):
        return None
    return pd.DataFrame({name: pd.to_numeric(history[name], errors="coerce") for name in history})


def _ordered_losses(settings: Mapping[str, Any], scores: pd.DataFrame, runs: list[Run]) -> tuple[str, ...]:
    entries = settings.get("losses")
    named = [
        str(entry["label"])
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping) and "label" in entry
    ]
    found = sorted({*map(str, scores["loss"].unique()), *(run.loss for run in runs)})
    return tuple(dict.fromkeys([*named, *found]))
