"""Regions that overlap, each the union of a mask's values: what they hold, and one mask that holds them all."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Regions:
    """Overlapping regions, in their declared order; region k + 1 is the k-th.

    Attributes:
        values: By name, the mask's values that belong to the region: whole tumour 1, 2 and 4, core 1 and 4, ...

    Raises:
        ValueError: If there are none, or more than 16, or one has no values.
    """

    values: Mapping[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        if not 1 <= len(self.values) <= 16 or not all(self.values.values()):
            message = f"1 to 16 regions with values are needed, got {dict(self.values)}"
            raise ValueError(message)

    @property
    def names(self) -> dict[int, str]:
        """By number, from 1 on."""
        return dict(enumerate(self.values, start=1))

    def masks(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """(regions, *spatial): where each region is, from a mask's values (*spatial)."""
        return np.stack([np.isin(labels, values) for values in self.values.values()])

    def as_labels(self, masks: NDArray[np.bool_]) -> NDArray[np.integer[Any]]:
        """One mask of the data's own values that holds the regions, as near as a mask can.

        Where a value belongs to just the regions that are there, it is that value (the smallest, where several are).
        Where no value does, say a core outside the whole tumour, the smallest of these regions counts with its own
        value: what lies inside others brings them along.

        Args:
            masks: (regions, *spatial).
        """
        code = np.zeros(masks.shape[1:], np.uint16)
        for number, mask in enumerate(masks):
            code |= mask.astype(np.uint16) << np.uint16(number)
        return self._table[code]

    @cached_property
    def _table(self) -> NDArray[np.integer[Any]]:
        regions = [set(values) for values in self.values.values()]
        signatures: dict[int, int] = {}
        for value in sorted(set().union(*regions), reverse=True):
            signatures[sum((value in region) << number for number, region in enumerate(regions))] = value
        # What each region has for itself: the values of the fewest regions that it is part of.
        own = [
            min(region, key=lambda value, regions=regions: (sum(value in other for other in regions), value))  # type: ignore[misc]
            for region in regions
        ]
        highest = max(signatures.values())
        table: NDArray[Any] = np.zeros(1 << len(regions), np.uint8 if highest < 256 else np.uint16)
        for code in range(1, len(table)):
            there = [number for number in range(len(regions)) if code >> number & 1]
            inner = min(there, key=lambda number: (len(regions[number]), number))
            table[code] = signatures.get(code, own[inner])
        return table
