"""From a volume to the slices that a page shows: which axis, which way up, which slices."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORLD_PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True)
class Plane:
    """How an array becomes a stack of pictures.

    Attributes:
        order: The array's spatial axes as (slices, rows, columns); two axes for a picture.
        flips: Which axes of the stack run backwards.
        aspect: A pixel's height over its width.
        name: Which plane the pictures lie in, in words; empty for a picture.
    """

    order: tuple[int, ...]
    flips: tuple[bool, bool, bool]
    aspect: float
    name: str

    def stack(self, array: NDArray[Any]) -> NDArray[Any]:
        """A view of an array as (slices, rows, columns), turned for display."""
        turned = array[None] if array.ndim == 2 else array.transpose(self.order)
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]


def planes_of(
    shape: tuple[int, ...], spacing: tuple[float, ...] | None, affine: NDArray[np.float64] | None
) -> tuple[Plane, ...]:
    """The planes to show, the one across the coarsest axis first; it alone where another would be a line of pixels.

    Args:
        shape: (rows, columns), or of a volume's three axes.
        spacing: Along each axis; None where it is not known.
        affine: As in `Scan`; None where it is not known.
    """
    first = plane_of(len(shape), spacing, affine)
    if len(shape) == 2 or min(shape) < 2:
        return (first,)
    others = [plane_of(3, spacing, affine, axis) for axis in range(3) if axis != first.order[0]]
    return (first, *sorted(others, key=lambda plane: plane.name))


def plane_of(
    axes: int, spacing: tuple[float, ...] | None, affine: NDArray[np.float64] | None, across: int | None = None
) -> Plane:
    """A plane to show: by itself across the axis with the coarsest spacing, as in a radiologist's display.

    Args:
        axes: 2 or 3.
        spacing: Along each axis; None where it is not known.
        affine: As in `Scan`; None where it is not known.
        across: The axis along which slices follow each other; None for the coarsest.

    Returns:
        Slices keep the files' order. Where the affine says how the array lies, the patient's front or head is up and
        the patient's right (or front) is at the left; else rows and columns stand as stored.
    """
    known = spacing if spacing is not None and len(spacing) == axes else (1.0,) * axes
    if axes == 2:
        return Plane((0, 1), (False, False, False), known[0] / known[1], "")
    across = int(np.argmax(known)) if across is None else across
    rows, columns = (axis for axis in range(3) if axis != across)
    name = f"across the {('first', 'second', 'third')[across]} axis"
    flips = (False, False, False)
    if affine is not None and affine.shape[1] == 4:
        world = [int(np.argmax(np.abs(affine[:3, axis]))) for axis in range(3)]
        if len(set(world)) == 3:
            name = _WORLD_PLANES[world[across]]
            if world[rows] < world[columns]:
                rows, columns = columns, rows
            flips = (False, *(bool(affine[world[axis], axis] > 0) for axis in (rows, columns)))  # type: ignore[assignment]
    return Plane((across, rows, columns), flips, known[rows] / known[columns], name)


def choose_slices(held: NDArray[np.bool_], wrong: NDArray[np.int64], most: int) -> list[int]:
    """Which slices to show: those with anything in them, thinned evenly, and always the worst.

    Args:
        held: (slices,) whether the truth or any prediction has anything there.
        wrong: (slices,) how many elements are wrong, over all predictions.
        most: At most so many.

    Returns:
        Their numbers, ascending; the middle one where there is nothing anywhere.
    """
    candidates = np.flatnonzero(held)
    if not len(candidates):
        return [len(held) // 2]
    if len(candidates) <= most:
        return [int(index) for index in candidates]
    thinned: list[int] = candidates[np.round(np.linspace(0, len(candidates) - 1, most)).astype(int)].tolist()
    worst = int(np.argmax(wrong))
    if wrong.any() and worst not in thinned:
        thinned[int(np.argmin([abs(index - worst) for index in thinned]))] = worst
    return sorted(thinned)
