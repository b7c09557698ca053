"""The study folder: what is where, whose study it is, and files that appear complete or not at all."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from filelock import FileLock, Timeout

from unifocal.data.case import Case
from unifocal.metrics import Score
from unifocal.problems import InputError, Problem, bad_input

WEIGHTS = "model.safetensors"
LATER_KEYS = frozenset({"cases_hash", "regions", "label"})
"""Of an identity, what earlier versions did not write: a study that lacks them may be continued."""
SCORE_COLUMNS = ("loss", "fold", "seed", "case", "patient", "label", "metric", "value", "unit", "reason")


@dataclass(frozen=True)
class RunKey:
    """One run of a study: a loss on a fold with a seed."""

    loss: str
    fold: int
    seed: int

    @property
    def place(self) -> Path:
        """The run's folder inside the study folder."""
        return Path("runs") / slug(self.loss) / f"fold-{self.fold}-seed-{self.seed}"

    def __str__(self) -> str:
        return f"{self.loss}, fold {self.fold}, seed {self.seed}"


def slug(label: str) -> str:
    """A loss's label as a folder name."""
    return re.sub(r"[^A-Za-z0-9_.=-]+", "_", label).strip("_")


def score_rows(loss: str, fold: int, seed: int, case: Case, scores: Sequence[Score]) -> list[dict[str, Any]]:
    """One case's scores as rows of `scores.csv`."""
    known = {"loss": loss, "fold": fold, "seed": seed, "case": case.name, "patient": case.patient}
    return [known | asdict(score) for score in scores]


def write_text(path: Path, text: str) -> None:
    """Write a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError:  # a full disk needs the room more than half a file
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """Write a long file in one step, a piece at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        file.writelines(pieces)
    partial.replace(path)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV in one step; undefined values are empty."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON in one step."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Write YAML in one step, keys in the given order."""
    write_text(path, yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=110))


def read_settings(folder: Path) -> dict[str, Any] | None:
    """A folder's `study.yaml`; None where there is none that can be read."""
    try:
        settings = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return None
    return settings if isinstance(settings, dict) else None


def read_record(folder: Path) -> dict[str, Any] | None:
    """A run's `record.json`; None while the run is unfinished."""
    try:
        record: dict[str, Any] = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def read_run(folder: Path) -> dict[str, Any] | None:
    """The record of a run that ended; None where it is unfinished or something of it is gone."""
    record = read_record(folder)
    if record is None or not {"loss", "fold", "seed", "status", "reason"} <= record.keys():
        return None
    kept = ("scores.csv", WEIGHTS) if record.get("keeps_all", True) else ("scores.csv",)
    complete = all((folder / name).is_file() for name in kept)
    return record if complete or record["status"] != "done" else None


def lock_study(folder: Path) -> FileLock:
    """Hold the study folder for this process.

    Raises:
        InputError: If another process is writing to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=5)
    except Timeout:
        raise bad_input(
            str(folder), "another unifocal process is writing to this folder", "Wait for it, or choose another --out."
        ) from None
    return lock


def check_out(folder: Path, marker: str, *, allowed: Sequence[str] = ()) -> None:
    """Refuse a folder that holds something else.

    Args:
        folder: Where results are to go.
        marker: The file that shows that the folder is one of ours, for instance `study.yaml`.
        allowed: What may be in it without the marker.

    Raises:
        InputError: If it is a file, or a folder with other things in it and without the marker.
    """
    if folder.is_file():
        raise bad_input(str(folder), "is a file", "Choose another --out.")
    if folder.is_dir() and not (folder / marker).is_file():
        known = {*allowed, f"{marker}.partial"}  # whoever is killed leaves half of its first file
        strangers = sorted(
            path.name for path in folder.iterdir() if not path.name.startswith(".") and path.name not in known
        )
        if strangers:
            named = ", ".join(strangers[:3]) + (" ..." if len(strangers) > 3 else "")
            raise bad_input(str(folder), f"is not empty and holds no {marker} ({named})", "Choose another --out.")


def refuse_other_study(folder: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """Compare a study with what the folder already holds.

    Args:
        folder: The study folder.
        identity: What makes a study that study: nested plain values.

    Returns:
        The folder's `study.yaml`, or None where there is none yet.

    Raises:
        InputError: If the folder holds a study that differs, with every differing key.
    """
    path = folder / "study.yaml"
    if not path.is_file():
        return None
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        before = settings["identity"]
    except (yaml.YAMLError, KeyError, TypeError):
        raise bad_input(str(path), "cannot be read as a study", "Choose another --out, or remove the folder.") from None
    old, new = _flatten(before), _flatten(identity)
    unknown = LATER_KEYS - old.keys()
    differing = [key for key in sorted((old.keys() | new.keys()) - unknown) if old.get(key) != new.get(key)]
    if differing:
        raise InputError(
            [
                Problem(
                    f"{folder}: {key}",
                    f"is {old.get(key, 'not set')} in this folder's study, but {new.get(key, 'not set')} is asked for",
                    "Choose another --out, or give the same settings to continue that study.",
                )
                for key in differing
            ]
        )
    found: dict[str, Any] = settings
    return found


def installed_version(name: str) -> str:
    """The version of a library, for the record."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _flatten(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, Mapping):
        return {prefix: list(values) if isinstance(values, tuple) else values}  # YAML gives lists back
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
