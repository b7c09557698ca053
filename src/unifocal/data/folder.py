"""The cases that the files of two folders make up."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from unifocal.data.case import Case, DataSet, Reading, Source
from unifocal.data.layout import Layout, contents, find_layout
from unifocal.data.layouts.items import Item, header_patients, items_in
from unifocal.data.layouts.listing import check_folder
from unifocal.data.pairing import pair_files
from unifocal.data.patients import Patients, find_patients, match_rows
from unifocal.data.read import stem_of
from unifocal.data.table import CasesTable, read_table
from unifocal.problems import InputError, Problem, bad_input, raise_if_any

__all__ = ["DataSet", "Layout", "Reading", "find_layout", "load_cases", "read_folder"]


def load_cases(layout: Layout) -> DataSet:
    """The cases of a data set, by the names of its files; images and masks are not opened.

    Raises:
        InputError: With every problem of names, pairs and the table of cases.
    """
    reading = read_folder(layout)
    raise_if_any(reading.problems)
    return reading.dataset


def read_folder(layout: Layout) -> Reading:
    """As `load_cases`, with the problems beside the cases instead of raised.

    Of DICOM files the headers are read, which say what belongs together.

    Raises:
        InputError: If a folder is missing or holds no images.
    """
    problems: list[Problem] = []
    images, masks = _list_items(layout, problems)
    sources = {item.path: item.source for item in (*images, *(masks or ()))}
    mask_paths = None if masks is None else [item.path for item in masks]
    pairs = _pairs(layout, [item.path for item in images], mask_paths, problems)
    by_name = {stem_of(item.path): item.path for item in reversed(images)}
    by_name = dict(reversed(by_name.items()))
    table = _table(layout, by_name, problems)
    patients = _patients(layout, by_name, images, table, problems)
    cases = tuple(_case(image, mask, sources, table, patients, layout) for image, mask in pairs)
    return Reading(DataSet(cases, patients_known=patients.are_known), tuple(problems), patients.named)


def _list_items(layout: Layout, problems: list[Problem]) -> tuple[list[Item], list[Item] | None]:
    images = _items(layout.images, "--images", problems)
    if layout.masks is None:
        return images, None
    if layout.masks == layout.images:
        ends = [stem_of(item.path).endswith(layout.mask_suffix) for item in images]
        masks = [item for item, is_mask in zip(images, ends, strict=True) if is_mask]
        images = [item for item, is_mask in zip(images, ends, strict=True) if not is_mask]
    else:
        masks = _items(layout.masks, "--masks", problems)
    if not images or not masks:
        what = f"has no {'masks' if images else 'images'} beside its {len(images or masks)} other files"
        remedy = "Give --masks, or the end of the masks' names with --mask-suffix."
        raise bad_input(str(layout.images), what, remedy, kind="nothing-found")
    return images, masks


def _items(folder: Path, flag: str, problems: list[Problem]) -> list[Item]:
    check_folder(folder, flag)
    items, faults = items_in(folder)
    problems += faults
    if items:
        return items
    if faults:
        raise InputError(faults)
    what = f"has no pictures, NIfTI, NRRD, MetaImage, MATLAB or DICOM files; {contents(folder)}"
    raise bad_input(str(folder), what, "Give the right folder, or convert the files.", kind="nothing-found")


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
        by_stem[stem_of(pair[0])].append(pair)
    for group in by_stem.values():
        if len(group) > 1:
            names = " and ".join(image.name for image, _ in group)
            what = f"the images {names} have the same name but for the extension"
            problems.append(Problem(str(layout.images), what, "Keep one of them, or rename.", "image-ambiguous"))
    return [group[0] for group in by_stem.values() if len(group) == 1]


def _table(layout: Layout, images: Mapping[str, Path], problems: list[Problem]) -> CasesTable | None:
    if layout.cases_table is None:
        if layout.patient_column is not None:
            where, what = f"--patient-column {layout.patient_column}", "names a column, but there is no table of cases"
            problems.append(Problem(where, what, "Give the table with --cases.", "table-missing"))
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


def _patients(
    layout: Layout,
    images: Mapping[str, Path],
    items: Sequence[Item],
    table: CasesTable | None,
    problems: list[Problem],
) -> Patients:
    if layout.patient_pattern is None and (table is None or not table.has_patients):
        named = header_patients(items)
        if named:
            return Patients(named, frozenset(named.values()), are_known=len(named) == len(images))
    try:
        patients, faults = find_patients(images, table=table, pattern=layout.patient_pattern)
    except InputError as error:
        problems += error.problems
        return find_patients(images, table=table, pattern=None)[0]
    problems += faults
    return patients


def _case(
    image: Path,
    mask: Path | None,
    sources: Mapping[Path, Source],
    table: CasesTable | None,
    patients: Patients,
    layout: Layout,
) -> Case:
    name = stem_of(image)
    row = table.row(name) if table is not None else None
    return Case(
        name=name,
        image=sources[image],
        mask=None if mask is None else sources[mask],
        patient=patients.by_case.get(name, name),
        spacing_mm=(row.spacing_mm if row is not None else None) or layout.spacing_mm,
        attributes=row.attributes if row is not None else {},
    )
