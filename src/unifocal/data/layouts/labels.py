"""The labels that a `dataset.json` declares: names of values, regions, and what is to be ignored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unifocal.problems import Problem

_REMEDY = 'Write labels as {"background": 0, "tumour": 1}, or {"0": "background", "1": "tumour"}.'
_LARGEST = 2**31


@dataclass
class Labels:
    """What is declared.

    Attributes:
        names: Names of the mask's values, without background and what is to be ignored.
        regions: Overlapping regions, each the union of its values; empty where labels do not overlap.
        ignored: The value of pixels that nobody annotated; None where there is none.
    """

    names: dict[int, str] = field(default_factory=dict)
    regions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ignored: int | None = None


def read_labels(content: Mapping[str, Any], where: str, problems: list[Problem]) -> Labels:
    """Read `labels` in either form, name to value (nnU-Net 2, also lists of values) or value to name (Decathlon).

    Args:
        content: The declaration.
        where: To name in problems.
        problems: Grows by one for each entry that means nothing.
    """
    declared = content.get("labels")
    if not isinstance(declared, dict):
        what = "declares no labels" if declared is None else "labels is not a list of names and values"
        problems.append(Problem(where, what, _REMEDY, "labels-undeclared", is_warning=declared is None))
        return Labels()
    groups: dict[str, tuple[int, ...]] = {}
    for key, value in declared.items():
        name, values = (value, _values(key)) if isinstance(value, str) and _values(key) else (key, _values(value))
        if not values or name in groups:
            what = f"the label {key!r:.60} has the value {value!r:.60}, " + ("again" if values else "no whole number")
            problems.append(Problem(where, what, _REMEDY, "json-broken"))
        else:
            groups[name] = values
    return _sorted_out(content, groups, where, problems)


def _sorted_out(
    content: Mapping[str, Any], groups: dict[str, tuple[int, ...]], where: str, problems: list[Problem]
) -> Labels:
    labels = Labels()
    ignored = groups.pop("ignore", None)
    if ignored:
        labels.ignored = ignored[0]
        what = f"the value {ignored[0]} means that pixels were not annotated; they will count as background"
        remedy = "Leave such cases out if that is wrong for them."
        problems.append(Problem(where, what, remedy, "label-ignored", is_warning=True))
    groups = {name: values for name, values in groups.items() if values != (0,)}
    overlapping = any(len(values) > 1 for values in groups.values()) or "regions_class_order" in content
    if overlapping:
        labels.regions = groups
        order = content.get("regions_class_order")
        if not isinstance(order, list) or len(order) != len(groups):
            what = f"regions_class_order does not name one value for each of the {len(groups)} regions"
            problems.append(Problem(where, what, "Mend it.", "json-broken", is_warning=True))
    alone = {values[0]: name for name, values in groups.items() if len(values) == 1}
    if not overlapping and len(alone) < len(groups):
        what = "gives several labels the same value"
        problems.append(Problem(where, what, "Give each a value of its own.", "json-broken"))
    every = sorted({value for values in groups.values() for value in values if value})
    labels.names = {value: alone.get(value, f"label {value}") for value in every}
    return labels


def _values(written: object) -> tuple[int, ...]:
    """The whole numbers that an entry holds; empty where it holds anything else."""
    numbers = [_number(each) for each in (written if isinstance(written, list) else [written])]
    whole = [number for number in numbers if number is not None]
    return tuple(sorted(set(whole))) if len(whole) == len(numbers) else ()


def _number(written: object) -> int | None:
    if isinstance(written, str) and written.isascii() and written.isdecimal() and len(written) < 10:
        return int(written)
    if isinstance(written, int) and not isinstance(written, bool) and 0 <= written < _LARGEST:
        return written
    return None
