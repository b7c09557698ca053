"""What an evaluation folder says of itself: `study.yaml`, `cases.csv`, `predictions.csv`."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unifocal import __version__
from unifocal.config.verbs import EvaluateConfig
from unifocal.data.coding import MaskCoding
from unifocal.experiments.evaluation_case import Scoring, Seen
from unifocal.experiments.evaluation_inputs import Inputs
from unifocal.experiments.folder import installed_version, read_settings, write_yaml
from unifocal.problems import Problem

LIBRARIES = ("numpy", "scipy", "pandas", "pillow", "nibabel", "simpleitk")


@dataclass(frozen=True)
class Evaluated:
    """An evaluation whose masks are scored.

    Attributes:
        config: What was asked for.
        inputs: The cases and their files.
        seen: What the files hold, in the order of the cases.
        scoring: How they were scored.
        warnings: What was odd.
    """

    config: EvaluateConfig
    inputs: Inputs
    seen: Sequence[Seen]
    scoring: Scoring
    warnings: tuple[Problem, ...]


def describe(evaluated: Evaluated, command: str) -> dict[str, Any]:
    """All of `study.yaml`, in its order."""
    config, scoring, cases = evaluated.config, evaluated.scoring, evaluated.inputs.dataset.cases
    return {
        "kind": "evaluation",
        "unifocal": __version__,
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: installed_version(name) for name in LIBRARIES},
        "data": {
            "name": config.truth.resolve().name,
            "folder": str(config.truth),
            "cases": len(cases),
            "patients": len({case.patient for case in cases}),
            "patients_known": evaluated.inputs.dataset.patients_known,
            "labels": list(scoring.labels),
            "spacing_known": all(each.spacing_mm is not None for each in evaluated.seen),
            "axes": len(evaluated.seen[0].shape or ()),
            "foreground_percent": round(float(np.mean([_foreground(evaluated, each) for each in evaluated.seen])), 4),
        }
        | _coding(scoring.truth),
        "predictions": {
            name: {"folder": str(folder)}
            | _coding(scoring.predictions[name])
            | {"missing": list(evaluated.inputs.missing[name])}
            for name, folder in config.predictions.items()
        },
        "config": config.model_dump(mode="json"),
        "losses": [{"label": name} for name in config.predictions],
        "warnings": [str(problem) for problem in evaluated.warnings],
    }


def write_settings(out: Path, settings: dict[str, Any]) -> None:
    """Write `study.yaml`; the same evaluation again keeps the date and the command of the first."""
    earlier = read_settings(out) or {}
    kept = ("command", "created")
    if _without(earlier, kept) == _without(settings, kept) and all(key in earlier for key in kept):
        settings = settings | {key: earlier[key] for key in kept}
    write_yaml(out / "study.yaml", settings)


def cases_table(evaluated: Evaluated) -> pd.DataFrame:
    """All of `cases.csv`: one row per case."""
    rows = []
    for case, each in zip(evaluated.inputs.dataset.cases, evaluated.seen, strict=True):
        image = evaluated.inputs.images.get(case.name)
        known: dict[str, Any] = {
            "case": case.name,
            "patient": case.patient,
            "image": image.as_text() if image else "",
            "mask": case.image.as_text(),
            "foreground_percent": round(_foreground(evaluated, each), 4),
            "spacing_mm": "x".join(f"{step:.6g}" for step in each.spacing_mm or ()),
        }
        rows.append(known | {key: value for key, value in case.attributes.items() if key not in known})
    return pd.DataFrame(rows)


def predictions_table(evaluated: Evaluated) -> pd.DataFrame:
    """All of `predictions.csv`: where each prediction is; no file where it is missing and counts as empty."""
    rows = [
        (name, case.name, case.other_masks[name].as_text() if name in case.other_masks else "")
        for name in evaluated.config.predictions
        for case in evaluated.inputs.dataset.cases
    ]
    return pd.DataFrame(rows, columns=["loss", "case", "file"])


def _foreground(evaluated: Evaluated, each: Seen) -> float:
    """The share of a true mask that any scored label has, in percent."""
    counts = each.truth or {}
    coding, labels = evaluated.scoring.truth, set(evaluated.scoring.labels)
    inside = sum(number for value, number in counts.items() if coding.label(value) in labels)
    return 100 * inside / int(np.prod(each.shape or (1,)))


def _coding(coding: MaskCoding) -> dict[str, Any]:
    return {
        "black_and_white": coding.is_black_and_white,
        "mask_threshold": coding.threshold,
        "kept_values": None if coding.keep is None else list(coding.keep),
    }


def _without(settings: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in keys}
