"""Study folders in any state, made without training."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from unifocal.experiments.folder import RunKey

HEADER = "epoch,train_loss,validation_loss,validation_dice,learning_rate,seconds\n"
LONG_AGO = 86_400


def make_study(
    folder: Path, losses: Sequence[str] = ("bce", "focal(gamma=3)"), folds: int = 2, **config: object
) -> Path:
    folder.mkdir(parents=True)
    settings = {
        "losses": [{"name": loss.partition("(")[0], "label": loss} for loss in losses],
        "split": {"folds": [{} for _ in range(folds)]},
        "config": {"seeds": [0], "training": {"epochs": 10}, "jobs": 0} | config,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(settings))
    return folder


def train(folder: Path, dice: Sequence[float | str], *, seconds: float = 2.0, ago: float = LONG_AGO) -> Path:
    """A run's epochs."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{epoch},0.5,0.4,{value},0.001,{seconds}\n" for epoch, value in enumerate(dice)]
    (folder / "history.csv").write_text(HEADER + "".join(rows))
    os.utime(folder / "history.csv", (time.time() - ago,) * 2)
    return folder


def end(folder: Path, key: RunKey, **record: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    known = {"loss": key.loss, "fold": key.fold, "seed": key.seed, "status": "done", "reason": ""}
    (folder / "record.json").write_text(json.dumps(known | record))
    for name in ("scores.csv", "model.safetensors"):
        (folder / name).touch()


def place(study: Path, loss: str, fold: int) -> Path:
    return study / RunKey(loss, fold, 0).place


def make_mixed_study(folder: Path) -> Path:
    """One run done, one failed, one stopped, one waiting."""
    make_study(folder)
    end(train(place(folder, "bce", 0), [0.2, 0.6, 0.5]), RunKey("bce", 0, 0), wall_seconds=10.0)
    end(place(folder, "focal(gamma=3)", 0), RunKey("focal(gamma=3)", 0, 0), status="failed", reason="the loss is nan")
    train(place(folder, "bce", 1), [0.3, 0.4])
    return folder


def trial_record(folder: Path, status: str = "done", reason: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    record = {"trial": 0, "status": status, "values": {}, "objective": {}, "folds": [], "reason": reason}
    (folder / "record.json").write_text(json.dumps(record))
