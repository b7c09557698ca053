"""A split that the user gives as a file: whose images train, validate and test in each fold."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unifocal.data.case import Case
from unifocal.data.pairing import one_spelling
from unifocal.problems import Problem, bad_input, raise_if_any

PARTS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
    "none": "none",
}  # fmt: skip
_FORMAT = (
    "Write a CSV with the column case or patient, and the column part (training, validation, test, none) or fold (the "
    "number of the fold that tests it) or both; or a JSON list of folds as nnU-Net's splits_final.json."
)
_KIND = "split-invalid"


@dataclass(frozen=True)
class GivenSplit:
    """What a split file says.

    Attributes:
        path: The file.
        keyed_by: Whether its names are those of cases or of patients.
        folds: Per fold, the part (`train`, `validation`, `test`, `none`) of each name, in `one_spelling`.
        tests_only: Whether it says only who is tested, so that all others of a fold train.
    """

    path: Path
    keyed_by: str
    folds: tuple[Mapping[str, str], ...]
    tests_only: bool


def read_split(path: Path) -> GivenSplit:
    """Read a split file.

    A CSV has the column `case` or `patient`, and `part` or `fold` or both. With `fold` alone, its value is the number
    of the fold in which the row is tested; in all others it trains. A JSON file is a list with a mapping of `train`,
    `val` and perhaps `test` per fold, as nnU-Net's `splits_final.json`: without `test`, what nnU-Net holds out as
    `val` is tested.

    Raises:
        InputError: If the file cannot be read or says something else, with every such line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise bad_input(str(path), f"cannot be opened ({error.strerror})", "Check the file.", kind=_KIND) from None
    except UnicodeDecodeError:
        raise bad_input(str(path), "is not text in UTF-8", _FORMAT, kind=_KIND) from None
    return _from_json(path, text) if path.suffix.lower() == ".json" else _from_csv(path, text)


def parts_of_units(split: GivenSplit, cases: Sequence[Case], *, by: str) -> tuple[list[dict[str, str]], list[Problem]]:
    """Per fold, the part of each patient (or image), as the split file says.

    Args:
        split: The file's content.
        cases: All cases of the data set.
        by: `patient` or `image`: what may not stand on two sides.

    Returns:
        Per fold, the part of each unit's name, those of part `none` left out; and a problem for each name that is
        unknown, each case that the file does not name, and each patient on several sides.
    """
    key = "name" if split.keyed_by == "case" else "patient"
    name_of = {case.name: one_spelling(getattr(case, key)) for case in cases}
    known = set(name_of.values())
    problems = [
        Problem(str(split.path), f"names the {split.keyed_by} {name!r}, which the data do not have",
                "Remove the line, or mend the name.", "split-unknown")
        for name in sorted({name for fold in split.folds for name in fold} - known)
    ]  # fmt: skip
    missing = sorted(known - {name for fold in split.folds for name in fold})
    problems += [
        Problem(str(split.path), f"says nothing of the {split.keyed_by} {name!r}",
                "Add a line; the part none leaves it out.", "split-missing")
        for name in missing
    ]  # fmt: skip
    default = "train" if split.tests_only else "none"
    torn: dict[str, list[tuple[int, set[str]]]] = defaultdict(list)
    folds = []
    for number, fold in enumerate(split.folds):
        sides: dict[str, set[str]] = defaultdict(set)
        for case in cases:
            sides[case.patient if by == "patient" else case.name].add(fold.get(name_of[case.name], default))
        for unit, where in sides.items():
            if len(where) > 1:
                torn[unit].append((number, where))
        folds.append({unit: min(where) for unit, where in sides.items() if where != {"none"}})
    return folds, problems + [_torn(split.path, unit, places) for unit, places in torn.items()]


def _torn(path: Path, patient: str, places: Sequence[tuple[int, set[str]]]) -> Problem:
    number, where = places[0]
    more = f", and likewise in {len(places) - 1} more folds" if len(places) > 1 else ""
    return Problem(
        str(path),
        f"images of the patient {patient!r} are in {' and in '.join(sorted(where))} of fold {number}{more}",
        "Put each patient into one part, or set split.by=image if that is wanted.",
        "patient-on-both-sides",
    )


