"""Checks of the numbers that users choose."""

import math
from collections.abc import Sequence
from typing import NamedTuple

PerClass = float | Sequence[float]
"""One number for all classes, or one number per class."""


class Interval(NamedTuple):
    """The numbers from `low` to `high`; an end may be left out."""

    low: float
    high: float
    without_low: bool = False
    without_high: bool = False

    def has(self, value: float) -> bool:
        """Whether `value` lies in the interval; never true of infinities and NaN."""
        above = self.low < value if self.without_low else self.low <= value
        below = value < self.high if self.without_high else value <= self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        left, right = "(" if self.without_low else "[", ")" if self.without_high else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


FRACTION = Interval(0, 1)
FRACTION_BELOW_ONE = Interval(0, 1, without_high=True)
NON_NEGATIVE = Interval(0, math.inf, without_high=True)
POSITIVE = Interval(0, math.inf, without_low=True, without_high=True)


def number(name: str, value: object, interval: Interval) -> float:
    """`value` as a float, when it is a number in `interval`.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number in {interval}, got {value!r}")
    if not interval.has(value):
        raise ValueError(f"{name} must lie in {interval}, got {value!r}")
    return float(value)


def per_class(name: str, value: object, interval: Interval) -> float | tuple[float, ...]:
    """`value` as a float, or as a tuple with one float per class; tensors and arrays are taken too.

    Raises:
        TypeError: If it is neither a number nor a sequence of numbers.
        ValueError: If a number lies outside `interval`, or the sequence is empty.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not value:
            raise ValueError(f"{name} must be one number, or one number per class, got {value!r}")
        return tuple(number(f"{name}[{i}]", item, interval) for i, item in enumerate(value))
    return number(name, value, interval)


def choice(name: str, value: str, valid: Sequence[str]) -> None:
    """Check that `value` is one of `valid`.

    Raises:
        ValueError: If it is not.
    """
    if value not in valid:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, valid))}, got {value!r}")
