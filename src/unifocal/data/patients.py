"""Whose image each image is."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from unifocal.data.pairing import one_spelling
from unifocal.data.table import CasesTable
from unifocal.problems import Problem, bad_input


@dataclass(frozen=True)
class Patients:
    """The patients of a data set.

    Attributes:
        by_case: The patient of each case for which one is known, or every case's name where none is.
        named: All patients that cases or table name, those behind a fault included.
        are_known: Whether a table or a pattern names them; otherwise every case counts as a patient of its own.
    """

    by_case: Mapping[str, str]
    named: frozenset[str]
    are_known: bool


def find_patients(
    images: Mapping[str, Path], *, table: CasesTable | None, pattern: str | None
) -> tuple[Patients, list[Problem]]:
    """Find each case's patient: by the pattern, else by the table, else every case is its own.

    Args:
        images: The image's file by the case's name.
        table: The table of cases.
        pattern: A regular expression that finds the patient in a case's name; see `Layout.patient_pattern`.

    Returns:
        The patients, and a problem for each case in which the pattern finds none. Cases that the
        table does not name are `match_rows`'s to report.

    Raises:
        InputError: If the pattern is not a regular expression.
    """
    if pattern is not None:
        return _by_pattern(images, pattern)
    if table is not None and table.has_patients:
        spelling = _spellings(row.patient for row in table.rows.values() if row.patient)
        rows = {name: row for name in images if (row := table.row(name)) is not None}
        by_case = {name: spelling[one_spelling(row.patient)] for name, row in rows.items() if row.patient}
        return Patients(by_case, frozenset(spelling.values()), are_known=True), []
    by_case = {name: name for name in images}
    return Patients(by_case, frozenset(by_case), are_known=False), []


def match_rows(images: Mapping[str, Path], table: CasesTable, left_out: Collection[str] = ()) -> list[Problem]:
    """A problem for each row without an image and each image without a row, or one if nothing matches.

    Args:
        images: The image's file by the case's name.
        table: The table of cases.
        left_out: Names of images that do not count, which the table may name.
    """
    if not any(table.row(name) for name in images):
        shown = next(iter(table.rows), None)
        what = (
            f"none of its rows names any of the {len(images)} images "
            f"(the first image is {next(iter(images))!r}, the first row's {table.case_column!r} is {shown!r})"
        )
        remedy = "Give the column of image names with --case-column, or mend the names."
        return [Problem(str(table.path), what, remedy, "table-matches-nothing")]
    folder = next(iter(images.values())).parent
    known = {one_spelling(name) for name in (*images, *left_out)}
    missing = [
        Problem(
            f"{table.path}, line {row.line}",
            f"no image in {folder} is named {name!r:.200}",
            "Add the image, or remove the line.",
            "image-missing",
        )
        for name, row in table.rows.items()
        if name not in known
    ]
    remedy = f"Add a line with the {table.case_column} {{!r}}, or remove the image."
    return missing + [
        Problem(str(path), f"has no line in {table.path}", remedy.format(name), "table-lacks-case")
        for name, path in images.items()
        if table.row(name) is None
    ]


def _by_pattern(images: Mapping[str, Path], pattern: str) -> tuple[Patients, list[Problem]]:
    where = f"--patient-pattern {pattern}"
    try:
        expression = re.compile(pattern)
    except re.error as error:
        what, remedy = f"is not a regular expression ({error})", "Mend it, for example '^p[0-9]+'."
        raise bad_input(where, what, remedy, kind="pattern-broken") from None
    found = {name: _match(expression, name) for name in images}
    spelling = _spellings(patient for patient in found.values() if patient)
    by_case = {name: spelling[one_spelling(patient)] for name, patient in found.items() if patient}
    patients = Patients(by_case, frozenset(by_case.values()), are_known=True)
    if not by_case:
        what = f"finds no patient in any of the {len(images)} images' names (the first is {next(iter(images), '')!r})"
        return patients, [Problem(where, what, "Mend the pattern.", "patient-missing")]
    remedy = "Mend the pattern, or rename the image."
    return patients, [
        Problem(str(images[name]), f"{where} finds no patient in its name", remedy, "patient-missing")
        for name, patient in found.items()
        if not patient
    ]


def _spellings(names: Iterable[str]) -> dict[str, str]:
    """For every name in one spelling, the one that came first: where all names agree, they stay what they were."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(one_spelling(name), name)
    return first


def _match(expression: re.Pattern[str], name: str) -> str | None:
    match = expression.search(name)
    if match is None:
        return None
    if "patient" in expression.groupindex:
        return match["patient"]
    return match[1] if expression.groups else match[0]
