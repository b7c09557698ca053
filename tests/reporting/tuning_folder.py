"""Tuning folders, and what tuning and a race leave in a study's folder; the numbers are drawn at random."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

Values = dict[str, Any]
SPACE = (
    {"name": "gamma", "kind": "float", "low": 0.1, "high": 0.9, "step": None, "log": False, "choices": [],
     "default": 0.5},
    {"name": "learning_rate", "kind": "float", "low": 1e-4, "high": 1e-2, "step": None, "log": True, "choices": [],
     "default": 1e-3},
    {"name": "augmentation", "kind": "choice", "low": None, "high": None, "step": None, "log": False,
     "choices": ["none", "standard"], "default": "standard"},
)  # fmt: skip
OUT_OF_MEMORY = "MemoryError: 3 GiB <asked> & refused"


@dataclass(frozen=True)
class Search:
    """What a tuning folder should look like.

    Attributes:
        trials: How many.
        objectives: Their metrics.
        search: As in the settings.
        failed: The numbers of the trials that failed.
        stopped: Of those that were stopped.
        name: Of the data.
        space: What was searched.
        patients: In the inner folds; 0: no inner scores are left.
    """

    trials: int = 14
    objectives: tuple[str, ...] = ("dice",)
    search: str = "optuna"
    failed: tuple[int, ...] = (3,)
    stopped: tuple[int, ...] = (5, 8)
    name: str = "Synthetic lesions"
    space: tuple[Values, ...] = SPACE
    patients: int = 0


def write_search(folder: Path, wish: Search = Search()) -> pd.DataFrame:
    """A tuning folder; returns what `trials.csv` holds."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    rows = [_trial(number, wish, rng, folder) for number in range(wish.trials)]
    table = pd.DataFrame(rows)
    done = table[table["status"] == "done"]
    if len(done):
        table.loc[done[wish.objectives[0]].idxmax(), "best"] = True
        rows = table.to_dict("records")
        table["pareto"] = [row["status"] == "done" and _is_on_front(row, done, wish) for row in rows]
    table.to_csv(folder / "trials.csv", index=False)
    names = [dimension["name"] for dimension in wish.space]
    importance = pd.DataFrame({"dimension": names, "importance": [0.7, 0.2, 0.1][: len(names)], "method": "fANOVA"})
    importance.to_csv(folder / "importance.csv", index=False)
    (folder / "study.yaml").write_text(yaml.safe_dump(_settings(wish), sort_keys=False), encoding="utf-8")
    (folder / "best.yaml").write_text("loss:\n  name: focal\n  parameters: {gamma: 0.3}\n", encoding="utf-8")
    return table


def _is_on_front(row: Values, done: pd.DataFrame, wish: Search) -> bool:
    signs = [-1 if metric == "hd95" else 1 for metric in wish.objectives]
    own = np.array([sign * row[metric] for sign, metric in zip(signs, wish.objectives, strict=True)])
    others = done[list(wish.objectives)].to_numpy() * signs
    return not bool(((others >= own).all(axis=1) & (others > own).any(axis=1)).any())


def _value_of(dimension: Values, number: int, wish: Search, rng: np.random.Generator) -> Any:
    if number == 0:
        return dimension["default"]
    if dimension["choices"]:
        return dimension["choices"][int(rng.integers(len(dimension["choices"])))]
    low, high = dimension["low"], dimension["high"]
    if wish.search == "grid":
        return round(low + (number - 1) * dimension["step"], 10)
    if dimension["log"]:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return float(rng.uniform(low, high))


def _trial(number: int, wish: Search, rng: np.random.Generator, folder: Path) -> Values:
    values = {dimension["name"]: _value_of(dimension, number, wish, rng) for dimension in wish.space}
    quality = 0.72 - 0.4 * (float(values.get("gamma", 0.5)) - 0.3) ** 2
    quality -= 0.02 * abs(np.log10(float(values.get("learning_rate", 1e-3))) + 2.7)
    status = "failed" if number in wish.failed else "stopped" if number in wish.stopped else "done"
    if wish.patients:
        per_patient = np.clip(quality + rng.normal(0, 0.08, wish.patients), 0, 1)
        _write_inner(folder / "trials" / f"trial-{number}", per_patient)
        quality = float(per_patient.mean())
    else:
        quality += float(rng.normal(0, 0.008))
    given = {"dice": round(quality, 9), "hd95": 14 - 9 * values.get("gamma", 0.5)}
    objectives = {metric: given[metric] if status == "done" else np.nan for metric in wish.objectives}
    return {
        "trial": number, "status": status, **values, **objectives, "pareto": False, "best": False,
        "epochs_trained": 36, "seconds": 61.5 + number, "reason": OUT_OF_MEMORY if status == "failed" else "",
    }  # fmt: skip


