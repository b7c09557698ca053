"""The Medical Segmentation Decathlon's layout: `dataset.json` lists each image with its mask."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unifocal.data.case import Case, Declared, Reading, Source
from unifocal.data.layouts.declaration import (
    FILE,
    channel_names,
    declared_number,
    file_inside,
    modality_of,
    read_declaration,
)
from unifocal.data.layouts.found import lacks_mask, reading_of
from unifocal.data.layouts.labels import read_labels
from unifocal.data.layouts.listing import files_in, has_folders, is_file
from unifocal.data.read import is_readable, stem_of
from unifocal.problems import InputError, Problem, bad_input


def recognises(folder: Path) -> bool:
    """Whether `dataset.json` lists training pairs that are files as they are named.

    A broken `dataset.json` beside `imagesTr` and `labelsTr` counts too, so that its fault is told.
    """
    if not is_file(folder / FILE):
        return False
    try:
        content = read_declaration(folder / FILE)
    except InputError:
        return has_folders(folder, "imagesTr", "labelsTr") and not _has_numbered_channels(folder)
    training = content.get("training")
    if not isinstance(training, list) or "channel_names" in content or isinstance(content.get("dataset"), dict):
        return False
    paths = [file_inside(folder, _named(entry, "image"), "") for entry in training[:50]]
    return any(isinstance(path, Path) and is_file(path) for path in paths) or not _has_numbered_channels(folder)


def read(folder: Path, _options: Mapping[str, Any]) -> Reading:
    """Read a task of the Medical Segmentation Decathlon.

    Source: Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 4128 (2022). A volume of
    several channels is one 4D file.

    Args:
        folder: Holds `dataset.json` and the files that it lists.
        _options: None are known.

    Returns:
        A case for each entry of `training`, with its mask, and of `test`, without. The layout does not name patients.

    Raises:
        InputError: If `dataset.json` is missing or broken, or lists nothing.
    """
    problems: list[Problem] = []
    where = str(folder / FILE)
    content = read_declaration(folder / FILE)
    training = content.get("training")
    if not isinstance(training, list) or not training:
        raise bad_input(where, "lists no training images", "Give a task of the Decathlon.", kind="nothing-found")
    channels = channel_names(content, where, problems)
    labels = read_labels(content, where, problems)
    cases = list(_cases(folder, training, "training", problems))
    declared_number(content, "numTraining", len(training), where, problems)
    test = content.get("test")
    cases += _cases(folder, test if isinstance(test, list) else [], "test", problems)
    _report_twice(cases, where, problems)
    _report_unlisted(folder, cases, problems)
    declared = Declared(
        "decathlon",
        labels=labels.names,
        regions=labels.regions,
        keep=tuple(labels.names) if labels.ignored is not None else None,
        channels=channels,
        modality=modality_of(channels),
    )
    by_name = {case.name: case for case in reversed(cases)}
    kept = [case for case in cases if by_name[case.name] is case]
    return reading_of(kept, problems, declared, patients_known=False)


def _cases(folder: Path, entries: list[Any], part: str, problems: list[Problem]) -> Iterator[Case]:
    for number, entry in enumerate(entries):
        where = f"{folder / FILE}, {part} entry {number + 1}"
        image = file_inside(folder, _named(entry, "image"), where)
        if isinstance(image, Path) and image.name.startswith("._"):
            continue
        mask = None if part == "test" else file_inside(folder, _named(entry, "label"), where)
        faults = [fault for fault in (image, mask) if isinstance(fault, Problem)]
        faults += [_missing(where, path) for path in (image,) if isinstance(path, Path) and not is_file(path)]
        if isinstance(mask, Path) and not is_file(mask):
            faults.append(lacks_mask(where, f"names the mask {mask.relative_to(folder)}, which is not there"))
            mask = None
        problems += faults
        if isinstance(image, Path) and is_file(image) and not isinstance(mask, Problem):
            name = stem_of(image)
            # The test masks are not given out, so the training images are not one side of a split.
            yield Case(name, Source.of(image), Source.of(mask) if mask else None, name, part="test" * (part == "test"))


def _named(entry: object, key: str) -> object:
    """A test image stands in the list by its name alone."""
    if isinstance(entry, dict):
        return entry.get(key)
    return entry if key == "image" else None


def _missing(where: str, path: Path) -> Problem:
    return Problem(where, f"names {path}, which is not there", "Add the file, or remove the entry.", "file-missing")


def _report_twice(cases: list[Case], where: str, problems: list[Problem]) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.name in seen:
            problems.append(
                Problem(where, f"lists the image {case.name} twice", "Remove one of the entries.", "listed-twice")
            )
        seen.add(case.name)


def _report_unlisted(folder: Path, cases: list[Case], problems: list[Problem]) -> None:
    listed = {case.image.path for case in cases}
    for name in ("imagesTr", "imagesTs"):
        if has_folders(folder, name):
            problems += [
                Problem(str(path), f"is not listed in {FILE}, and is left out", "List it, or remove it.", "file-extra",
                        is_warning=True)
                for path in files_in(folder / name)
                if path not in listed and is_readable(path)
            ]  # fmt: skip


def _has_numbered_channels(folder: Path) -> bool:
    if not has_folders(folder, "imagesTr"):
        return False
    return any(stem_of(path).endswith("_0000") for path in files_in(folder / "imagesTr"))
