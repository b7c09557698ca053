"""The table of cases: a CSV file with a row per image."""

import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unifocal.data.pairing import one_spelling
from unifocal.data.read import stem_of
from unifocal.problems import Problem, bad_input

_SPACING_COLUMNS = ("spacing_mm", "spacing_slice_mm", "spacing_row_mm", "spacing_column_mm")


@dataclass(frozen=True)
class Row:
    """What the table says of one image.

    Attributes:
        line: The line in the file.
        patient: The patient; "" where the table has no such column or the cell is empty.
        spacing_mm: (row, column), or (slice, row, column) where the table says how far slices lie apart; None where
            it does not say.
        attributes: The other columns.
    """

    line: int
    patient: str
    spacing_mm: tuple[float, ...] | None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CasesTable:
    """The rows by the stem of the image that they name.

    Attributes:
        path: The file.
        rows: The first row for each stem, in `one_spelling`.
        has_patients: Whether there is a column of patients.
        case_column: The column that names the images.
    """

    path: Path
    rows: Mapping[str, Row]
    has_patients: bool
    case_column: str

    def row(self, name: str) -> Row | None:
        """What it says of the image of this name, if it does."""
        return self.rows.get(one_spelling(name))


def read_header(path: Path) -> tuple[str, ...]:
    """The names of a table's columns.

    Raises:
        InputError: If the file is not a table in UTF-8.
    """
    return next(_read_lines(path))[1]


def column_like(name: str, columns: Sequence[str]) -> str | None:
    """The first column of that name, in capitals or not."""
    return next((column for column in columns if column.lower() == name), None)


def read_table(
    path: Path, *, case_column: str | None = None, patient_column: str | None = None
) -> tuple[CasesTable, list[Problem]]:
    """Read a table of cases, separated by commas, semicolons or tabs.

    Args:
        path: The file.
        case_column: The column that names the images (with or without extension); None: `case`, else the first.
        patient_column: The column that names the patients; None: `patient`, where there is one.

    Returns:
        The table, and a problem for each duplicate row, empty cell and unusable distance.

    Raises:
        InputError: If the file is not a table in UTF-8, or lacks a column that was named.
    """
    lines = _read_lines(path)
    _, columns = next(lines)
    for flag, column in (("--case-column", case_column), ("--patient-column", patient_column)):
        if column is not None and column not in columns:
            what = f"has no column {column!r}; its columns are {', '.join(columns)}"
            raise bad_input(str(path), what, f"Give another {flag}.", kind="table-column")
    case = case_column or column_like("case", columns) or columns[0]
    patient = patient_column or column_like("patient", columns)
    problems: list[Problem] = []
    rows: dict[str, Row] = {}
    repeated: dict[str, list[int]] = defaultdict(list)
    for line, values in lines:
        if len(values) > len(columns):
            problems.append(_at(path, line, f"has {len(values)} cells for {len(columns)} columns", "Mend the line."))
        cells = dict(zip(columns, (*values, *[""] * len(columns)), strict=False))
        stem = one_spelling(_without_extension(cells[case]))
        if stem in rows:
            repeated[stem].append(line)
        elif stem:
            rows[stem] = _row(path, line, cells, (case, patient), problems)
        else:
            problems.append(_at(path, line, f"the column {case!r} is empty", "Write the image's name."))
    problems += [
        _at(path, numbers[0], f"names {stem!r} again, as does line {rows[stem].line}", "Keep one of the lines.")
        for stem, numbers in repeated.items()
    ]
    return CasesTable(path, rows, has_patients=patient is not None, case_column=case), problems


def _row(
    path: Path, line: int, cells: Mapping[str, str], roles: tuple[str, str | None], problems: list[Problem]
) -> Row:
    case, patient = roles
    if patient is not None and not cells[patient]:
        problems.append(_at(path, line, f"the column {patient!r} is empty", "Write whose image it is."))
    try:
        spacing = _spacing(cells)
    except ValueError as error:
        problems.append(_at(path, line, str(error), "Write the distance of pixel centres in mm, such as 0.5."))
        spacing = None
    attributes = {name: text for name, text in cells.items() if name not in (case, patient, *_SPACING_COLUMNS)}
    return Row(line, cells[patient] if patient else "", spacing, attributes)


def _spacing(cells: Mapping[str, str]) -> tuple[float, ...] | None:
    both, between_slices, *each = (cells.get(name, "") for name in _SPACING_COLUMNS)
    row, column = (text or both for text in each)
    if not row and not column and not between_slices:
        return None
    return tuple(_millimetres(text) for text in (between_slices, row, column)[not between_slices :])


def _millimetres(text: str) -> float:
    try:
        distance = float(text)
    except ValueError:
        distance = math.nan
    if not 0 < distance < math.inf:
        message = f"the pixel spacing {text!r} is not a number above 0"
        raise ValueError(message)
    return distance


def _without_extension(name: str) -> str:
    path = Path(name)
    return name.removesuffix(path.name[len(stem_of(path)) :])


def _read_lines(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(line number, cells) of the header, then of each line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True)
            rows = [(reader.line_num, tuple(cell.strip() for cell in cells)) for cells in reader if any(cells)]
    except OSError as error:
        raise bad_input(
            str(path), f"cannot be opened ({error.strerror})", "Check the file.", kind="unreadable"
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise bad_input(
            str(path), f"is not a table ({error})", "Save it as CSV in UTF-8.", kind="table-broken"
        ) from None
    if not rows:
        remedy = "Write a line with the columns' names, and a line per image."
        raise bad_input(str(path), "is empty", remedy, kind="table-broken")
    _check_columns(path, rows[0][1])
    return iter(rows)


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise bad_input(
            str(path), f"has several columns {', '.join(map(repr, twice))}", "Rename all but one.", kind="table-broken"
        )


def _at(path: Path, line: int, what: str, remedy: str) -> Problem:
    return Problem(f"{path}, line {line}", what, remedy, "table-line")
