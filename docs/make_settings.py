"""Fills docs/settings.md with the settings, their defaults and limits: `python docs/make_settings.py`."""

import inspect
import re
from pathlib import Path
from typing import Any, get_args, get_origin

from generated import filled
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from unifocal.config.schema import LossConfig, StudyConfig
from unifocal.config.sections import SearchedConfig, TuningConfig
from unifocal.data.split_plan import SplitPlan

PAGE = Path(__file__).parent / "settings.md"
ELSEWHERE = {"SplitConfig": SplitPlan}
"""Sections whose settings are explained where they are used."""


def meanings(section: type[Any]) -> dict[str, str]:
    """What the docstring of a section says of each of its settings."""
    text = inspect.getdoc(ELSEWHERE.get(section.__name__, section)) or ""
    _, _, attributes = text.partition("Attributes:\n")
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", meaning) for name, meaning in found}


def sections() -> dict[str, type[BaseModel]]:
    """The sections of a study's settings, by their keys."""
    found = {
        name: field.annotation
        for name, field in StudyConfig.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    return found | {"tuning": TuningConfig}


def all_settings() -> str:
    """A table per section."""
    inner = sections()
    parts = [_table("", {name: field for name, field in StudyConfig.model_fields.items() if name not in inner})]
    return "\n\n".join(parts + [f"## {name}\n\n{_table(name, inner[name].model_fields)}" for name in inner])


def _table(section: str, fields: dict[str, FieldInfo]) -> str:
    told = meanings(sections()[section]) if section else meanings(StudyConfig) | meanings(StudyConfig.__base__)
    prefix = f"{section}." if section else ""
    rows = [
        f"| `{prefix}{name}` | {_default(field)} | {told[name].removesuffix('.')}{_choices(field)} |"
        for name, field in fields.items()
    ]
    return "\n".join(["| setting | default | what |", "|---|---|---|", *rows])


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None:
        return "–"
    return f"`{_written(value)}`"


def _written(value: object) -> str:
    if isinstance(value, LossConfig):
        return value.label
    if isinstance(value, SearchedConfig):
        return value.name
    if isinstance(value, tuple):
        return ",".join(map(_written, value)) or "[]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value) or "''"


def _choices(field: FieldInfo) -> str:
    """The words that a setting takes, where it takes only some."""
    words = _literals(field.annotation)
    return f". One of {', '.join(f'`{word}`' if word else 'nothing' for word in words)}" if words else ""


def _literals(annotation: Any) -> tuple[Any, ...]:
    if str(get_origin(annotation)) == "typing.Literal":
        return get_args(annotation)
    return next(filter(None, map(_literals, get_args(annotation))), ())


PARTS = {"settings": all_settings}

if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), PARTS), encoding="utf-8")
