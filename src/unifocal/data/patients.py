"""Whose image each image is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unifocal.data.table import CasesTable
from unifocal.problems import Problem, bad_input


@dataclass(frozen=True)
class Patients:
    """The patients of a data set.

    Attributes:
        by_image: The patient of each image for which one is known, or every image's stem where none is.
        named: All patients that images or table name, those behind a fault included.
        are_known: Whether a table or a pattern names them; otherwise every image counts as a patient of its own.
    """

    by_image: Mapping[Path, str]
    named: frozenset[str]
    are_known: bool


def find_patients(
    images: Sequence[Path], *, table: CasesTable | None, pattern: str | None
) -> tuple[Patients, list[Problem]]:
    """Find each image's patient: by the pattern, else by the table, else every image is its own.

    Args:
        images: Image files.
        table: The table of cases.
        pattern: A regular expression that finds the patient in an image's stem; see `Layout.patient_pattern`.

    Returns:
        The patients, and a problem for each image in which the pattern finds none. Images that the
        table does not name are `match_rows`'s to report.

    Raises:
        InputError: If the pattern is not a regular expression.
    """
    if pattern is not None:
        return _by_pattern(images, pattern)
    if table is not None and table.has_patients:
        rows = {path: table.rows[path.stem] for path in images if path.stem in table.rows}
        by_image = {path: row.patient for path, row in rows.items() if row.patient}
        named = frozenset(row.patient for row in table.rows.values() if row.patient)
        return Patients(by_image, named, are_known=True), []
    by_image = {path: path.stem for path in images}
    return Patients(by_image, frozenset(by_image.values()), are_known=False), []


def match_rows(images: Sequence[Path], table: CasesTable) -> list[Problem]:
    """A problem for each row without an image and each image without a row, or one if nothing matches."""
    stems = {path.stem for path in images}
    if stems.isdisjoint(table.rows):
        shown = next(iter(table.rows), None)
        what = (
            f"none of its rows names any of the {len(images)} images "
            f"(the first image is {images[0].stem!r}, the first row's {table.case_column!r} is {shown!r})"
        )
        return [Problem(str(table.path), what, "Give the column of image names with --case-column, or mend the names.")]
    missing = [
        Problem(
            f"{table.path}, line {row.line}",
            f"no image in {images[0].parent} is named {stem!r}",
            "Add the image, or remove the line.",
        )
        for stem, row in table.rows.items()
        if stem not in stems
    ]
    unnamed = [path for path in images if path.stem not in table.rows]
    remedy = f"Add a line with the {table.case_column} {{!r}}, or remove the image."
    return missing + [Problem(str(path), f"has no line in {table.path}", remedy.format(path.stem)) for path in unnamed]


def _by_pattern(images: Sequence[Path], pattern: str) -> tuple[Patients, list[Problem]]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        where = f"--patient-pattern {pattern}"
        raise bad_input(where, f"is not a regular expression ({error})", "Mend it, for example '^p[0-9]+'.") from None
    found = {path: _match(expression, path.stem) for path in images}
    by_image = {path: patient for path, patient in found.items() if patient}
    patients = Patients(by_image, frozenset(by_image.values()), are_known=True)
    if not by_image:
        what = f"finds no patient in any of the {len(images)} images' names (the first is {images[0].stem!r})"
        return patients, [Problem(f"--patient-pattern {pattern}", what, "Mend the pattern.")]
    remedy = "Mend the pattern, or rename the image."
    what = f"--patient-pattern {pattern} finds no patient in its name"
    return patients, [Problem(str(path), what, remedy) for path, patient in found.items() if not patient]


def _match(expression: re.Pattern[str], stem: str) -> str | None:
    match = expression.search(stem)
    if match is None:
        return None
    if "patient" in expression.groupindex:
        return match["patient"]
    return match[1] if expression.groups else match[0]
