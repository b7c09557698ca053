"""An evaluation of small volumes whose files lie any way round, and what they hold in the patient's axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import yaml
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from unifocal.statistics import Analysis, analyse

Array = NDArray[Any]
METHODS = ("one", "two")
# To the patient's right, to the front, to the head.
SHAPE = (30, 38, 14)
SPACING = (1.0, 1.0, 5.0)
WORLD = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True)
class Turned:
    """A written evaluation folder; arrays are (to the right, to the front, to the head).

    Attributes:
        folder: Where it lies.
        analysis: Of its made-up scores.
        image: Grey values; grow along each axis by another step.
        truth: Labels 1 and 2.
        predictions: For each method, its labels.
        affine: Of the files.
    """

    folder: Path
    analysis: Analysis
    image: Array
    truth: Array
    predictions: tuple[Array, ...]
    affine: Array

    def place(self, plane: str, index: int) -> int:
        """Which place along the patient's axis the file's slice has."""
        for world, direction in io_orientation(self.affine):  # type: ignore[no-untyped-call]
            if world == WORLD[plane]:
                return index if direction > 0 else SHAPE[WORLD[plane]] - 1 - index
        raise AssertionError(plane)

    def shown(self, array: Array, plane: str, index: int) -> Array:
        """The file's slice as a radiologist sees it: head or front up, the patient's right or front at the left."""
        cut = np.take(array, self.place(plane, index), axis=WORLD[plane])
        return np.asarray(cut[::-1, ::-1].T)


def write_turned(folder: Path, codes: str = "RAS", *, cases: int = 1) -> Turned:
    """Write volumes stored along other axes, as nibabel names them: `LPS`, `PIR` and so on.

    Args:
        folder: Where to.
        codes: Where each axis of the files leads to.
        cases: How many equal ones.
    """
    right, front, head = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    image = (100 + 3 * right + 2 * front + 5 * head + 30 * (right < 8) + 60 * (front > 20)).astype(np.float32)
    truth = np.zeros(SHAPE, dtype=np.uint8)
    truth[8:17, 10:22, 4:9], truth[8:11, 22:27, 4:6] = 1, 1
    truth[11:14, 12:16, 5:7] = 2
    first, second = np.roll(truth, 2, axis=0), np.roll(truth, (-1, 1), axis=(1, 2))
    first[20:23, 30:33, 10:12] = 1
    names = [f"c{number:02d}" for number in range(cases)]
    known: list[dict[str, str]] = []
    files = []
    for name in names:
        parts = {"images": image, "truth": truth, "one": first, "two": second}
        paths = {part: folder / "data" / part / f"{name}.nii.gz" for part in parts}
        for part, array in parts.items():
            affine = _write(paths[part], array, codes)
        known.append({"case": name, "patient": name, "image": f"images/{name}.nii.gz", "mask": f"truth/{name}.nii.gz"})
        files += [{"loss": method, "case": name, "file": str(paths[method].resolve())} for method in METHODS]
    pd.DataFrame(known).to_csv(folder / "cases.csv", index=False)
    pd.DataFrame(files).to_csv(folder / "predictions.csv", index=False)
    scores = _scores(names)
    scores.to_csv(folder / "scores.csv", index=False)
    (folder / "study.yaml").write_text(yaml.safe_dump(_settings(folder, cases)))
    analysis = analyse(scores, resamples=50, order=METHODS, label=1, noun="method")
    return Turned(folder, analysis, image, truth, (first, second), affine)


def _write(path: Path, array: Array, codes: str) -> Array:
    path.parent.mkdir(parents=True, exist_ok=True)
    upright = nibabel.Nifti1Image(array, np.diag([*SPACING, 1.0]))  # type: ignore[no-untyped-call]
    way = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))  # type: ignore[no-untyped-call]
    turned = upright.as_reoriented(way)  # type: ignore[no-untyped-call]
    nibabel.save(turned, path)  # type: ignore[no-untyped-call]
    return np.asarray(turned.affine)


def _scores(names: Sequence[str]) -> pd.DataFrame:
    """Made up: the first case is the worst."""
    rows = [
        {"loss": method, "fold": 0, "seed": 0, "case": name, "patient": name, "label": label, "metric": "dice",
         "value": 0.3 + place / (2 * len(names)), "unit": "", "reason": ""}
        for place, name in enumerate(names)
        for method in METHODS
        for label in (1, 2)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _settings(folder: Path, cases: int) -> dict[str, Any]:
    coding = {"black_and_white": False, "mask_threshold": None, "kept_values": None}
    return {
        "kind": "evaluation",
        "data": {"name": "Turned", "folder": str(folder / "data"), "cases": cases, "patients": cases,
                 "patients_known": True, "labels": [1, 2], "spacing_known": True} | coding,
        "predictions": {method: {"folder": "somewhere"} | coding for method in METHODS},
        "config": {"metric": "dice", "resamples": 50},
        "losses": [{"label": method} for method in METHODS],
    }  # fmt: skip
