"""A synthetic evaluation folder: volumes as NIfTI files, two methods, two labels, some cases without a lesion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from unifocal.metrics import score_case
from unifocal.statistics import Analysis, analyse

Array = NDArray[Any]
METHODS = ("nnU-Net", "<b>mine</b>")
SHAPE = (14, 40, 48)
SPACING = (4.0, 1.0, 0.5)


@dataclass(frozen=True)
class Evaluation:
    """A written evaluation folder with the arrays in it, (slices, rows, columns)."""

    folder: Path
    analysis: Analysis
    images: dict[str, Array]
    truths: dict[str, Array]
    predictions: dict[tuple[str, str], Array]


def write_volume(path: Path, array: Array, spacing: Sequence[float] = SPACING) -> None:
    """Slices grow towards the head, rows towards the front, columns towards the patient's right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*spacing[::-1], 1.0])
    nibabel.save(nibabel.Nifti1Image(array.transpose(2, 1, 0), affine), path)  # type: ignore[no-untyped-call]


def blob(centre: Sequence[float], radius: float) -> Array:
    """A ball in millimetres."""
    axes = np.meshgrid(*(np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij")
    away = sum((axis - n * s * c) ** 2 for axis, n, s, c in zip(axes, SHAPE, SPACING, centre, strict=True))
    return np.asarray(away < radius**2)


def write_evaluation(folder: Path, patients: int = 6, *, has_images: bool = True) -> Evaluation:
    """Write an evaluation of volumes; the last patient has no lesion, but one method finds one."""
    rng = np.random.default_rng(3)
    images: dict[str, Array] = {}
    truths: dict[str, Array] = {}
    predictions: dict[tuple[str, str], Array] = {}
    cases, rows, files = [], [], []
    for number in range(patients):
        case, patient = f"scan-{number}", f"P{number}"
        centre, radius = rng.uniform(0.35, 0.65, 3), rng.uniform(6, 9)
        is_empty = number == patients - 1
        outer, inner = blob(centre, radius), blob(centre, radius / 2)
        truth = np.zeros(SHAPE, np.uint8) if is_empty else np.where(inner, 2, outer).astype(np.uint8)
        noise = gaussian_filter(rng.normal(0, 40, SHAPE), 1)
        images[case], truths[case] = (100 + 80 * outer + noise).astype(np.float32), truth
        write_volume(folder / "data" / "images" / f"{case}.nii.gz", images[case])
        write_volume(folder / "data" / "truth" / f"{case}.nii.gz", truth)
        cases.append(
            {
                "case": case,
                "patient": patient,
                "image": f"images/{case}.nii.gz" if has_images else "",
                "mask": f"truth/{case}.nii.gz",
                "site": "AB"[number % 2],
            }
        )
        for position, method in enumerate(METHODS):
            moved = blob(centre + np.array([0.06 * position, 0.05, 0.03]), radius * (1 + 0.1 * position))
            found = np.where(moved & inner, 2, moved).astype(np.uint8) * np.uint8(not is_empty or position == 0)
            predictions[method, case] = found
            file = folder / "data" / f"method-{position}" / f"{case}.nii.gz"
            write_volume(file, found)
            files.append({"loss": method, "case": case, "file": str(file.resolve())})
            known = {"loss": method, "fold": 0, "seed": 0, "case": case, "patient": patient}
            scores = score_case(truth, found, spacing_mm=SPACING, labels=[1, 2])
            rows += [
                known | {name: getattr(score, name) for name in ("label", "metric", "value", "unit", "reason")}
                for score in scores
            ]
    scores = pd.DataFrame(rows)
    pd.DataFrame(cases).to_csv(folder / "cases.csv", index=False)
    pd.DataFrame(files).to_csv(folder / "predictions.csv", index=False)
    scores.to_csv(folder / "scores.csv", index=False)
    (folder / "study.yaml").write_text(yaml.safe_dump(_settings(folder, patients)))
    analysis = analyse(scores, resamples=200, order=METHODS, label=1, noun="method")
    return Evaluation(folder, analysis, images, truths, predictions)


def _settings(folder: Path, patients: int) -> dict[str, Any]:
    coding = {"black_and_white": False, "mask_threshold": None, "kept_values": None}
    return {
        "kind": "evaluation",
        "unifocal": "0.1.0",
        "command": "unifocal evaluate --truth truth --pred a --pred b",
        "created": "2025-03-01T12:00:00",
        "data": {"name": "Volumes", "folder": str(folder / "data"), "cases": patients, "patients": patients,
                 "patients_known": True, "labels": [1, 2], "spacing_known": True} | coding,
        "predictions": {method: {"folder": "somewhere"} | coding for method in METHODS},
        "config": {"metric": "dice", "resamples": 200},
        "losses": [{"label": method} for method in METHODS],
    }  # fmt: skip
