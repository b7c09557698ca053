"""One row of plain values per case, for `cases.csv` and programs."""

from collections.abc import Sequence
from typing import Any

from unifocal.data.profile.case import FOREGROUND, CaseProfile, TargetFacts
from unifocal.data.profile.lesions import SIZE
from unifocal.data.profile.summary import brain_ratio

_AXES = {2: ("rows", "columns"), 3: ("slices", "rows", "columns")}
_NUMBERS = (
    "elements", "share", "lesions", "joined_lesions", "smallest_lesion", "largest_lesion", "touching_border",
    "vanished", "resized_elements", "resized_lesions",
)  # fmt: skip
_CONTRAST = ("inside", "outside", "difference", "auc", "auc_rim")


def case_rows(cases: Sequence[CaseProfile]) -> list[dict[str, Any]]:
    """The rows, all with the same columns; what is unknown is None.

    Attributes of the data set's table stand under `attribute:` and their names, targets under their names and `:`.
    """
    attributes = list(dict.fromkeys(name for case in cases for name in case.case.attributes))
    channels = max((len(case.intensity) for case in cases), default=0)
    targets = list(dict.fromkeys(name for case in cases for name in case.targets))
    return [_row(case, attributes, channels, targets) for case in cases]


def _row(case: CaseProfile, attributes: Sequence[str], channels: int, targets: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"case": case.case.name, "patient": case.case.patient, "part": case.case.part or None}
    row |= {f"attribute:{name}": case.case.attributes.get(name) for name in attributes}
    for axis, name in enumerate(_AXES[len(case.size)]):
        row[name] = case.size[axis]
        row[f"{name}_spacing_mm"] = None if case.spacing_mm is None else case.spacing_mm[axis]
    row["orientation"] = case.orientation or None
    for index in range(channels):
        values = case.intensity[index] if index < len(case.intensity) else None
        for part in ("minimum", "p1", "median", "p99", "maximum", "mean", "sd"):
            row[f"channel{index + 1}_{part}"] = getattr(values, part, None)
    for name in targets:
        row |= {f"{name}:{key}": value for key, value in _target(case, case.targets.get(name), channels).items()}
    row["brain_elements"] = case.brain
    row["brain_ratio"] = brain_ratio(case) if case.brain and FOREGROUND in case.targets else None
    return row


def _target(case: CaseProfile, facts: TargetFacts | None, channels: int) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_NUMBERS)
    row |= {f"channel{index + 1}_{part}": None for index in range(channels) for part in _CONTRAST}
    if facts is None:
        return row
    sizes = facts.lesions.rows[:, SIZE]
    row |= {
        "elements": facts.elements,
        "share": facts.elements / case.elements,
        "lesions": facts.lesions.count,
        "joined_lesions": facts.lesions.joined,
        "smallest_lesion": int(sizes.min()) if len(sizes) else None,
        "largest_lesion": int(sizes.max()) if len(sizes) else None,
        "touching_border": facts.lesions.touching,
        "vanished": None if case.resized_to is None else facts.lesions.vanished,
        "resized_elements": facts.lesions.resized_elements,
        "resized_lesions": facts.lesions.resized_count,
    }
    for index, contrast in enumerate(facts.contrast):
        row |= {f"channel{index + 1}_{part}": getattr(contrast, part) for part in _CONTRAST}
    return row
