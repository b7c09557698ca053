"""nnU-Net's raw layout: a file per channel in `imagesTr`, masks in `labelsTr`, and `dataset.json`."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from unifocal.data.read import EXTENSIONS, is_readable
from unifocal.problems import InputError, Problem, bad_input

_CHANNEL = re.compile(r"(.+)_(\d{4})")
_FIRST_CHANNEL = re.compile(r".+_0000\.[^/]+")
_SEVERAL_SUFFIXES = (".nii.gz",)


@dataclass(frozen=True)
class _Part:
    """One pair of folders.

    Attributes:
        images: The images' folder.
        labels: The masks' folder.
        name: Of the official split, else "".
        channels: How many channels each image should have; 0 where nothing is declared.
        ending: How the files' names end.
    """

    images: Path
    labels: Path
    name: str
    channels: int
    ending: str


def recognises(folder: Path) -> bool:
    """Whether `imagesTr` has files of numbered channels that a Decathlon's `dataset.json` does not list as they are."""
    if not has_folders(folder, "imagesTr"):
        return False
    try:
        content = read_declaration(folder / FILE)
    except InputError:
        content = {}
    if "channel_names" in content or isinstance(content.get("dataset"), dict):
        return True
    return any(_FIRST_CHANNEL.fullmatch(path.name) for path in _unlisted(folder, content))


def read(folder: Path, _options: Mapping[str, Any]) -> Reading:
    """Read the raw layout of nnU-Net, version 1 or 2.

    Source: the page on the dataset format in the documentation of nnU-Net 2.

    Args:
        folder: Holds `imagesTr` and `labelsTr`, perhaps `imagesTs` and `labelsTs`, and `dataset.json`.
        _options: None are known.

    Returns:
        A case for each identifier. Patients are not known: a case is all that the layout names.

    Raises:
        InputError: If `dataset.json` is broken, or `imagesTr` is missing or holds nothing.
    """
    problems: list[Problem] = []
    where = str(folder / FILE)
    content = _content(folder, problems)
    channels = channel_names(content, where, problems)
    labels = read_labels(content, where, problems) if content else None
    listed = content.get("dataset")
    if isinstance(listed, dict):
        cases = _listed_cases(folder, listed, len(channels), problems)
    else:
        cases = _found_cases(folder, content, len(channels), problems)
    training = sum(case.part != "test" for case in cases)
    declared_number(content, "numTraining", training, where, problems)
    declared = Declared(
        "nnunet",
        labels=labels.names if labels else {},
        keep=tuple(labels.names) if labels and labels.ignored is not None else None,
        regions=labels.regions if labels else {},
        channels=channels,
        modality=modality_of(channels),
    )
    return reading_of(cases, problems, declared, patients_known=False)


def _content(folder: Path, problems: list[Problem]) -> dict[str, Any]:
    if is_file(folder / FILE):
        return read_declaration(folder / FILE)
    what = "is missing, so that channels and labels have no names"
    remedy = "Add it as nnU-Net describes it."
    problems.append(Problem(str(folder / FILE), what, remedy, "declaration-missing", is_warning=True))
    return {}


def _unlisted(folder: Path, content: Mapping[str, Any]) -> list[Path]:
    """The images that the Decathlon's kind of list, which nnU-Net 1 kept, does not name as they are."""
    training = content.get("training")
    entries = training if isinstance(training, list) else []
    listed = {str(entry.get("image")).rsplit("/", 1)[-1] for entry in entries if isinstance(entry, dict)}
    return [path for path in files_in(folder / "imagesTr") if path.name not in listed]


def _found_cases(folder: Path, content: Mapping[str, Any], channels: int, problems: list[Problem]) -> list[Case]:
    if not has_folders(folder, "imagesTr"):
        raise bad_input(str(folder), "has no folder imagesTr", "Give nnU-Net's raw data set.", kind="nothing-found")
    ending = content.get("file_ending")
    if not isinstance(ending, str) or not ending.startswith("."):
        ending = _commonest_ending(files_in(folder / "imagesTr"))
    tested = has_folders(folder, "imagesTs", "labelsTs")
    cases = _part(_Part(folder / "imagesTr", folder / "labelsTr", "training" * tested, channels, ending), problems)
    if not cases:
        what = f"has no files named as CASE_0000{ending}"
        raise bad_input(str(folder / "imagesTr"), what, "Give nnU-Net's raw data set.", kind="nothing-found")
    if has_folders(folder, "imagesTs"):
        part = _Part(folder / "imagesTs", folder / "labelsTs", "test", channels, ending)
        cases += _part(part, problems, needs_masks=tested)
    return cases


