"""A study's runs in rounds; in a race, who is still in question after each of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unifocal.config.schema import StudyConfig
from unifocal.experiments.folder import RunKey, write_table
from unifocal.problems import Problem, bad_input
from unifocal.statistics.racing import Race
from unifocal.statistics.result import Departure

TABLE = "race.csv"
Cell = tuple[int, int]
"""A fold and a seed."""
Round = tuple[Cell, ...]
Records = Mapping[RunKey, dict[str, Any] | None]

_COLUMNS = (
    *("loss", "left_after_fold", "seed", "against", "difference", "p", "threshold", "patients"),
    *("label", "round", "rounds"),
)
_COUNTS = ["true_positives", "false_negatives"]


def rounds_of(config: StudyConfig, folds: int) -> tuple[Round, ...]:
    """All folds and seeds, in the rounds in which they are trained.

    Without a race there is one round, so that nobody waits for anybody. In a race each fold is one, with all its seeds,
    so that a look sees how much repeated trainings differ; with a single fold each seed is one.
    """
    if not config.race:
        return (tuple((fold, seed) for seed in config.seeds for fold in range(folds)),)
    if folds == 1:
        return tuple(((0, seed),) for seed in config.seeds)
    return tuple(tuple((fold, seed) for seed in config.seeds) for fold in range(folds))


def race_problems(config: StudyConfig, folds: int) -> list[Problem]:
    """What is wrong with a race that is asked for: nothing to leave out, or nobody to leave."""
    if not config.race:
        return []
    problems = []
    if len(config.losses) < 2:
        problems.append(Problem("--race", "has one loss alone", "Name more --losses, or leave --race away."))
    if len(rounds_of(config, folds)) < 2:
        what = "has a single round, one fold with one seed, so that nobody could leave before its end"
        problems.append(Problem("--race", what, "Give more --folds or --seeds, or leave --race away."))
    return problems


class Course:
    """How far a study is: which runs its next round needs.

    In a race that follows from the scores of the rounds before and nothing else, so a study that was killed goes on as
    the undisturbed one does.

    Args:
        config: The study's.
        folds: How many.
    """

    def __init__(self, config: StudyConfig, folds: int) -> None:
        self.config = config
        self.rounds = rounds_of(config, folds)
        self.number = 0
        self.keys: list[RunKey] = []
        self.race = Race(
            [loss.label for loss in config.losses],
            rounds=len(self.rounds),
            metric=config.metric,
            label=config.label,
            error=config.race_error,
            seeds=len(config.seeds),
        )

    @property
    def is_over(self) -> bool:
        """Whether no round is left, or nobody to race against."""
        return self.number >= len(self.rounds) or (self.config.race and self.race.is_decided)

    def wanted(self) -> list[RunKey]:
        """The runs of this round: of every loss that is still in question."""
        return [RunKey(loss, fold, seed) for fold, seed in self.rounds[self.number] for loss in self.race.racing]

    def close(self, records: Records) -> tuple[Departure, ...]:
        """End the round, with its runs; in a race those who are now clearly worse leave.

        Args:
            records: Of every run that ended.

        Returns:
            Those who leave now.
        """
        self.keys += self.wanted()
        self.number += 1
        if not self.config.race or self.number == len(self.rounds):
            return ()
        return self.race.look(_scores(self.config.out, _done(self.keys, records), self.config.metric))

    def write(self) -> None:
        """Write `race.csv`, in a race."""
        if self.config.race:
            rows = [_row(each, self.rounds) for each in self.race.left]
            write_table(self.config.out / TABLE, pd.DataFrame(rows, columns=_COLUMNS))


def replay(course: Course, records: Records) -> None:
    """Go through the rounds of which every run is done; stop at the first that needs one."""
    while not course.is_over and all(records.get(key) is not None for key in course.wanted()):
        course.close(records)


def read_departures(folder: Path) -> tuple[Departure, ...]:
    """Who left a study's race, in the order of leaving; nobody where there is no `race.csv`.

    Raises:
        InputError: If the file is damaged.
    """
    path = folder / TABLE
    if not path.is_file():
        return ()
    try:
        table = pd.read_csv(path, dtype={"loss": str, "against": str}, keep_default_na=False)[[*_COLUMNS]]
        return tuple(
            Departure(
                loss=row["loss"],
                round=int(row["round"]),
                rounds=int(row["rounds"]),
                against=row["against"],
                difference=float(row["difference"]),
                p=float(row["p"]),
                threshold=float(row["threshold"]),
                patients=int(row["patients"]),
                label=int(row["label"]),
            )
            for row in table.to_dict("records")
        )
    except (OSError, ValueError, KeyError):
        raise bad_input(str(path), "is damaged", "Run the study's command again; it writes the file anew.") from None


def _done(keys: Sequence[RunKey], records: Records) -> list[RunKey]:
    known = ((key, records.get(key)) for key in keys)
    return [key for key, record in known if record is not None and record["status"] == "done"]


def _scores(out: Path, keys: Sequence[RunKey], metric: str) -> pd.DataFrame:
    """What a look needs of the runs' scores."""
    text = dict.fromkeys(("loss", "case", "patient", "metric", "unit"), str)
    parts = []
    for key in keys:
        part = pd.read_csv(out / key.place / "scores.csv", dtype=text, keep_default_na=False, na_values={"value": [""]})
        parts.append(part[part["metric"].isin([metric, *_COUNTS])])
    columns = ["loss", "fold", "seed", "case", "patient", "label", "metric", "value", "unit"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _row(departure: Departure, rounds: Sequence[Round]) -> tuple[object, ...]:
    fold, seed = rounds[departure.round][-1]
    return (
        *(departure.loss, fold, seed, departure.against, departure.difference, departure.p, departure.threshold),
        *(departure.patients, departure.label, departure.round, departure.rounds),
    )
