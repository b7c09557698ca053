"""Where labels lie: the smallest boxes that hold them, so that no label costs a pass over the whole image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Box = tuple[slice, ...]
_MOST_VALUES = 1 << 16


def bounding_box(mask: NDArray[Any]) -> Box | None:
    """The smallest box that holds all elements above 0; None where there are none.

    Args:
        mask: Integer labels of at least 0, or a boolean mask, of one dimension or more.
    """
    box: list[slice] = []
    for axis in range(mask.ndim):
        rest = mask[tuple(box)]
        # Along the first axis left, whole blocks lie together in memory: much quicker than any(axis=(1, 2)).
        others = tuple(other for other in range(mask.ndim) if other != axis)
        held = np.flatnonzero(rest.max(axis=others))
        if not len(held):
            return None
        box.append(slice(int(held[0]), int(held[-1]) + 1))
    return tuple(box)


def label_boxes(
    truth: NDArray[Any], prediction: NDArray[Any], labels: Sequence[int] | None = None
) -> dict[int, Box | None]:
    """For each label the smallest box that holds it in both masks; None where neither does.

    Args:
        truth: Integer labels, 0 or above.
        prediction: Likewise, of the same shape.
        labels: Which labels, in this order. When None, those above 0 that either mask holds, ascending.
    """
    found: dict[int, Box] = {}
    for mask in (truth, prediction):
        for label, box in _boxes(mask).items():
            found[label] = _union(found[label], box) if label in found else box
    return {int(label): found.get(int(label)) for label in (sorted(found) if labels is None else labels)}


def _boxes(mask: NDArray[Any]) -> Mapping[int, Box]:
    outer = bounding_box(mask)
    if outer is None:
        return {}
    inside = mask[outer]
    values = None
    largest = int(inside.max())
    if largest > _MOST_VALUES:
        values, places = np.unique(inside, return_inverse=True)
        inside, largest = places.reshape(inside.shape) + 1, len(values)
    boxes: dict[int, Box] = {}
    for place, box in enumerate(ndimage.find_objects(inside, largest)):
        label = place + 1 if values is None else int(values[place])
        if box is not None and label > 0:
            boxes[label] = tuple(
                slice(part.start + whole.start, part.stop + whole.start) for part, whole in zip(box, outer, strict=True)
            )
    return boxes


def _union(one: Box, other: Box) -> Box:
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
