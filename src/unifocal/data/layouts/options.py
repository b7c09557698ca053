"""What can be chosen when a layout is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unifocal.problems import InputError, Problem


@dataclass(frozen=True)
class Option:
    """Something that can be chosen when a data set is read.

    Attributes:
        default: What holds unless something else is given; its type is the value's.
        meaning: In one sentence.
        choices: The values that are allowed; empty where any of the type is.
    """

    default: Any
    meaning: str
    choices: tuple[Any, ...] = ()


def resolve(layout: str, known: Mapping[str, Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """A layout's options, with their defaults where nothing was given.

    Args:
        layout: Its name, for messages.
        known: Its options.
        given: What the user gave.

    Raises:
        InputError: With one problem for each option that there is not, or whose value is none of its own.
    """
    problems = []
    for key, value in given.items():
        where = f"option {key}"
        if key not in known:
            valid = f"Valid: {', '.join(known)}." if known else f"Remove data.options.{key}: this layout has none."
            problems.append(Problem(where, f"the layout {layout} has no such option", valid, "option-unknown"))
        elif not _fits(value, known[key]):
            default, choices = known[key].default, known[key].choices
            remedy = f"Give one of {', '.join(map(str, choices))}." if choices else f"Give a value such as {default!r}."
            problems.append(Problem(where, f"is {value!r:.80}", remedy, "option-invalid"))
    if problems:
        raise InputError(problems)
    return {key: given.get(key, option.default) for key, option in known.items()}


def _fits(value: object, option: Option) -> bool:
    if option.choices:
        return any(value == choice for choice in option.choices)
    if isinstance(option.default, str) and isinstance(value, list | tuple):
        return all(isinstance(each, str) for each in value)
    return type(value) is type(option.default)
