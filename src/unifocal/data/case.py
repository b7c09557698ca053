"""A case: one image with its mask, and whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One image and its mask.

    Attributes:
        name: Unique in the data set; names the files written for it.
        image: The image file.
        mask: The mask file; None where only the image is known (prediction).
        patient: Whose image it is. Folds are drawn over patients.
        spacing_mm: (row, column) distance between pixel centres in mm; None when unknown.
        attributes: Further columns of `cases.csv`, for instance `class` or `plane`.
    """

    name: str
    image: Path
    mask: Path | None
    patient: str
    spacing_mm: tuple[float, float] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