def _part(part: _Part, problems: list[Problem], *, needs_masks: bool = True) -> list[Case]:
    by_case: dict[str, dict[int, Path]] = {}
    for path in files_in(part.images):
        match = _CHANNEL.fullmatch(path.name.removesuffix(part.ending)) if path.name.endswith(part.ending) else None
        if match:
            by_case.setdefault(match[1], {})[int(match[2])] = path
        elif is_readable(path):
            what = f"is not named as CASE_0000{part.ending}, and is left out"
            problems.append(Problem(str(path), what, "Rename or remove it.", "file-extra", is_warning=True))
    masks = _masks(part) if has_folders(part.labels.parent, part.labels.name) else {}
    problems += [
        Problem(str(path), f"no image in {part.images} belongs to this mask", "Add the image, or remove the mask.",
                "image-missing")
        for name, path in masks.items()
        if name not in by_case
    ]  # fmt: skip
    numbers = _numbers(part, by_case)
    cases = []
    for name, files in by_case.items():
        image = _image(part, name, files, numbers, problems)
        mask = masks.get(name)
        if mask is None and needs_masks:
            problems.append(lacks_mask(str(part.labels / f"{name}{part.ending}"), f"is missing for the image {name}"))
        if image is not None:
            cases.append(Case(name, image, Source.of(mask) if mask else None, patient=name, part=part.name))
    return cases


def _masks(part: _Part) -> dict[str, Path]:
    names = [path for path in files_in(part.labels) if path.name.endswith(part.ending)]
    return {path.name.removesuffix(part.ending): path for path in names}


def _numbers(part: _Part, by_case: Mapping[str, Mapping[int, Path]]) -> set[int]:
    """The channels that every image must have. A colour picture holds red, green and blue in one file."""
    present = {number for files in by_case.values() for number in files}
    if part.ending.lower() in EXTENSIONS and part.channels == 3 and present == {0}:
        return {0}
    return set(range(part.channels)) or present


def _image(
    part: _Part, name: str, files: Mapping[int, Path], numbers: set[int], problems: list[Problem]
) -> Source | None:
    missing, extra = sorted(numbers - files.keys()), sorted(files.keys() - numbers)
    if missing:
        names = ", ".join(f"{name}_{number:04}{part.ending}" for number in missing)
        problems.append(
            Problem(str(part.images), f"lacks {names}", "Add the channel, or remove the case.", "channel-missing")
        )
    if extra:
        names = ", ".join(files[number].name for number in extra)
        what = f"{names}: only {len(numbers)} channels are declared"
        problems.append(Problem(str(part.images), what, "Remove it, or mend channel_names.", "channel-undeclared"))
    return None if missing else Source.of(*(files[number] for number in sorted(numbers)))


def _commonest_ending(paths: Sequence[Path]) -> str:
    endings = Counter(
        next((ending for ending in _SEVERAL_SUFFIXES if path.name.endswith(ending)), path.suffix)
        for path in paths
        if is_readable(path)
    )
    return endings.most_common(1)[0][0] if endings else ".nii.gz"


def _listed_cases(folder: Path, listed: Mapping[str, Any], channels: int, problems: list[Problem]) -> list[Case]:
    """The cases that `dataset` lists in `dataset.json`, each with its `images` and `label`."""
    cases = []
    for name, files in listed.items():
        where = f"{folder / FILE}, dataset {name[:80]!r}"
        images = files.get("images") if isinstance(files, dict) else None
        if not isinstance(images, list) or not images:
            problems.append(Problem(where, "lists no images", "Name them under images.", "json-broken"))
            continue
        paths = [_existing(folder, image, where, problems) for image in images]
        mask = _existing(folder, files.get("label"), where, problems)
        if channels and len(paths) not in {channels, 1}:
            what = f"lists {len(paths)} images for {channels} channels"
            problems.append(Problem(where, what, "List one file per channel.", "channel-missing"))
        elif mask is not None and None not in paths:
            image = Source.of(*(path for path in paths if path is not None))
            cases.append(Case(name, image, Source.of(mask), patient=name))
    return cases


def _existing(folder: Path, text: object, where: str, problems: list[Problem]) -> Path | None:
    path = file_inside(folder, text, where)
    if isinstance(path, Path) and is_file(path):
        return path
    if isinstance(path, Path):
        path = Problem(where, f"names {text!r:.120}, which is not there", "Add it, or mend the name.", "file-missing")
    problems.append(path)
    return None
