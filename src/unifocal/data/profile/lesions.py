"""Lesions: connected components of a mask, and what resizing does to them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.data.profile.numbers import bounding_box

Mask = NDArray[np.bool_]
SIZE, COUNT, VANISHED = range(3)


def _no_rows() -> NDArray[np.int64]:
    return np.zeros((0, 3), dtype=np.int64)


@dataclass(frozen=True)
class Lesions:
    """The lesions of one target in one case.

    Attributes:
        rows: (k, 3): a size in elements, how many lesions have it, and how many of these vanish at the training size
            (0 where none is given). As many rows as there are different sizes, so that a mask of specks stays small.
        joined: How many there are if elements that share a corner are neighbours too.
        touching: How many touch the border of the image.
        resized_elements: How many elements the target has at the training size; None where none is given.
        resized_count: How many lesions it has there.
    """

    rows: NDArray[np.int64] = field(default_factory=_no_rows)
    joined: int = 0
    touching: int = 0
    resized_elements: int | None = None
    resized_count: int | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.rows[:, COUNT].sum())

    @property
    def vanished(self) -> int:
        """How many vanish at the training size."""
        return int(self.rows[:, VANISHED].sum())


def find_lesions(mask: Mask, resized: Mask | None = None) -> Lesions:
    """The connected components of a mask; elements are neighbours across a face (4 in 2D, 6 in 3D).

    A lesion vanishes when none of its elements lies, by nearest neighbour, on foreground of the resized mask.

    Args:
        mask: (*spatial).
        resized: The same target at the training size, with as many axes.
    """
    from scipy import ndimage

    after = None if resized is None else int(np.count_nonzero(resized))
    count_after = None if resized is None else int(ndimage.label(resized)[1]) if after else 0
    box = bounding_box(mask)
    if box is None:
        return Lesions(resized_elements=after, resized_count=count_after)
    components, number_of = ndimage.label(mask[box])
    sizes = np.bincount(components.reshape(-1), minlength=number_of + 1)[1:]
    gone = np.zeros(number_of + 1, dtype=bool)
    if resized is not None:
        gone[:] = True
        gone[components[enlarged(resized, mask.shape, box)]] = False
    pairs, counts = np.unique(np.stack([sizes, gone[1:]]), axis=1, return_counts=True)
    different, places = np.unique(pairs[0], return_inverse=True)
    rows = np.zeros((len(different), 3), dtype=np.int64)
    rows[:, SIZE] = different
    rows[:, COUNT] = np.bincount(places, counts)
    rows[:, VANISHED] = np.bincount(places, counts * pairs[1])
    joined = int(ndimage.label(mask[box], np.ones((3,) * mask.ndim))[1])
    return Lesions(rows, joined, _touching(components, box, mask.shape), after, count_after)


def enlarged(small: NDArray[Any], shape: tuple[int, ...], box: tuple[slice, ...]) -> NDArray[Any]:
    """The part `box` of what `small` becomes at `shape` by nearest neighbour: the element that holds each centre."""
    places = [
        ((np.arange(part.start, part.stop) + 0.5) * fewer / many).astype(np.intp)
        for part, fewer, many in zip(box, small.shape, shape, strict=True)
    ]
    return small[np.ix_(*places)]


def _touching(components: NDArray[Any], box: tuple[slice, ...], shape: tuple[int, ...]) -> int:
    at_border: set[int] = set()
    for axis, (part, length) in enumerate(zip(box, shape, strict=True)):
        faces = [0] * (part.start == 0) + [-1] * (part.stop == length)
        for face in faces:
            at_border.update(np.unique(components.take(face, axis=axis)).tolist())
    return len(at_border - {0})
