"""What a table of cases and a pattern of patients add to a layout that was recognised."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from unifocal.data.case import Case, Reading
from unifocal.data.layout import usual_table
from unifocal.data.layouts.listing import files_in, is_file
from unifocal.data.layouts.request import Request
from unifocal.data.patients import find_patients, match_rows
from unifocal.data.table import CasesTable, read_table
from unifocal.problems import InputError, Problem


def with_table(
    request: Request, reading: Reading, *, left_out: Collection[str] = (), is_searched: bool = True
) -> Reading:
    """The reading with what the table of cases and the pattern say, which goes before what the layout says.

    Args:
        request: Which data are meant.
        reading: The cases that count.
        left_out: Names of the others, which the table may name as well.
        is_searched: Whether a `cases.csv` in the folder counts that nobody named.
    """
    problems = list(reading.problems)
    cases = reading.dataset.cases
    images = {case.name: case.image.path for case in cases}
    table = _table(request, problems, is_searched=is_searched)
    if table is not None:
        problems += match_rows(images, table, left_out)
    by_case: Mapping[str, str] = {}
    if request.patient_pattern is not None or (table is not None and table.has_patients):
        patients, faults = find_patients(images, table=table, pattern=request.patient_pattern)
        problems += faults
        by_case = patients.by_case
    cases = tuple(_told(case, request, table, by_case) for case in cases)
    known = reading.dataset.patients_known or bool(by_case)
    dataset = replace(reading.dataset, cases=cases, patients_known=known)
    return Reading(dataset, tuple(problems), frozenset(case.patient for case in cases))


def _table(request: Request, problems: list[Problem], *, is_searched: bool) -> CasesTable | None:
    assert request.folder is not None
    path = request.cases_table
    if path is None and request.patient_column is not None:
        path = usual_table(request.folder, request.patient_column)
    if path is None and is_searched:
        # Only of this name: other tables with a column of patients are often the layout's own.
        names = [each.name for each in files_in(request.folder)]
        path = next((Path(name) for name in names if name.lower() == "cases.csv"), None)
    if path is None:
        return None
    inside = request.folder / path
    try:
        table, faults = read_table(
            inside if is_file(inside) else path,
            case_column=request.case_column,
            patient_column=request.patient_column,
        )
    except InputError as error:
        problems += error.problems
        return None
    problems += faults
    return table


def _told(case: Case, request: Request, table: CasesTable | None, by_case: Mapping[str, str]) -> Case:
    row = table.row(case.name) if table is not None else None
    return replace(
        case,
        patient=by_case.get(case.name, case.patient),
        spacing_mm=(row.spacing_mm if row is not None else None) or request.spacing_mm or case.spacing_mm,
        attributes={**case.attributes, **(row.attributes if row is not None else {})},
    )
