"""Which runs and trials a folder is to hold, as its `study.yaml` says."""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unifocal.experiments.folder import RunKey, slug


@dataclass(frozen=True)
class Trial:
    """One trial of a search; in nested tuning of a fold's."""

    loss: str
    fold: int | None
    number: int

    def __str__(self) -> str:
        fold = "" if self.fold is None else f"fold {self.fold}, "
        return f"{self.loss}, {fold}trial {self.number}"


@dataclass(frozen=True)
class Plan:
    """What is to be done in a folder.

    Attributes:
        folder: Where.
        kind: `study`, `training` or `tuning`.
        losses: The losses' labels.
        folds: How many.
        seeds: The seeds.
        epochs: The most of one run.
        trials_each: Of each search; 0 without tuning.
        inner_folds: Runs of one trial.
    """

    folder: Path
    kind: str
    losses: tuple[str, ...]
    folds: int = 0
    seeds: tuple[int, ...] = ()
    epochs: int = 0
    trials_each: int = 0
    inner_folds: int = 1

    def runs(self) -> list[RunKey]:
        """All runs of a study, in their order."""
        return [RunKey(loss, fold, seed) for seed in self.seeds for fold in range(self.folds) for loss in self.losses]

    def trials(self) -> list[tuple[Path, Trial]]:
        """Every trial's folder."""
        found: list[tuple[Path, Trial]] = []
        for base, loss, fold in self._searches():
            numbers = {int(name) for path in base.glob("trial-*") if (name := path.name[6:]).isdigit()}
            numbers |= set(range(self.trials_each))
            found += [(base / f"trial-{number}", Trial(loss, fold, number)) for number in sorted(numbers)]
        return found

    def search_is_over(self, loss: str, fold: int | None) -> bool:
        """Whether a search chose already, so that trials which were not begun will not be."""
        if fold is None:
            return (self.folder / "best.yaml").is_file()
        runs = self.folder / "runs" / slug(loss)
        return any(runs.glob(f"fold-{fold}-seed-*/history.csv"))

    def departed(self) -> dict[str, str]:
        """Of each loss that left the race, when."""
        return {
            row["loss"]: f"left the race after fold {row.get('left_after_fold', '?')}"
            for row in _rows(self.folder / "race.csv")
            if row.get("loss") and row.get("left_after_fold")
        }

    def decided_after(self) -> int | None:
        """The round of a race after which one loss alone was left; None where several race, or nobody does."""
        left = [row for row in _rows(self.folder / "race.csv") if row.get("loss") in self.losses]
        if len(self.losses) - len(left) > 1:
            return None
        try:
            rounds = [self.round_of(int(row["left_after_fold"]), int(row["seed"])) for row in left]
        except (KeyError, ValueError, TypeError):
            return None
        return max(rounds, default=None)

    def round_of(self, fold: int, seed: int) -> int:
        """Of a race: each fold is one; with a single fold, each seed."""
        return fold if self.folds > 1 else self.seeds.index(seed)

    def tuned_epochs(self) -> dict[tuple[str, int], int]:
        """Epochs of a loss's runs on a fold, where tuning chose them."""
        chosen: dict[tuple[str, int], int] = {}
        for row in _rows(self.folder / "tuning.csv"):
            try:
                if str(row["chosen"]).lower() == "true":
                    chosen[row["loss"], int(row["fold"])] = int(json.loads(row["values"])["epochs"])
            except (KeyError, ValueError, TypeError):
                continue
        return chosen

    def _searches(self) -> list[tuple[Path, str, int | None]]:
        if self.kind == "tuning":
            return [(self.folder / "trials", self.losses[0], None)]
        if not self.trials_each:
            return []
        tuning = self.folder / "tuning"
        return [
            (tuning / slug(loss) / f"fold-{fold}", loss, fold) for fold in range(self.folds) for loss in self.losses
        ]


def plan_of(folder: Path, settings: Mapping[str, Any]) -> Plan | None:
    """The plan that a `study.yaml` tells of; None where it tells of no training.

    Args:
        folder: Where it is.
        settings: Its content; what an older version did not write is found from the folders of runs.
    """
    kind = settings.get("kind", "study" if "losses" in settings else "training")
    config = _mapping(settings.get("config"))
    tuning = _mapping(config.get("tuning"))
    epochs = _whole(_mapping(config.get("training", settings.get("training"))).get("epochs"))
    trials, inner = _whole(tuning.get("trials")), _whole(tuning.get("inner_folds")) or 1
    if kind == "study":
        labels = [str(loss["label"]) for loss in settings["losses"] if isinstance(loss, dict) and "label" in loss]
        folds, seeds = _mapping(settings.get("split")).get("folds"), config.get("seeds")
        if labels and isinstance(folds, list) and isinstance(seeds, list):
            return Plan(folder, kind, tuple(labels), len(folds), tuple(map(int, seeds)), epochs, trials, inner)
        return _found(folder, epochs)
    label = _label(config.get("loss") or _mapping(settings.get("identity")).get("loss"))
    if kind in ("training", "tuning") and (kind == "tuning" or "training" in settings):
        return Plan(folder, kind, (label,), epochs=epochs, trials_each=trials, inner_folds=inner)
    return None


def _found(folder: Path, epochs: int) -> Plan | None:
    places = [re.fullmatch(r"fold-(\d+)-seed-(\d+)", path.name) for path in folder.glob("runs/*/fold-*-seed-*")]
    known = [(int(match[1]), int(match[2])) for match in places if match]
    if not known:
        return None
    losses = tuple(sorted(path.name for path in (folder / "runs").iterdir() if path.is_dir()))
    seeds = tuple(sorted({seed for _, seed in known}))
    return Plan(folder, "study", losses, 1 + max(fold for fold, _ in known), seeds, epochs)


def _label(loss: Any) -> str:
    if isinstance(loss, dict):
        inside = ", ".join(f"{key}={value}" for key, value in _mapping(loss.get("parameters")).items())
        name = str(loss.get("name", ""))
        return f"{name}({inside})" if inside else name
    return str(loss or "the network")


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
