"""How a value may be written on the command line or in YAML."""

import ast
import math
import os
import re
from pathlib import Path
from typing import Any

_CALL = re.compile(r"^\s*(?P<name>[A-Za-z_][\w.:]*)\s*(?:\((?P<inside>.*)\))?\s*$", re.DOTALL)


def parse_size(value: Any) -> Any:
    """`128`, `"512x800"` (rows x columns), `"96x96x96"` (slices x rows x columns), or two or three numbers."""
    if isinstance(value, str):
        value = [part.strip() for part in value.lower().split("x")]
        value = value[0] if len(value) == 1 else value
    if isinstance(value, int | str):
        return (value, value)
    return value


def parse_spacing(value: Any) -> Any:
    """`0.5`, `"0.5x0.7"`, `"0.5,0.7"` or 2 or 3 numbers: distances along (slices,) rows and columns in mm."""
    if isinstance(value, str):
        value = [part.strip() for part in re.split("[x,]", value.lower())]
        value = value[0] if len(value) == 1 else value
    if isinstance(value, int | float | str):
        value = (value, value)
    if value is None or (
        isinstance(value, list | tuple) and len(value) in (2, 3) and all(_is_distance(part) for part in value)
    ):
        return value
    message = f"distances in mm must be 2 or 3 finite numbers above 0, got {value}"
    raise ValueError(message)


def _is_distance(value: Any) -> bool:
    try:
        return 0 < float(value) < math.inf
    except (TypeError, ValueError):
        return False


def parse_memory(value: Any) -> Any:
    """`4 GB` (10^9 each), `500 MiB` (2^20 each), or a number of bytes; above 0."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    text = str(value).strip()
    try:
        fits = TypeAdapter(ByteSize).validate_python(text) > 0
    except ValidationError:
        fits = False
    if not fits:
        message = "write a number above 0 and a unit, such as 4 GB or 500 MiB"
        raise ValueError(message)
    return text


def parse_numbers(value: Any) -> Any:
    """`3`, `"0,1,2"` or a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [value]
    return value


def parse_skull_strip(value: Any) -> Any:
    """`true` is the improved method, `false` none; else a method's name."""
    return "improved" if value is True else value or ""


def parse_regions(value: Any) -> Any:
    """`"whole=1+2+4,core=1+4"`, or a mapping of names to values.

    Raises:
        ValueError: If a text is not so written.
    """
    if not isinstance(value, str):
        return {} if value is None else value
    regions: dict[str, list[str]] = {}
    for part in split_outside_parentheses(value):
        name, equals, values = part.partition("=")
        if not equals or not name.strip() or name.strip() in regions:
            message = f"{part!r} is no region of its own; write name=1+2+4"
            raise ValueError(message)
        regions[name.strip()] = [number.strip() for number in values.split("+")]
    return regions


def parse_folders(value: Any) -> Any:
    """Folders with names: `NAME=DIR`, or `DIR` under its own name; one, a list, or a mapping.

    Raises:
        ValueError: If two have the same name.
    """
    if isinstance(value, dict) or value is None:
        return value or {}
    named: dict[str, Path] = {}
    for item in value if isinstance(value, list | tuple) else [value]:
        name, equals, folder = (part.strip() for part in str(item).partition("="))
        if not equals or not name or "/" in name or os.sep in name or Path(item).is_dir():
            name, folder = Path(item).resolve().name, str(item)
        if name in named:
            message = f"two folders are called {name!r} ({named[name]} and {folder}); name them: NAME=DIR"
            raise ValueError(message)
        named[name] = Path(folder)
    return named


def parse_searched(value: Any) -> Any:
    """Settings to search: `gamma`, `gamma=0.1:0.9`, `gamma=0.1:0.9:0.1`, `augmentation=none|standard`; with commas.

    Raises:
        ValueError: If a text is not so written.
    """
    if isinstance(value, str):
        value = split_outside_parentheses(value)
    if isinstance(value, dict) or not isinstance(value, list | tuple):
        value = [value]
    return [_parse_searched(item) if isinstance(item, str) else item for item in value]


def _parse_searched(text: str) -> dict[str, Any]:
    name, equals, said = (part.strip() for part in text.partition("="))
    if not name or (equals and not said):
        message = f"{text!r} is nothing to search; write gamma, gamma=0.1:0.9, gamma=0.1:0.9:0.1 or gamma=0.1|0.5"
        raise ValueError(message)
    if not equals:
        return {"name": name}
    if ":" not in said:
        return {"name": name, "choices": [_literal(part.strip()) for part in said.split("|")]}
    try:
        numbers = [float(part) for part in said.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3):
        message = f"{said!r} is no range; write low:high or low:high:step"
        raise ValueError(message)
    low, high = numbers[:2]
    if not low < high:
        message = f"in {text!r} the first number must be below the second"
        raise ValueError(message)
    return {"name": name, "low": low, "high": high, "step": numbers[2] if len(numbers) == 3 else None}


def all_different(values: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse repeated numbers.

    Raises:
        ValueError: If a number stands twice.
    """
    if len(set(values)) < len(values):
        message = f"each number may stand once, got {values}"
        raise ValueError(message)
    return values


def no_auto(value: str | None) -> str | None:
    """None for `auto`: both leave a choice to the machine."""
    return None if value == "auto" else value


def parse_one_loss(value: Any) -> Any:
    """As `parse_losses`, for exactly one.

    Raises:
        ValueError: Also if it is none or several.
    """
    losses = parse_losses(value)
    if len(losses) != 1:
        message = f"give one loss, got {len(losses)}"
        raise ValueError(message)
    return losses[0]


def parse_losses(value: Any) -> Any:
    """Losses as `bce,focal(gamma=3)`, as a list of such texts, or as mappings with `name` and `parameters`.

    Raises:
        ValueError: If a text is no name, or no call with keywords and literal values.
    """
    if isinstance(value, str):
        value = split_outside_parentheses(value)
    if isinstance(value, dict) or not isinstance(value, list | tuple):
        value = [value]
    return [_parse_loss(item) if isinstance(item, str) else item for item in value]


def split_outside_parentheses(text: str) -> list[str]:
    """Split at commas, except those inside brackets.

    >>> split_outside_parentheses("bce,focal(alpha=0.25, gamma=2)")
    ['bce', 'focal(alpha=0.25, gamma=2)']
    """
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def _parse_loss(text: str) -> dict[str, Any]:
    match = _CALL.match(text)
    if match is None:
        message = f"{text!r} is not a loss; write a name or name(parameter=value, ...)"
        raise ValueError(message)
    parameters: dict[str, Any] = {}
    for argument in split_outside_parentheses(match["inside"] or ""):
        key, equals, literal = argument.partition("=")
        if not equals:
            message = f"{argument!r} in {text!r} has no name; write parameter=value"
            raise ValueError(message)
        if key.strip() in parameters:
            message = f"{text!r} gives {key.strip()} twice"
            raise ValueError(message)
        parameters[key.strip()] = _literal(literal.strip())
    return {"name": match["name"], "parameters": parameters}


def _literal(text: str) -> Any:
    named = {"true": True, "false": False, "none": None}
    if text.lower() in named:
        return named[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
