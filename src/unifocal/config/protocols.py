"""The sources' protocols as settings: YAML files beside this one, which anybody can read and change."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from typing import Any

import yaml

from unifocal.problems import bad_input

QUICK: Mapping[str, Any] = {"network": {"width": 8}, "training": {"epochs": 5}}
"""What a quick try changes where no protocol is named."""


@dataclass(frozen=True)
class Protocol:
    """One protocol.

    Attributes:
        name: As `--protocol` takes it.
        title: What was studied.
        source: Who did.
        unconfirmed: Numbers that the sources do not tell for sure.
        departures: What is done otherwise here, and how.
        settings: Under the keys of a study's configuration.
        quick: What `--budget quick` puts in their place.
        text: The file.
    """

    name: str
    title: str
    source: str
    unconfirmed: tuple[str, ...]
    departures: tuple[str, ...]
    settings: Mapping[str, Any]
    quick: Mapping[str, Any]
    text: str

    def about(self) -> dict[str, Any]:
        """What a study's record says of it."""
        return {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "unconfirmed": list(self.unconfirmed),
            "departures": list(self.departures),
        }

    def as_config(self) -> str:
        """The settings as a file for `--config`, with their remarks."""
        head, _, rest = self.text.partition("\nsettings:\n")
        comments = "\n".join(line for line in head.splitlines() if line.startswith("#"))
        told = [f"# Not confirmed: {each}" for each in self.unconfirmed]
        told += [f"# Departs from the source: {each}" for each in self.departures]
        body = textwrap.dedent(rest.partition("\nquick:\n")[0])
        return "\n".join([comments, *told, body.rstrip(), ""])


def protocol_names() -> tuple[str, ...]:
    """All protocols."""
    folder = files("unifocal.config") / "protocols"
    return tuple(sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.endswith(".yaml")))


def read_protocol(name: str) -> Protocol:
    """A protocol by its name.

    Raises:
        InputError: If there is none of that name.
    """
    known = protocol_names()
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise bad_input(f"--protocol {name}", "is no protocol", f"{hint}Known: {', '.join(known)}.")
    text = (files("unifocal.config") / "protocols" / f"{name}.yaml").read_text("utf-8")
    content = yaml.safe_load(text)
    about = content["about"]
    return Protocol(
        name=name,
        title=about["title"],
        source=about["source"],
        unconfirmed=tuple(about["unconfirmed"]),
        departures=tuple(about["departures"]),
        settings=content["settings"],
        quick=content["quick"],
        text=text,
    )


def with_protocol(given: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    """What was given, over what the protocol and the budget that it names say.

    Args:
        given: Settings from files, flags and `--set`; `protocol` and `budget` among them.
        keys: The settings that the verb has; others of the protocol are left out.

    Raises:
        InputError: If the protocol or the budget is unknown.
    """
    name, budget = given.get("protocol"), given.get("budget") or "full"
    if budget not in {"full", "quick"}:
        raise bad_input(f"--budget {budget}", "is no budget", "Give full or quick.")
    protocol = None if name is None else read_protocol(str(name))
    base: dict[str, Any] = {} if protocol is None else merged({}, protocol.settings)
    if budget == "quick":
        base = merged(base, QUICK if protocol is None else protocol.quick)
    base = {key: value for key, value in base.items() if key in keys}
    split = given.get("split")
    if isinstance(split, Mapping) and split.get("kind", "k_fold") != "k_fold":
        base.get("split", {}).pop("folds", None)
    return merged(base, given)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings as one; where both have a value that is no mapping, the second's counts."""
    result = dict(below)
    for key, value in above.items():
        earlier = result.get(key)
        if isinstance(value, Mapping):
            result[key] = merged(earlier if isinstance(earlier, Mapping) else {}, value)
        else:
            result[key] = value
    return result
