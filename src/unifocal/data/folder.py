"""The cases that the files of a data set make up."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unifocal.data.case import Case
from unifocal.data.layout import Layout, contents, find_layout, image_files
from unifocal.data.pairing import pair_files
from unifocal.data.patients import Patients, find_patients, match_rows
from unifocal.data.table import CasesTable, read_table
from unifocal.problems import InputError, Problem, bad_input, raise_if_any

__all__ = ["DataSet", "FolderReading", "Layout", "find_layout", "load_cases", "read_folder"]


@dataclass(frozen=True)
class DataSet:
    """The cases, and what is known of whose they are.

    Attributes:
        cases: In natural order of the images' names.
        patients_known: Whether a table or a pattern names the patients; otherwise every image counts as a
            patient of its own.
    """

    cases: tuple[Case, ...]
    patients_known: bool


@dataclass(frozen=True)
class FolderReading:
    """What could be read of a data set, and what could not.

    Attributes:
        dataset: The cases whose image and mask were found.
        problems: One for each fault of names, pairs and table.
        patients: All patients that images or table name, those behind a fault included.
    """

    dataset: DataSet
    problems: tuple[Problem, ...]
    patients: frozenset[str]


def load_cases(layout: Layout) -> DataSet:
    """The cases of a data set, by the names of its files; images and masks are not opened.

    Raises:
        InputError: With every problem of names, pairs and the table of cases.
    """
    reading = read_folder(layout)
    raise_if_any(reading.problems)
    return reading.dataset


def read_folder(layout: Layout) -> FolderReading:
    """As `load_cases`, with the problems beside the cases instead of raised.

    Raises:
        InputError: If a folder is missing or holds no images.
    """
    images, masks = _list_files(layout)
    problems: list[Problem] = []
    pairs = _pairs(layout, images, masks, problems)
    table = _table(layout, images, problems)
    patients = _patients(layout, images, table, problems)
    cases = tuple(_case(image, mask, table, patients, layout) for image, mask in pairs)
    return FolderReading(DataSet(cases, patients_known=patients.are_known), tuple(problems), patients.named)


def _list_files(layout: Layout) -> tuple[list[Path], list[Path] | None]:
    for folder in (layout.images, layout.masks):
        if folder is not None and not folder.is_dir():
            raise bad_input(str(folder), "is not a folder", "Check --images and --masks.")
        if folder is not None and not image_files(folder):
            what = f"has no PNG, JPEG, TIFF, BMP, GIF or WebP files; {contents(folder)}"
            raise bad_input(str(folder), what, "Give the right folder, or convert the files.")
    images = image_files(layout.images)
    if layout.masks is None:
        return images, None
    masks = image_files(layout.masks)
    if layout.masks == layout.images:
        masks = [path for path in images if path.stem.endswith(layout.mask_suffix)]
        images = [path for path in images if path not in set(masks)]
    if not images or not masks:
        what = f"has no {'masks' if images else 'images'} beside its {len(images or masks)} other files"
        raise bad_input(str(layout.images), what, "Give --masks, or the end of the masks' names with --mask-suffix.")
    return images, masks


def _pairs(
    layout: Layout, images: Sequence[Path], masks: Sequence[Path] | None, problems: list[Problem]
) -> list[tuple[Path, Path | None]]:
    pairs: list[tuple[Path, Path | None]]
    if masks is None:
        pairs = [(image, None) for image in images]
    else:
        paired, faults = pair_files(images, masks, by=layout.pair_by, mask_suffix=layout.mask_suffix)
        problems += faults
        pairs = list(paired)
    by_stem: dict[str, list[tuple[Path, Path | None]]] = defaultdict(list)
    for pair in pairs:
        by_stem[pair[0].stem].append(pair)
    for group in by_stem.values():
        if len(group) > 1:
            what = (
                f"the images {' and '.join(image.name for image, _ in group)} have the same name but for the extension"
            )
            problems.append(Problem(str(layout.images), what, "Keep one of them, or rename."))
    return [group[0] for group in by_stem.values() if len(group) == 1]


def _table(layout: Layout, images: Sequence[Path], problems: list[Problem]) -> CasesTable | None:
    if layout.cases_table is None:
        if layout.patient_column is not None:
            what = "names a column, but there is no table of cases"
            problems.append(Problem(f"--patient-column {layout.patient_column}", what, "Give the table with --cases."))
        return None
    try:
        table, faults = read_table(
            layout.cases_table, case_column=layout.case_column, patient_column=layout.patient_column
        )
    except InputError as error:
        problems += error.problems
        return None
    problems += faults
    problems += match_rows(images, table)
    return table


def _patients(layout: Layout, images: Sequence[Path], table: CasesTable | None, problems: list[Problem]) -> Patients:
    try:
        patients, faults = find_patients(images, table=table, pattern=layout.patient_pattern)
    except InputError as error:
        problems += error.problems
        return find_patients(images, table=table, pattern=None)[0]
    problems += faults
    return patients


def _case(image: Path, mask: Path | None, table: CasesTable | None, patients: Patients, layout: Layout) -> Case:
    row = table.rows.get(image.stem) if table is not None else None
    return Case(
        name=image.stem,
        image=image,
        mask=mask,
        patient=patients.by_image.get(image, image.stem),
        spacing_mm=(row.spacing_mm if row is not None else None) or layout.spacing_mm,
        attributes=row.attributes if row is not None else {},
    )
