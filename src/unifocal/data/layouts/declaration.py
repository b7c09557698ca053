"""A data set's own declaration, `dataset.json`, as nnU-Net and the Decathlon write it."""

import json
import posixpath
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from unifocal.problems import Problem, bad_input

FILE = "dataset.json"
LARGEST_MB = 64
_MR_NAMES = frozenset(
    {"mri", "mr", "flair", "t1", "t1w", "t1gd", "t1ce", "t1c", "t2", "t2w", "adc", "dwi", "pd", "swi"}
)


def read_declaration(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        InputError: If the file cannot be read, is beyond 64 MB, or is not an object in JSON and UTF-8.
    """
    try:
        if path.stat().st_size > LARGEST_MB * 2**20:
            what = f"is larger than {LARGEST_MB} MB, too large for a declaration"
            raise bad_input(str(path), what, "Give the right file.", kind="json-broken")
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise bad_input(
            str(path), f"cannot be opened ({error.strerror})", "Check the file.", kind="unreadable"
        ) from None
    except UnicodeDecodeError:
        raise bad_input(str(path), "is not in UTF-8", "Save it as JSON in UTF-8.", kind="json-broken") from None
    except json.JSONDecodeError as error:
        what = f"is not JSON ({error.msg} in line {error.lineno})"
        raise bad_input(str(path), what, "Mend it, or copy it again.", kind="json-broken") from None
    except (RecursionError, ValueError):
        what = "nests lists too deep, or has numbers that are too long"
        raise bad_input(str(path), what, "Copy it again from its source.", kind="json-broken") from None
    if not isinstance(content, dict):
        what = "holds no object with keys"
        raise bad_input(str(path), what, "Give the data set's own dataset.json.", kind="json-broken")
    return content


def file_inside(folder: Path, text: object, where: str) -> Path | Problem:
    """The file that a declaration names, or the problem that it is no file of the data set.

    Args:
        folder: The data set's folder; the name counts from it.
        text: What the declaration says.
        where: To name in problems.

    Returns:
        A path below `folder` (whether the file is there is not looked at), or what is wrong.
    """
    if not isinstance(text, str) or not text.strip():
        return Problem(where, f"names {text!r:.80} instead of a file", "Name a file of the data set.", "json-broken")
    name = posixpath.normpath(text.strip().replace("\\", "/"))
    if "\0" in name or len(name.encode("utf-8", "replace")) > 1000:
        return Problem(where, f"names {text[:40]!r}, which no file can be called", "Mend the name.", "name-invalid")
    if name.startswith(("/", "../")) or name in {".", ".."} or PureWindowsPath(name).drive:
        what = f"names {text!r:.120}, which lies outside the data set's folder"
        return Problem(where, what, "Copy the file into the folder, and name it from there.", "path-outside")
    return folder / name


def channel_names(content: Mapping[str, Any], where: str, problems: list[Problem]) -> tuple[str, ...]:
    """The channels' names in order, from `channel_names` or, as it was first called, `modality`."""
    key = "channel_names" if "channel_names" in content else "modality"
    named = content.get(key)
    if named is None:
        return ()
    if isinstance(named, list):
        named = dict(enumerate(named))
    if isinstance(named, dict):
        by_number = {str(number): str(name) for number, name in named.items()}
        if by_number.keys() == {str(number) for number in range(len(by_number))}:
            return tuple(by_number[str(number)] for number in range(len(by_number)))
    what = f"{key} does not number the channels from 0 on without gaps"
    problems.append(Problem(where, what, 'Write it as {"0": "T1", "1": "T2"}.', "json-broken"))
    return ()


def modality_of(channels: tuple[str, ...]) -> str:
    """`CT` or `MR` where all channels' names are known to be that, else ""."""
    lowered = {name.strip().lower() for name in channels}
    if lowered == {"ct"}:
        return "CT"
    return "MR" if lowered and lowered <= _MR_NAMES else ""


def declared_number(content: Mapping[str, Any], key: str, found: int, where: str, problems: list[Problem]) -> None:
    """Warn where the declaration counts otherwise than what is there."""
    number = content.get(key)
    if number is not None and number != found:
        what = f"{key} says {number!r:.20}, but there are {found}"
        remedy = "Check whether files are missing, or mend the number."
        problems.append(Problem(where, what, remedy, "count-differs", is_warning=True))
