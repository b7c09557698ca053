"""A case's image, truth and predictions as its files hold them, or why they cannot be shown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.data.coding import MaskCoding, label_values
from unifocal.data.read import read_image, read_mask
from unifocal.data.scan import Scan
from unifocal.reporting.study import StudyView

Labels = NDArray[np.integer[Any]]


def read_base(study: StudyView, row: Mapping[str, Any]) -> tuple[Scan | None, str]:
    """The image of a row of `cases.csv`, and what is wrong when there is none."""
    cell = str(row.get("image", ""))
    if not cell:
        return None, "No image of this case was given"
    source = study.locate(cell)
    if source is None:
        return None, f"The image file {Path(cell).name} is no longer there"
    try:
        return read_image(source), ""
    except (OSError, ValueError):
        return None, f"The image file {source.path.name} cannot be read"


def read_truth(study: StudyView, row: Mapping[str, Any], base: Scan | None) -> tuple[Labels | None, Scan | None, str]:
    """The true labels, the scan that holds them, and what is wrong when there is none."""
    cell = str(row.get("mask", ""))
    source = study.locate(cell)
    if source is None:
        return None, None, f"The mask file {Path(cell).name or 'of this case'} is no longer there"
    try:
        scan = read_mask(source, base)
    except (OSError, ValueError):
        return None, None, f"The mask file {source.path.name} cannot be read"
    return label_values(scan.array, _coding(study.setting("data"))), scan, ""


def read_prediction(
    study: StudyView, loss: str, case: str, truth: Scan, seed: int | None = None
) -> tuple[Labels | None, str]:
    """The predicted labels of a case, where its truth lies, and what is wrong when there are none."""
    source = study.prediction_of(loss, case, seed)
    if source is None:
        return None, "No prediction of this case was kept"
    try:
        labels: Labels = read_mask(source, truth).array
    except (OSError, ValueError):
        return None, f"The predicted mask {source.path.name} cannot be read"
    if labels.shape != truth.array.shape:
        return None, "The predicted mask and the truth differ in size"
    if study.kind == "evaluation":
        labels = label_values(labels, _coding(study.setting("predictions", loss)))
    return labels, ""


def _coding(said: Any) -> MaskCoding:
    """What masks' values were taken for; without a word on it, everything above 0 is label 1."""
    told: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    keep = told.get("kept_values")
    is_black_and_white = told.get("black_and_white") is not False
    return MaskCoding(told.get("mask_threshold"), is_black_and_white, None if keep is None else tuple(keep))