def _from_json(path: Path, text: str) -> GivenSplit:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_input(str(path), f"is not JSON ({error})", _FORMAT, kind=_KIND) from None
    folds = content if isinstance(content, list) else [content]
    problems = []
    read: list[dict[str, str]] = []
    for number, fold in enumerate(folds):
        if not isinstance(fold, Mapping) or not fold or not all(_is_names(names) for names in fold.values()):
            problems.append(
                Problem(f"{path}, fold {number}", "is not a mapping of parts to lists of names", _FORMAT, _KIND)
            )
            continue
        named = {PARTS.get(str(part).lower(), ""): _in_one_spelling(names) for part, names in fold.items()}
        if "" in named:
            problems.append(
                Problem(f"{path}, fold {number}", f"has other parts than {', '.join(PARTS)}", _FORMAT, _KIND)
            )
            continue
        if "test" not in named:
            named["test"] = named.pop("validation", [])
        twice = {name for part, names in named.items() for name in names if sum(name in n for n in named.values()) > 1}
        problems += [
            Problem(f"{path}, fold {number}", f"{name!r} is in several parts", "Keep one.", _KIND)
            for name in sorted(twice)
        ]
        read.append({name: part for part, names in named.items() for name in names})
    if not folds:
        problems.append(Problem(str(path), "holds no folds", _FORMAT, _KIND))
    raise_if_any(problems)
    return GivenSplit(path, "case", tuple(_completed(read)), tests_only=False)


def _completed(folds: Sequence[Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    """Every fold with all names: what a fold of nnU-Net's does not name, it does not use."""
    everyone = {name for fold in folds for name in fold}
    return ({name: fold.get(name, "none") for name in everyone} for fold in folds)


def _in_one_spelling(names: Sequence[str]) -> list[str]:
    return [one_spelling(name) for name in names]


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _from_csv(path: Path, text: str) -> GivenSplit:
    first = text.split("\n", maxsplit=1)[0]
    try:
        lines = text.splitlines()
        rows = list(csv.DictReader(lines, delimiter=max(",;\t", key=first.count), strict=True))
    except csv.Error as error:
        raise bad_input(str(path), f"is not a table ({error})", _FORMAT, kind=_KIND) from None
    # Cells beyond the columns are under None; a comma at the end of each line makes a column without a name.
    columns = {name.strip().lower(): name for name in (rows[0] if rows else {}) if name is not None and name.strip()}
    keyed_by = next((name for name in ("case", "patient") if name in columns), None)
    if keyed_by is None or not columns.keys() & {"part", "fold"}:
        found = f"its columns are {', '.join(columns)}" if columns else "it holds no rows"
        raise bad_input(str(path), f"is not a split: {found}", _FORMAT, kind=_KIND)
    problems: list[Problem] = []
    said: dict[tuple[int, str], str] = {}
    for line, row in enumerate(rows, start=2):
        cells = {name: str(row[column] or "").strip() for name, column in columns.items()}
        entry = _entry(path, line, cells, problems)
        if entry is None:
            continue
        number, part = entry
        key = (number, one_spelling(cells[keyed_by]))
        if said.setdefault(key, part) != part:
            problems.append(
                Problem(f"{path}, line {line}", f"puts {key[1]!r} into another part than before", "Keep one.", _KIND)
            )
    raise_if_any(problems)
    numbers = sorted({number for number, _ in said})
    folds = tuple({name: part for (fold, name), part in said.items() if fold == number} for number in numbers)
    return GivenSplit(path, keyed_by, folds, tests_only="part" not in columns)


def _entry(path: Path, line: int, cells: Mapping[str, str], problems: list[Problem]) -> tuple[int, str] | None:
    where = f"{path}, line {line}"
    number, part = 0, "test"
    if "fold" in cells:
        if not cells["fold"].isdecimal():
            problems.append(Problem(where, f"the fold {cells['fold']!r} is not a whole number from 0", _FORMAT, _KIND))
            return None
        number = int(cells["fold"])
    if "part" in cells:
        if cells["part"].lower() not in PARTS:
            problems.append(Problem(where, f"the part {cells['part']!r} is none of {', '.join(PARTS)}", _FORMAT, _KIND))
            return None
        part = PARTS[cells["part"].lower()]
    return number, part
