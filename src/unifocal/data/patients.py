"""Whose image each image is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
        by_case = {name: table.rows[name].patient for name in images if name in table.rows}
        by_case = {name: patient for name, patient in by_case.items() if patient}
        named = frozenset(row.patient for row in table.rows.values() if row.patient)
        return Patients(by_case, named, are_known=True), []
    by_case = {name: name for name in images}
    return Patients(by_case, frozenset(by_case), are_known=False), []


def match_rows(images: Mapping[str, Path], table: CasesTable) -> list[Problem]:
    """A problem for each row without an image and each image without a row, or one if nothing matches."""
    if images.keys().isdisjoint(table.rows):
        shown = next(iter(table.rows), None)
        what = (
            f"none of its rows names any of the {len(images)} images "
            f"(the first image is {next(iter(images))!r}, the first row's {table.case_column!r} is {shown!r})"
        )
        remedy = "Give the column of image names with --case-column, or mend the names."
        return [Problem(str(table.path), what, remedy, "table-matches-nothing")]
    folder = next(iter(images.values())).parent
    missing = [
        Problem(
            f"{table.path}, line {row.line}",
            f"no image in {folder} is named {name!r:.200}",
            "Add the image, or remove the line.",
            "image-missing",
        )
        for name, row in table.rows.items()
        if name not in images
    ]
    remedy = f"Add a line with the {table.case_column} {{!r}}, or remove the image."
    return missing + [
        Problem(str(path), f"has no line in {table.path}", remedy.format(name), "table-lacks-case")
        for name, path in images.items()
        if name not in table.rows
    ]


def _by_pattern(images: Mapping[str, Path], pattern: str) -> tuple[Patients, list[Problem]]:
    where = f"--patient-pattern {pattern}"
    try:
        expression = re.compile(pattern)
    except re.error as error:
        what, remedy = f"is not a regular expression ({error})", "Mend it, for example '^p[0-9]+'."
        raise bad_input(where, what, remedy, kind="pattern-broken") from None
    found = {name: _match(expression, name) for name in images}
    by_case = {name: patient for name, patient in found.items() if patient}
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


def _match(expression: re.Pattern[str], name: str) -> str | None:
    match = expression.search(name)
    if match is None:
        return None
    if "patient" in expression.groupindex:
        return match["patient"]
    return match[1] if expression.groups else match[0]
