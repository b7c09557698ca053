"""Which data are meant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unifocal.data.pairing import PairBy


@dataclass(frozen=True)
class Request:
    """Which data are meant.

    Attributes:
        folder: The data set's folder; may be left out where `images` is given.
        images: The images' folder, from `folder` or from the working directory.
        masks: The masks' folder, likewise.
        cases_table: A CSV file with a row per image, likewise. It adds attributes, spacing and patients to any layout.
        layout: A name of `layout_names()`; `auto`: what the folder is recognised as.
        options: The layout's own, by name.
        keep: The mask's values that count as foreground; None: as the layout declares.
        regions: Overlapping regions, each the union of values; empty: as the layout declares.
        pair_by: See `pairing.pair_files`. Anything but `stem` means two folders.
        mask_suffix: What a mask's name has after the image's, with `pair_by="suffix"`.
        case_column: The table's column that names the case; None means `case`, or else the first.
        patient_column: The table's column that names the patient; None means `patient` where there is one.
        patient_pattern: A regular expression that finds the patient in a case's name; see `Layout`.
        spacing_mm: Distance of pixel centres, (row, column) or (slice, row, column), where the table does not say.
        mask_threshold: Mask values from here on are foreground; None where they are 0/1, 0/255 or labels.
    """

    folder: Path | None = None
    images: Path | None = None
    masks: Path | None = None
    cases_table: Path | None = None
    layout: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    keep: tuple[int, ...] | None = None
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    pair_by: PairBy = "stem"
    mask_suffix: str = "_mask"
    case_column: str | None = None
    patient_column: str | None = None
    patient_pattern: str | None = None
    spacing_mm: tuple[float, ...] | None = None
    mask_threshold: int | None = None
