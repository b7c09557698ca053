"""What a preprocessing step is, and how its parameters are declared and checked."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from unifocal.preprocessing.sample import Sample

Reader: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True)
class Step:
    """One step of a pipeline; its fields are its parameters.

    Attributes:
        title: What it does, in a line.
        source: Who did so first, or where it is described.
        version: Raised whenever the same parameters give other results than before.
    """

    title: ClassVar[str]
    source: ClassVar[str] = ""
    version: ClassVar[int] = 1

    def apply(self, sample: Sample) -> Sample:
        """The sample after this step; what it was given stays as it is.

        Raises:
            InputError: If the sample lacks what the step needs.
        """
        raise NotImplementedError

    def parameters(self) -> dict[str, Any]:
        """All parameters as values that JSON and YAML hold."""
        values = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values}


def _parameter(read: Reader, meaning: str, default: Any) -> Any:
    metadata = {"read": read, "meaning": meaning}
    if default is ...:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def choice(*values: str, meaning: str, default: Any = ...) -> Any:
    """A parameter that is one of some words."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise ValueError(f"Give one of {', '.join(values)}")
        return value

    return _parameter(read, meaning, default)


def switch(*, meaning: str, default: bool) -> Any:
    """A parameter that is true or false."""

    def read(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError("Give true or false")
        return value

    return _parameter(read, meaning, default)


def number(*, meaning: str, default: Any = ..., low: float = -math.inf, high: float = math.inf) -> Any:
    """A parameter that is a finite number within limits."""
    return _parameter(lambda value: _number(value, low, high), meaning, default)


def whole(*, meaning: str, default: Any = ..., low: int = 1) -> Any:
    """A parameter that is a whole number, at least `low`."""
    return _parameter(lambda value: _whole(value, low), meaning, default)


def per_axis(*, meaning: str, default: Any = ..., is_whole: bool, optional: bool = False) -> Any:
    """A parameter with one positive number per spatial axis, two or three of them."""

    def read(value: Any) -> tuple[Any, ...] | None:
        if value is None and optional:
            return None
        if not isinstance(value, list | tuple) or len(value) not in (2, 3):
            raise ValueError("Give two or three numbers, one per spatial axis")
        return tuple(_whole(one, 1) if is_whole else _number(one, 1e-6, math.inf) for one in value)

    return _parameter(read, meaning, default)


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("Give a number")
    if not low <= value <= high:
        limits = [f"{name} {limit:g}" for name, limit in (("at least", low), ("at most", high)) if math.isfinite(limit)]
        raise ValueError(f"Give a number of {' and '.join(limits)}")
    return float(value)


def _whole(value: Any, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(f"Give a whole number of at least {low}")
    return value
