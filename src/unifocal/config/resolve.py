"""Defaults, then a protocol, then the YAML file, then flags, then `--set`: one resolved configuration."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from unifocal.config.protocols import with_protocol
from unifocal.problems import InputError, Problem, bad_input

T = TypeVar("T", bound=BaseModel)
_FLAGS = {"predictions": "pred"}


def resolve(schema: type[T], *, config: Path | None, settings: Sequence[str], flags: Mapping[str, Any]) -> T:
    """Resolve a verb's configuration.

    Args:
        schema: The verb's schema.
        config: A YAML file with the schema's keys, a study's own record (study.yaml), or None.
        settings: `key=value` texts; a key may be dotted (`training.epochs=15`), a value is read as YAML.
        flags: Dotted key to value; None means that the flag was not given.

    Raises:
        InputError: With every unreadable file, unknown key and invalid value.
    """
    values = _read_yaml(config) if config is not None else {}
    problems: list[Problem] = []
    for key, value in flags.items():
        if value is not None:
            _assign(values, key, value, problems)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            problems.append(Problem(f"--set {setting}", "has no '='", "Write --set key=value."))
            continue
        try:
            _assign(values, key.strip(), yaml.safe_load(text), problems)
        except yaml.YAMLError:
            problems.append(Problem(f"--set {setting}", "the value cannot be read as YAML", "Put it in quotes."))
    try:
        if "protocol" in schema.model_fields:
            values = with_protocol(values, set(schema.model_fields))
        resolved = schema.model_validate(values)
    except InputError as error:
        raise InputError([*problems, *error.problems]) from None
    except ValidationError as error:
        problems += [_explain(schema, detail) for detail in error.errors()]
        raise InputError(problems) from None
    if problems:
        raise InputError(problems)
    return resolved


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        # Bytes, as YAML tells UTF-16, which PowerShell's `>` writes, by its beginning.
        values = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise bad_input(str(path), f"cannot be read ({error.strerror})", "Give a YAML file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise bad_input(str(path), f"is not valid YAML: {error}", "Mend the file.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise bad_input(str(path), "holds no mapping of keys to values", "Write lines such as 'folds: 5'.")
    if not {"config", "identity"} <= set(values):
        return values
    try:
        return settings_of_record(values)
    except (KeyError, TypeError, AttributeError):
        raise bad_input(
            str(path), "is the record of something else than a comparison", "Give a file of settings, or a study.yaml."
        ) from None


def settings_of_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a study was asked for, from its `study.yaml`; another folder for its results is to be named."""
    # Under `config` stands the network that was built of what was asked for.
    config = {**record["config"], "network": record["identity"]["network"]}
    config.pop("out", None)
    split = config["split"]
    if split["kind"] != "k_fold":
        config["split"] = {name: value for name, value in split.items() if name not in {"folds", "repeats"}}
    return config


def _assign(values: dict[str, Any], key: str, value: Any, problems: list[Problem]) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        inner = values.setdefault(parent, {})
        if not isinstance(inner, dict):
            problems.append(Problem(key, f"'{parent}' is not a section", "Check the key."))
            return
        values = inner
    values[last] = value


def _explain(schema: type[BaseModel], detail: ErrorDetails) -> Problem:
    location = [str(part) for part in detail["loc"]]
    where = ".".join(location) or "configuration"
    if detail["type"] == "extra_forbidden":
        valid = _keys(schema, location[:-1])
        near = difflib.get_close_matches(location[-1], valid, n=3)
        remedy = f"Did you mean {' or '.join(near)}?" if near else f"Known keys: {', '.join(valid)}."
        return Problem(where, "is not a known key", remedy)
    if detail["type"] == "missing":
        flag = _FLAGS.get(location[-1], location[-1].replace("_", "-"))
        return Problem(where, "is missing", f"Give --{flag}.")
    message = detail["msg"].removeprefix("Value error, ")
    return Problem(where, f"got {detail['input']!r}", f"{message[:1].upper()}{message[1:]}.")


def _keys(schema: type[BaseModel], path: Sequence[str]) -> list[str]:
    for name in path:
        field = schema.model_fields.get(name)
        nested = [] if field is None else [field.annotation, *get_args(field.annotation)]
        inner = [kind for kind in nested if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return []
        schema = inner[0]
    return list(schema.model_fields)
