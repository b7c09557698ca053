"""From the planes of slices to a volume: their order, the distance between them, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unifocal.data.formats.dicom_header import Plane
from unifocal.data.formats.geometry import LPS_TO_RAS, Affine, affine_from_columns
from unifocal.problems import Problem

_SAME_MM = 0.01
_UNEVEN = 0.02
_TILT = np.tan(np.radians(0.5))


@dataclass(frozen=True)
class Stack:
    """How slices make a volume.

    Attributes:
        order: Which slice comes first, second, and so on, along the normal of the planes.
        affine: (4, 4) in RAS, slices first; None where the distance between slices is unknown.
        notes: Errors of kind `dicom-missing-slice`, `uneven-spacing`, `dicom-duplicate-slice`, and a warning of kind
            `gantry-tilt`.
    """

    order: tuple[int, ...]
    affine: Affine | None
    notes: tuple[Problem, ...]


def flat_affine(plane: Plane, spacing: tuple[float, float]) -> Affine:
    """The (4, 3) affine of a single slice.

    Args:
        plane: Where it lies.
        spacing: Distance between (rows, columns) in mm.
    """
    steps = (plane.along_rows * spacing[0], plane.along_columns * spacing[1])
    return np.asarray(LPS_TO_RAS @ affine_from_columns(plane.position.tolist(), *steps), np.float64)


def is_parallel(first: Plane, second: Plane) -> bool:
    """Whether two planes have the same orientation, up to the rounding of headers."""
    return bool(
        np.abs(first.along_rows - second.along_rows).max() < 1e-3
        and np.abs(first.along_columns - second.along_columns).max() < 1e-3
    )


def stack(planes: Sequence[Plane], spacing: tuple[float, float], where: Sequence[Path | str], series: Path) -> Stack:
    """Sort parallel slices along their normal and measure the distance between them.

    The distance comes from the positions, never from the slice thickness. Slices that are shifted against each other
    (a tilted gantry) keep their shear in the affine.

    Args:
        planes: At least two, parallel.
        spacing: Distance between (rows, columns) in mm.
        where: What to name for each.
        series: What to name for all.
    """
    positions = np.array([plane.position for plane in planes])
    heights = positions @ planes[0].normal
    order = np.argsort(heights, kind="stable")
    gaps = np.diff(heights[order])
    distinct = gaps[gaps > _SAME_MM]
    names = [where[index] for index in order]
    notes = _duplicates(gaps, names)
    if not len(distinct):
        return Stack(tuple(order.tolist()), None, tuple(notes))
    usual = float(np.median(distinct))
    notes += _unevenness(gaps, usual, names, series)
    first = positions[order[0]]
    # Over the whole stack, so that the rounding of one position counts little; a gap must not stretch it.
    across = (positions[order[-1]] - first) / (heights[order[-1]] - heights[order[0]])
    step = across * (usual if notes else distinct.mean())
    notes += _shifts(positions[order], across, planes[0], series)
    steps = (step, planes[0].along_rows * spacing[0], planes[0].along_columns * spacing[1])
    affine = LPS_TO_RAS @ affine_from_columns(first.tolist(), *steps)
    return Stack(tuple(order.tolist()), np.asarray(affine, np.float64), tuple(notes))


def _duplicates(gaps: NDArray[np.float64], names: Sequence[Path | str]) -> list[Problem]:
    same = np.flatnonzero(gaps <= _SAME_MM)
    if not len(same):
        return []
    what = f"lies in the same place as {_short(names[same[0]])}" + _more(len(same))
    remedy = "Leave one of each, or split the series by time point or contrast."
    return [Problem(str(names[same[0] + 1]), what, remedy, "dicom-duplicate-slice")]


def _unevenness(gaps: NDArray[np.float64], usual: float, names: Sequence[Path | str], series: Path) -> list[Problem]:
    times = np.rint(gaps / usual)
    is_even = np.abs(gaps - times * usual) <= max(_UNEVEN * usual, 2 * _SAME_MM)
    missing = np.flatnonzero(is_even & (times > 1))
    uneven = np.flatnonzero(~is_even & (gaps > _SAME_MM))
    notes = []
    if len(missing):
        count, at = int((times[missing] - 1).sum()), missing[0]
        what = (
            f"lacks {count} {'slice' if count == 1 else 'slices'}: between {_short(names[at])} and "
            f"{_short(names[at + 1])} there are {gaps[at]:g} mm, elsewhere {usual:g}"
        )
        notes.append(Problem(str(series), what, "Export the series again, complete.", "dicom-missing-slice"))
    if len(uneven):
        at = uneven[0]
        what = (
            f"has slices at uneven distances: between {_short(names[at])} and {_short(names[at + 1])} there are "
            f"{gaps[at]:g} mm, usually {usual:g}"
        )
        notes.append(Problem(str(series), what, "Resample it to even distances.", "uneven-spacing"))
    return notes


def _shifts(positions: NDArray[np.float64], across: NDArray[np.float64], plane: Plane, series: Path) -> list[Problem]:
    heights = (positions - positions[0]) @ plane.normal
    off_line = np.linalg.norm(positions - positions[0] - np.outer(heights, across), axis=1).max()
    if off_line > 10 * _SAME_MM + _UNEVEN * np.ptp(heights) / len(positions):
        what = f"has slices that are shifted against each other by up to {off_line:.3g} mm"
        return [Problem(str(series), what, "Export the series again.", "uneven-spacing")]
    shear = np.linalg.norm(across - plane.normal)
    if shear > _TILT:
        what = f"was taken with a tilted gantry: its slices lean by {np.degrees(np.arctan(shear)):.1f} degrees"
        remedy = "Distances in mm lean with it; resample the series to upright slices if they matter."
        return [Problem(str(series), what, remedy, "gantry-tilt", is_warning=True)]
    return []


def _short(name: Path | str) -> str:
    return name.name if isinstance(name, Path) else name


def _more(count: int) -> str:
    return "" if count == 1 else f" (and {count - 1} more slices do so)"
