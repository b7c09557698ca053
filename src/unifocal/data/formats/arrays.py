"""What all readers do with the numbers that a file holds."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unifocal.data.formats.errors import UnreadableError
from unifocal.problems import bad_input

Array = np.ndarray[Any, Any]
Image = np.ndarray[Any, np.dtype[np.float32]]
Mask = np.ndarray[Any, np.dtype[np.integer[Any]]]

MAX_ELEMENTS = 300_000_000
"""As float32, 1.2 GB: room for the longest scans of the public data sets (KiTS19: 512x512x1059)."""
LIMIT_VARIABLE = "UNIFOCAL_MAX_ELEMENTS"

_AS_LABELS = "Save whole numbers: 0 background, 1, 2, ... labels (pictures also 255 for foreground)."


def max_elements() -> int:
    """How many numbers one file may hold; the environment variable `UNIFOCAL_MAX_ELEMENTS` changes it.

    Raises:
        InputError: If the variable is no whole number above 0.
    """
    said = os.environ.get(LIMIT_VARIABLE, "")
    if not said:
        return MAX_ELEMENTS
    if not said.isdecimal() or int(said) < 1:
        raise bad_input(LIMIT_VARIABLE, f"is {said!r}", "Give a whole number above 0, or unset it.")
    return int(said)


def check_size(path: Path, shape: Sequence[int]) -> None:
    """Refuse a file by what its header promises, before memory is set aside for it.

    Args:
        path: The file, for messages.
        shape: Length of every axis, channels included.

    Raises:
        UnreadableError: If an axis has no length, or all together hold more than `max_elements()`.
    """
    if not shape or min(shape) < 1:
        what = f"holds nothing: its header says {_size(shape)} elements"
        raise UnreadableError(path, what, "Export it again.", kind="no-elements")
    count = math.prod(int(length) for length in shape)
    if count > max_elements():
        what = f"has {count / 1e6:.0f} million elements ({_size(shape)}), more than {max_elements() / 1e6:.0f} million"
        remedy = f"Cut it or scale it down, or set the environment variable {LIMIT_VARIABLE} if the memory suffices."
        raise UnreadableError(path, what, remedy, kind="too-large")


def as_image(array: Array) -> Image:
    """float32, C-contiguous, writable, in the machine's byte order."""
    # A float64 value beyond float32's range becomes infinite, which the check of the data reports.
    with np.errstate(over="ignore", invalid="ignore"):
        # In order first: to turn few bytes round takes less time than to turn round four for each.
        return np.require(np.ascontiguousarray(array), np.float32, ["C", "W"])


def as_mask(array: Array, path: Path) -> Mask:
    """Integers, C-contiguous, writable, in the machine's byte order; booleans become 0 and 1.

    Raises:
        UnreadableError: If a value is not a whole number, or too large for a label.
    """
    if array.dtype.kind == "b":
        return np.require(array, np.uint8, ["C", "W"])
    if array.dtype.kind in "iu":
        return np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
    if array.dtype.kind != "f":
        what = f"holds {array.dtype.name} numbers; a mask has one whole number per element"
        raise UnreadableError(path, what, _AS_LABELS, kind="mask-not-whole")
    # float16 ends below 2**31.
    array = array.astype(np.float32) if array.dtype.itemsize == 2 else array
    whole = np.isfinite(array) & (np.abs(array) < 2**31) & (np.round(array) == array)
    if not whole.all():
        what = f"has values that are not whole numbers, for instance {array[~whole][0]:g}"
        raise UnreadableError(path, what, _AS_LABELS, kind="mask-not-whole")
    return np.require(array, np.int32, ["C", "W"])


def channels_are_equal(array: Array) -> bool:
    """Whether the last axis holds the same value throughout; NaN equals NaN."""
    return np.array_equal(array, np.broadcast_to(array[..., :1], array.shape), equal_nan=array.dtype.kind == "f")


def one_channel(array: Array, path: Path) -> Array:
    """The single channel of a mask: (channels, *spatial) to (*spatial).

    Raises:
        UnreadableError: If there are several channels that differ.
    """
    if len(array) > 1 and not channels_are_equal(np.moveaxis(array, 0, -1)):
        what = f"has {len(array)} channels; a mask has one whole number per element"
        raise UnreadableError(path, what, "Save one channel of labels.", kind="mask-channels")
    return np.asarray(array[0])


def _size(shape: Sequence[int]) -> str:
    return " x ".join(str(length) for length in shape) or "no"
