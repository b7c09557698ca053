"""Where a NIfTI header puts its array."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unifocal.data.formats.geometry import Affine, is_singular, spacing_of
from unifocal.problems import Problem

_MM_PER_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Place:
    """Spacing along each spatial axis in mm, slices first, and the affine in the same order; None is unknown."""

    spacing_mm: tuple[float, ...] | None
    affine: Affine | None


def place(header: Any, axes: int, path: Path) -> tuple[Place, tuple[Problem, ...]]:
    """Read spacing and affine.

    The sform goes before the qform, as in nibabel; where neither has a code, only `pixdim` is left, and the
    orientation is unknown. A length in metres or micrometres becomes mm; without a unit, mm are meant.

    Args:
        header: nibabel's NIfTI-1 or NIfTI-2 header.
        axes: How many spatial axes there are, 2 or 3.
        path: The file, for messages.

    Returns:
        The place, and what is noteworthy: errors of kind `nifti-bad-spacing` and `nifti-singular-affine`, warnings of
        kind `nifti-no-orientation` and `nifti-two-orientations`.
    """
    scale = _MM_PER_UNIT.get(_unit(header), 1.0)
    pixdim = np.abs(np.asarray(header["pixdim"][1 : axes + 1], np.float64))
    pixdim_is_bad = not (np.isfinite(pixdim).all() and (pixdim > 0).all())
    sform = header.get_sform(coded=True)[0]
    qform, qform_is_bad = (None, False) if int(header["qform_code"]) <= 0 else _qform(header)
    notes = []
    if sform is not None and qform is not None and _differ(sform, qform):
        notes.append(_two_orientations(path))
    affine = qform if sform is None else sform
    if affine is None and (pixdim_is_bad or qform_is_bad):
        shown = ", ".join(f"{value:g}" for value in pixdim)
        what = f"has an unusable spacing or orientation in its header (pixdim {shown})"
        return Place(None, None), (Problem(str(path), what, "Export it again.", "nifti-bad-spacing"),)
    if affine is None:
        what = "does not say how it lies in the patient (sform and qform have code 0); only its spacing is used"
        remedy = "Make sure that image and mask are stored the same way round."
        note = Problem(str(path), what, remedy, "nifti-no-orientation", is_warning=True)
        return Place(tuple((pixdim * scale)[::-1].tolist()), None), (note,)
    ordered = np.asarray(affine, np.float64)[:, [*range(axes - 1, -1, -1), 3]]
    ordered[:3] *= scale
    if is_singular(ordered):
        what = "has an affine that squeezes the volume flat, or is not finite"
        return Place(None, None), (Problem(str(path), what, "Export it again.", "nifti-singular-affine"),)
    return Place(spacing_of(ordered), ordered), tuple(notes)


def _unit(header: Any) -> str:
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError:
        return "unknown"


def _qform(header: Any) -> tuple[Affine | None, bool]:
    """The qform, or None and that it cannot be used."""
    from nibabel.spatialimages import HeaderDataError

    header = header.copy()
    header["pixdim"][1:4] = np.abs(header["pixdim"][1:4])
    # Some programs leave 0 there, which the format's own library takes for 1.
    header["pixdim"][0] = -1 if header["pixdim"][0] < 0 else 1
    try:
        return header.get_qform(), False
    except (ValueError, HeaderDataError):
        return None, True


def _differ(sform: Affine, qform: Affine) -> bool:
    lengths = np.linalg.norm(qform[:3, :3], axis=0)
    if not np.isfinite(sform).all() or (lengths == 0).any():
        return False
    steps = np.linalg.norm((sform - qform)[:3, :3], axis=0) / lengths
    return bool(steps.max() > _TOLERANCE or np.linalg.norm((sform - qform)[:3, 3]) > _TOLERANCE * lengths.max())


def _two_orientations(path: Path) -> Problem:
    what = "says two different things of where it lies in the patient (sform and qform); the sform is used"
    remedy = "Check that image and mask overlie each other in a viewer."
    return Problem(str(path), what, remedy, "nifti-two-orientations", is_warning=True)
