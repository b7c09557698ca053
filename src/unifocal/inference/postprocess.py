"""Cleaning predicted masks, and choosing how on validation cases alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
SIZES = (10, 30, 100, 300)
"""Smallest sizes that are tried, in elements."""


@dataclass(frozen=True)
class Cleaning:
    """What is done to the mask of one label, in this order.

    Components are elements that touch by a face, edge or corner.

    Attributes:
        largest_only: Keep the largest component alone.
        minimum_size: Remove components of fewer elements.
        fill_holes: Fill background that the label encloses.
    """

    largest_only: bool = False
    minimum_size: int = 0
    fill_holes: bool = False

    def apply(self, mask: Mask) -> Mask:
        """The cleaned mask (*spatial)."""
        if (self.largest_only or self.minimum_size > 1) and mask.any():
            mask = self._without_small(mask)
        if self.fill_holes:
            from scipy.ndimage import binary_fill_holes

            mask = np.asarray(binary_fill_holes(mask))
        return mask

    def _without_small(self, mask: Mask) -> Mask:
        from scipy.ndimage import generate_binary_structure, label

        components, _ = label(mask, generate_binary_structure(mask.ndim, mask.ndim))
        sizes = np.bincount(components.ravel())
        sizes[0] = 0
        kept = sizes >= max(self.minimum_size, 1)
        if self.largest_only:
            kept &= np.arange(len(sizes)) == sizes.argmax()
        return np.asarray(kept[components])

    def to_plain(self) -> dict[str, Any]:
        """As values that JSON and YAML hold."""
        return asdict(self)


NOTHING = Cleaning()


def clean(labels: NDArray[np.integer[Any]], cleanings: Mapping[int, Cleaning]) -> NDArray[np.integer[Any]]:
    """A label map after cleaning each label; what is filled takes only elements that were background.

    Args:
        labels: (*spatial) integers, 0 for background; stays as it is.
        cleanings: By label; labels that are not named stay as they are.
    """
    result = labels.copy()
    for label, cleaning in cleanings.items():
        if cleaning == NOTHING:
            continue
        before = labels == label
        after = cleaning.apply(before)
        result[before & ~after] = 0
        result[after & (result == 0)] = label
    return result


def choose_cleanings(
    cases: Iterable[tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]], labels: Sequence[int]
) -> dict[int, Cleaning]:
    """For each label the cleaning with the best mean Dice over cases; nothing is done unless that is better.

    A case in which neither mask has the label counts as 1: to leave it empty is right.

    Args:
        cases: Truth and prediction of each validation case. Never give cases that are to be scored afterwards.
        labels: The labels.
    """
    totals = {label: dict.fromkeys(candidates(), 0.0) for label in labels}
    for truth, prediction in cases:
        for label in labels:
            wanted, given = truth == label, prediction == label
            for cleaning in totals[label]:
                totals[label][cleaning] += _dice(wanted, cleaning.apply(given))
    chosen = {}
    for label in labels:
        found = totals[label]
        # Of equals the first, which does least.
        best = max(found, key=lambda cleaning: round(found[cleaning], 9))
        chosen[label] = best
    return chosen


def candidates() -> Iterator[Cleaning]:
    """All that is tried, what does least first."""
    for base in (NOTHING, *(Cleaning(minimum_size=size) for size in SIZES), Cleaning(largest_only=True)):
        yield base
        yield replace(base, fill_holes=True)


def _dice(truth: Mask, prediction: Mask) -> float:
    size = int(np.count_nonzero(truth)) + int(np.count_nonzero(prediction))
    return 2 * int(np.count_nonzero(truth & prediction)) / size if size else 1.0
