"""Fills docs/data-sets.md with what the catalogue knows.

`python docs/make_data_sets.py` rewrites the parts of the page between its `generated` comments; the prose around them
is written by hand.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from generated import filled

from unifocal.data.catalogue import Entry, entries
from unifocal.data.datasets import layout_names, layout_options
from unifocal.data.layouts.options import Option

PAGE = Path(__file__).parent / "data-sets.md"


def overview() -> str:
    """One row for each data set."""
    rows = ["| `--layout` | task | images | licence |", "|---|---|---|---|"]
    rows += [f"| [`{each.name}`](#{each.name}) | {each.task} | {each.size} | {each.licence} |" for each in entries()]
    return "\n".join(rows)


def data_sets() -> str:
    """Every data set: how to get it, what is read, what can be chosen."""
    return "\n\n".join(_data_set(each) for each in entries())


def _data_set(each: Entry) -> str:
    facts = [
        ("What", f"{each.task}; {each.modality}"),
        ("Size", each.size),
        ("How to get it", each.obtain),
        ("Licence", each.licence),
        ("Cite", each.citation),
        ("Published split", each.split),
    ]
    parts = [f"### {each.name}", f"{each.title}.", "\n".join(f"- **{name}:** {linked(text)}" for name, text in facts)]
    parts.append("Files:\n\n" + "\n".join(f"- `{files}`" for files in each.files))
    if each.options:
        parts.append(_options(each.options))
    if each.notes:
        parts.append("Mind:\n\n" + "\n".join(f"- {linked(note)}" for note in each.notes))
    return "\n\n".join(parts)


def options() -> str:
    """The options of the general layouts."""
    general = [name for name in layout_names() if name not in {each.name for each in entries()}]
    return "\n\n".join(f"`{name}`:\n\n{_options(layout_options(name))}" for name in general if layout_options(name))


def _options(known: Mapping[str, Option]) -> str:
    rows = ["| option | default | meaning |", "|---|---|---|"]
    rows += [f"| `{name}` | `{_written(option.default)}` | {option.meaning} |" for name, option in known.items()]
    return "\n".join(rows)


def _written(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default) or '""'


def linked(text: str) -> str:
    """DOIs as links."""
    return re.sub(r"doi:(10\.\d{4,}/[^\s,)]*[^\s,.)])", r"[doi:\1](https://doi.org/\1)", text)


PARTS = {"overview": overview, "options": options, "data_sets": data_sets}


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), PARTS), encoding="utf-8")
