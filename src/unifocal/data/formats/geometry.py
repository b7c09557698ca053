"""Where an array lies in the patient: affines, in the convention of `unifocal.data.scan.Scan`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.problems import Problem

Affine = NDArray[np.float64]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM's and ITK's patient axes run to the left and to the back, NIfTI's to the right and to the front."""


def affine_from_columns(origin: Sequence[float], *steps: Any) -> Affine:
    """The (4, axes + 1) affine whose element 0 lies at `origin`.

    Args:
        origin: (x, y, z) in mm.
        steps: For each spatial axis, the (x, y, z) from one element to the next, in mm.
    """
    affine = np.zeros((4, len(steps) + 1))
    for axis, step in enumerate(steps):
        affine[:3, axis] = step
    affine[:3, -1], affine[3, -1] = origin, 1
    return affine


def spacing_of(affine: Affine) -> tuple[float, ...]:
    """Distance between neighbouring elements along each spatial axis, in the affine's unit."""
    return tuple(np.linalg.norm(affine[:3, :-1], axis=0).tolist())


def upright(affine: Affine) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How a volume's axes are turned and mirrored to inferior-superior, posterior-anterior, left-right.

    Args:
        affine: (4, 4), not singular.

    Returns:
        For each of the three directions the axis of the array that runs along it, as near as that is possible; and
        which of the three are then still to be mirrored.
    """
    from nibabel.orientations import io_orientation

    # Per axis of the array, the world axis (x, y, z) that it runs along, and whether forwards.
    found = io_orientation(affine)  # type: ignore[no-untyped-call]
    along = [int(axis) for axis in found[:, 0]]
    order = tuple(along.index(world) for world in (2, 1, 0))
    return order, tuple(new for new, old in enumerate(order) if found[old, 1] < 0)


def is_singular(affine: Affine) -> bool:
    """Whether the axes do not span a space of their number, or a value is not finite."""
    if not np.isfinite(affine).all():
        return True
    lengths = np.linalg.norm(affine[:3, :-1], axis=0)
    if (lengths == 0).any():
        return True
    return bool(np.linalg.svd(affine[:3, :-1] / lengths, compute_uv=False)[-1] < 1e-6)


def largest_shift(first: Affine, second: Affine, shape: Sequence[int]) -> float:
    """How far apart two affines of equal shape put the same corner of a grid, in mm, at worst.

    Args:
        first: (4, axes + 1).
        second: (4, axes + 1).
        shape: The grid's elements along each spatial axis.
    """
    corners = np.stack(np.meshgrid(*[(0, length - 1) for length in shape], [1], indexing="ij"), -1).reshape(
        -1, len(shape) + 1
    )
    return float(np.linalg.norm(corners @ (first - second).T, axis=1).max())


def geometry_problem(
    where: str,
    reference: str,
    affines: tuple[Affine | None, Affine | None],
    shape: Sequence[int],
    *,
    tolerance: float = 0.05,
) -> Problem | None:
    """What is wrong where two grids of the same shape do not lie in the same place.

    Args:
        where: The file that is to blame.
        reference: The name of the other.
        affines: Its affine, and the other's; where one is unknown, nothing is said.
        shape: Elements along each spatial axis, the same in both.
        tolerance: The shift that is let pass, in parts of the smallest spacing.

    Returns:
        An error of kind `geometry`; None where the grids agree.
    """
    mine, other = affines
    if mine is None or other is None:
        return None
    if mine.shape == other.shape:
        shift = largest_shift(mine, other, shape)
        if shift <= tolerance * min(spacing_of(other)):
            return None
        what = f"lies elsewhere in space than {reference}: the same corner is up to {shift:.3g} mm away"
    else:
        what = f"is placed in space as {mine.shape[1] - 1}D, but {reference} as {other.shape[1] - 1}D"
    return Problem(where, what, "Export both from the same scan, or resample one onto the other.", "geometry")