def _write_inner(folder: Path, per_patient: Sequence[float]) -> None:
    """Two images per patient on three inner folds; their mean is the patient's value."""
    for fold in range(3):
        rows = [
            {"loss": "focal", "fold": fold, "seed": 0, "case": f"{patient}-{image}", "patient": f"P{patient:02d}",
             "label": 1, "metric": "dice", "value": value + (0.01 if image else -0.01), "unit": "", "reason": ""}
            for patient, value in enumerate(per_patient) if patient % 3 == fold for image in (0, 1)
        ]  # fmt: skip
        place = folder / "runs" / "focal" / f"fold-{fold}-seed-0"
        place.mkdir(parents=True)
        pd.DataFrame(rows).to_csv(place / "scores.csv", index=False)


def _settings(wish: Search) -> Values:
    tuning = {"trials": wish.trials, "search": wish.search, "objective": list(wish.objectives), "inner_folds": 3,
              "seed": 0, "scheduler": "asha" if wish.stopped else "none"}  # fmt: skip
    return {
        "unifocal": "0.1.0", "kind": "tuning", "command": "unifocal tune --loss focal --out tuned",
        "created": "2025-03-01T12:00:00", "versions": {"python": "3.11.9"},
        "data": {"name": wish.name, "cases": 24, "patients": 12},
        "config": {"loss": {"name": "unified_focal", "parameters": {}}, "tuning": tuning, "test_fold": None, "jobs": 2},
        "tuning": {"stops_early": bool(wish.stopped), "inner_folds": 3, "test_fold": None, "left_out": []},
        "space": [dict(dimension) for dimension in wish.space],
    }  # fmt: skip


SWEEP = Search(
    trials=10,
    search="grid",
    failed=(),
    stopped=(),
    patients=12,
    space=({**SPACE[0], "step": 0.1},),
)


def write_nested(folder: Path, losses: Sequence[str], folds: int, trials: int = 4) -> pd.DataFrame:
    """`tuning.csv` in a study's folder: every loss and fold has a failed trial, and trial 2 is the best."""
    rng = np.random.default_rng(9)
    rows = []
    for loss in losses:
        for fold in range(folds):
            for trial in range(trials):
                status = "failed" if trial == 1 else "done"
                values = {"gamma": round(0.5 + 0.1 * trial + 0.01 * fold, 3), "augmentation": "none"}
                dice = np.nan if trial == 1 else 0.6 + (0.05 + 0.01 * fold) * (trial == 2) + float(rng.normal(0, 0.002))
                rows.append({"loss": loss, "fold": fold, "trial": trial, "status": status, "values": json.dumps(values),
                             "dice": dice, "chosen": trial == 2, "default": trial == 0, "epochs": 12, "seconds": 3.5,
                             "reason": OUT_OF_MEMORY if trial == 1 else ""})  # fmt: skip
    table = pd.DataFrame(rows)
    table.to_csv(folder / "tuning.csv", index=False)
    return table


def write_race(folder: Path, exits: Sequence[tuple[str, int, str]], rounds: int) -> None:
    """`race.csv` in a study's folder: who left, after which round (from 0), against whom."""
    rows = [
        {"loss": loss, "left_after_fold": last, "seed": 0, "against": against, "difference": -0.0812, "p": 0.0004,
         "threshold": 0.0031, "patients": 4 * (last + 1), "round": last, "rounds": rounds}
        for loss, last, against in exits
    ]  # fmt: skip
    columns = [
        "loss",
        "left_after_fold",
        "seed",
        "against",
        "difference",
        "p",
        "threshold",
        "patients",
        "round",
        "rounds",
    ]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "race.csv", index=False)
