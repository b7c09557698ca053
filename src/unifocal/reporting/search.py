"""A tuning folder, read into plain tables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from unifocal.problems import Problem, raise_if_any
from unifocal.reporting.reading import as_numbers, as_truth, read_settings, read_table
from unifocal.reporting.tuned import said

COLUMNS = ("trial", "status", "pareto", "best", "seconds", "reason")
IMPORTANCE_COLUMNS = ("dimension", "importance", "method")
REMEDY = "Give the folder that `unifocal tune` wrote, or run that command again; it continues where it stopped"


@dataclass(frozen=True)
class Dimension:
    """One setting that was searched.

    Attributes:
        name: Its name.
        low: The lowest value; None where there are choices.
        high: The highest.
        step: Between values; None where any value between was possible.
        log: Whether it was searched by factors.
        choices: All values, where they are no range.
        default: As given.
    """

    name: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()
    default: Any = None

    @property
    def range(self) -> str:
        """What could be chosen, in print."""
        if self.choices:
            return ", ".join(map(said, self.choices))
        steps = f", steps of {said(self.step)}" if self.step else ""
        return f"{said(self.low)} to {said(self.high)}{', by factors' if self.log else steps}"


@dataclass(frozen=True)
class TuningView:
    """What a tuning folder says.

    Attributes:
        folder: The folder.
        settings: `study.yaml`; any key may be absent.
        space: What was searched.
        objectives: The metrics by which trials were judged, the first first.
        trials: `trials.csv`: `trial, status, reason, pareto, best, seconds`, a column of text per dimension, and one
            of numbers per objective.
        importance: `importance.csv`: `dimension, importance, method`.
        best: The text of `best.yaml`; empty where there is none.
        patients: Each patient's mean in the inner runs: `trial, metric, fold, patient, value`; of a sweep alone, and
            empty where the inner runs' scores are gone.
    """

    folder: Path
    settings: Mapping[str, Any]
    space: tuple[Dimension, ...]
    objectives: tuple[str, ...]
    trials: pd.DataFrame
    importance: pd.DataFrame
    best: str = ""
    patients: pd.DataFrame = field(default_factory=pd.DataFrame)

    def setting(self, *keys: str) -> Any:
        """The value under nested keys of `study.yaml`; None where any of them is absent."""
        value: Any = self.settings
        for key in keys:
            if not isinstance(value, Mapping):
                return None
            value = value.get(key)
        return value

    @property
    def loss(self) -> str:
        """The loss that was tuned, as it was given."""
        name, given = self.setting("config", "loss", "name"), self.setting("config", "loss", "parameters")
        written = ", ".join(f"{key}={said(value)}" for key, value in (given or {}).items())
        return f"{name}({written})" if name and written else str(name or "the loss")

    @property
    def done(self) -> pd.DataFrame:
        """The trials with a value of the first objective that went through to their end."""
        return self.trials[(self.trials["status"] == "done") & self.trials[self.objectives[0]].notna()]

    @property
    def given(self) -> pd.DataFrame:
        """Trial 0, the settings as given; no row where it has no value."""
        return self.done[self.done["trial"] == 0]

    @property
    def chosen(self) -> pd.DataFrame:
        """The trial that was chosen; no row where none was."""
        return self.trials[self.trials["best"]]

    @property
    def is_sweep(self) -> bool:
        """Whether one number was tried at given values, everything else the same."""
        return (
            len(self.space) == 1 and not self.space[0].choices and self.setting("config", "tuning", "search") == "grid"
        )

    def values(self, name: str) -> pd.Series:
        """A dimension's values as numbers, by the trials' rows; NaN where it is none."""
        return pd.to_numeric(self.trials[name], errors="coerce").astype(float)


def read_search(folder: Path) -> TuningView:
    """Read a tuning folder.

    Args:
        folder: A folder that `unifocal tune` wrote.

    Raises:
        InputError: If `study.yaml` or `trials.csv` is missing or cannot be read, or an `importance.csv` that is there
            cannot; every such problem at once.
    """
    problems: list[Problem] = []
    settings = read_settings(folder / "study.yaml", problems, REMEDY)
    space = _space_in(settings)
    objectives = _objectives_in(settings)
    if settings and not objectives:
        what = "does not say by which objective trials were judged"
        problems.append(Problem(str(folder / "study.yaml"), what, REMEDY))
    path = folder / "trials.csv"
    trials = read_table(path, [*COLUMNS, *(each.name for each in space), *objectives], problems, REMEDY)
    if len(trials.columns):
        trials = as_numbers(path, trials, problems, whole=("trial",), real=(*objectives, "seconds"))
        trials = trials.assign(pareto=as_truth(trials["pareto"]), best=as_truth(trials["best"]))
        trials = trials.sort_values("trial", kind="stable").reset_index(drop=True)
    importance = _importance_in(folder / "importance.csv", problems)
    raise_if_any(problems)
    best = folder / "best.yaml"
    text = best.read_text(encoding="utf-8", errors="replace") if best.is_file() else ""
    view = TuningView(folder, settings, space, objectives, trials, importance, text)
    return replace(view, patients=_patients_in(folder, objectives)) if view.is_sweep else view


def _space_in(settings: Mapping[str, Any]) -> tuple[Dimension, ...]:
    entries = settings.get("space")
    return tuple(
        Dimension(
            name=str(entry["name"]),
            low=entry.get("low"),
            high=entry.get("high"),
            step=entry.get("step"),
            log=bool(entry.get("log")),
            choices=tuple(entry.get("choices") or ()),
            default=entry.get("default"),
        )
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping) and "name" in entry
    )


def _objectives_in(settings: Mapping[str, Any]) -> tuple[str, ...]:
    config = settings.get("config")
    tuning = config.get("tuning") if isinstance(config, Mapping) else None
    named = tuning.get("objective") if isinstance(tuning, Mapping) else None
    return tuple(map(str, named)) if isinstance(named, list) else ()


def _importance_in(path: Path, problems: list[Problem]) -> pd.DataFrame:
    if not path.is_file():
        return pd.DataFrame(columns=list(IMPORTANCE_COLUMNS))
    known = len(problems)
    table = read_table(path, IMPORTANCE_COLUMNS, problems, REMEDY)
    if len(problems) > known:
        return table
    return as_numbers(path, table, problems, real=("importance",))


def _patients_in(folder: Path, objectives: tuple[str, ...]) -> pd.DataFrame:
    """What the inner runs scored; a run whose scores cannot be read is left out, for the trial's mean is known."""
    found = []
    columns, text = ["fold", "patient", "label", "metric", "value"], {"patient": str, "metric": str}
    for path in sorted(folder.glob("**/trial-*/**/scores.csv")):
        named = re.search(r"trial-(\d+)", path.relative_to(folder).as_posix())
        try:
            table = pd.read_csv(path, usecols=columns, dtype=text, keep_default_na=False, na_values={"value": [""]})
        except (ValueError, OSError):
            continue
        wanted = table[table["metric"].isin(objectives)]
        found.append(wanted.assign(trial=int(named.group(1)) if named else -1))
    if not found:
        return pd.DataFrame()
    keys = ["trial", "metric", "fold", "patient"]
    labels = pd.concat(found).groupby([*keys, "label"], sort=True)["value"].mean()
    return labels.groupby(keys, sort=True).mean().reset_index()
