"""A mask as the viewer reads it: label numbers, slice by slice, in any plane."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.reporting.viewer_masks import Bytes, encode_runs, reduce_mask
from unifocal.reporting.viewer_slices import Plane


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices of label numbers; only the box around all labels takes memory.

    Attributes:
        box: (slices, rows, columns), the part that has labels: the first label is 1, the second 2, and so on; where
            labels overlap, the first is bit 0, the second bit 1, up to the eighth.
        start: Where the box begins.
        shape: (slices, rows, columns) of the whole.
        is_overlapping: Whether numbers are bits.
    """

    box: Bytes
    start: tuple[int, ...]
    shape: tuple[int, ...]
    is_overlapping: bool
    _coded: dict[tuple[int, int], str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, stored: NDArray[Any], labels: Sequence[Sequence[int]]) -> "Stack":
        """Take labels from a mask.

        Args:
            stored: (rows, columns) or a volume's three axes, integers.
            labels: The values of each label to keep.
        """
        is_overlapping = overlap(labels)
        table = np.zeros(max(map(max, labels)) + 2, dtype=np.uint8)
        for number, values in enumerate(labels):
            table[list(values)] |= np.uint8((1 << number) & 255 if is_overlapping else number + 1)
        whole = stored[None] if stored.ndim == 2 else stored
        parts: dict[int, Bytes] = {}
        for index in np.flatnonzero(whole.any(axis=(1, 2))).tolist():
            part = table[np.clip(whole[index], 0, len(table) - 1).astype(np.int64)]
            if part.any():
                parts[index] = part
        if not parts:
            return cls(np.zeros((0, 0, 0), dtype=np.uint8), (0, 0, 0), whole.shape, is_overlapping)
        seen = np.logical_or.reduce([part > 0 for part in parts.values()])
        places = [np.array(list(parts)), *(np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))]
        start = tuple(int(place.min()) for place in places)
        box = np.zeros([int(np.ptp(place)) + 1 for place in places], dtype=np.uint8)
        for index, part in parts.items():
            box[index - start[0]] = part[_slices(start[1:], box.shape[1:])]
        return cls(box, start, whole.shape, is_overlapping)

    def seen_in(self, plane: Plane) -> "Stack":
        """The same mask, as read, turned into a plane; no copy."""
        order = plane.order if len(plane.order) == 3 else (0, 1, 2)
        ends = [whole - start - part for whole, start, part in zip(self.shape, self.start, self.box.shape, strict=True)]
        start = tuple(ends[axis] if flip else self.start[axis] for axis, flip in zip(order, plane.flips, strict=True))
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in plane.flips)
        return Stack(
            self.box.transpose(order)[steps], start, tuple(self.shape[axis] for axis in order), self.is_overlapping
        )

    def __getitem__(self, index: int) -> Bytes:
        found = np.zeros(self.shape[1:], dtype=np.uint8)
        if 0 <= index - self.start[0] < self.box.shape[0]:
            found[_slices(self.start[1:], self.box.shape[1:])] = self.box[index - self.start[0]]
        return found

    def coded(self, index: int, factor: int) -> str:
        """A slice as short text, as `encode_runs` writes it, with blocks of factor x factor elements made one."""
        if (index, factor) not in self._coded:
            self._coded[index, factor] = encode_runs(reduce_mask(self[index], factor))
        return self._coded[index, factor]

    @property
    def held(self) -> NDArray[np.bool_]:
        """(slices,) whether there is anything."""
        return self.sizes > 0

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(slices,) how many elements have any label."""
        counted = np.zeros(self.shape[0], dtype=np.int64)
        counted[self.start[0] : self.start[0] + self.box.shape[0]] = np.count_nonzero(self.box, axis=(1, 2))
        return counted

    def wrong(self, truth: "Stack") -> NDArray[np.int64]:
        """(slices,) how many elements differ from the truth."""
        start = np.minimum(self.start, truth.start)
        shape = np.maximum(*(np.add(stack.start, stack.box.shape) for stack in (self, truth))) - start
        differ = self.within(start, shape) != truth.within(start, shape)
        counted = np.zeros(self.shape[0], dtype=np.int64)
        counted[start[0] : start[0] + shape[0]] = np.count_nonzero(differ, axis=(1, 2))
        return counted

    def within(self, start: NDArray[np.int64], shape: NDArray[np.int64]) -> Bytes:
        """The labels in a box that holds this one's."""
        found = np.zeros(shape, dtype=np.uint8)
        found[_slices((self.start - start).tolist(), self.box.shape)] = self.box
        return found

    def projected(self, label: int) -> NDArray[np.bool_]:
        """(rows, columns) where any slice has a label, by its number."""
        seen = np.zeros(self.shape[1:], dtype=bool)
        is_label = (self.box >> (label - 1)) & 1 == 1 if self.is_overlapping else self.box == label
        seen[_slices(self.start[1:], self.box.shape[1:])] = is_label.any(axis=0)
        return seen


def _slices(start: Sequence[int], lengths: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(first, first + length) for first, length in zip(start, lengths, strict=True))


def overlap(labels: Sequence[Sequence[int]]) -> bool:
    """Whether a value belongs to several labels."""
    return len({value for values in labels for value in values}) < sum(map(len, labels))
