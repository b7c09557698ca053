"""One tree of DICOM files, in which each segmentation names the series that it was drawn on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

from unifocal.data.case import Case, Declared, Reading, Source
from unifocal.data.formats.dicom_series import find_series
from unifocal.data.layout import find_layout
from unifocal.data.layouts.dicom_references import DicomImage, ReferredImages, Segmentation, facts_of
from unifocal.data.layouts.found import reading_of
from unifocal.data.layouts.items import series_names
from unifocal.data.layouts.listing import walk
from unifocal.data.pairing import natural_key
from unifocal.data.read import kind_of
from unifocal.problems import InputError, Problem, bad_input

_FOLDERS = 64
_HEADERS = 400
_ENDS = 8


def recognises(folder: Path) -> bool:
    """Whether there are DICOM images and DICOM segmentations below a folder, without the usual two folders.

    Looks into no more than 400 headers, and for DICOM at no more than 64 folders that hold other files.
    """
    levels = list(_dicom_levels(folder))
    if not levels or _has_two_folders(folder):
        return False
    few = [path for level in levels for path in _ends(level, 2)]
    every = [path for level in levels for path in level]
    looked_at = islice(chain(few, every[:: len(every) // _HEADERS + 1]), _HEADERS)
    sources = (Source.of(path) for path in looked_at if kind_of(path) == "dicom")
    kinds = set()
    for source in sources:
        with suppress(InputError):
            kinds.add(type(facts_of(source)))
        if len(kinds) == 2:
            return True
    return False


def read(folder: Path, options: Mapping[str, Any]) -> Reading:
    """Read series of DICOM files with the segmentations that refer to them, wherever in the folder they lie.

    Source: DICOM PS3.3, C.8.20.2 (Segmentation Image) and C.12.4 (Common Instance Reference).

    Args:
        folder: Holds the files, in folders or not.
        options: `segmentation`: what the description of the series or the content label of a segmentation must have
            in it, capitals or not, where a series has several.

    Returns:
        A case for each series and each image of many frames, named after the shortest part of its path that tells it
        from the others. Patients are the headers', hashed.

    Raises:
        InputError: If no image can be read, or a folder cannot be listed.
    """
    sources, problems = find_series(path for level in walk(folder) for path in level if kind_of(path) == "dicom")
    images, segmentations = _sorted_out(sources, problems)
    if not images:
        what = "holds no DICOM images" + (", only segmentations" if segmentations else "")
        fault = bad_input(str(folder), what, "Give the folder that holds the series.", kind="nothing-found")
        raise InputError([*problems, *fault.problems])
    names = series_names([min(image.source.paths, key=natural_key).relative_to(folder) for image in images])
    chosen = _chosen(folder, segmentations, str(options["segmentation"] or ""), problems)
    masks = _paired(folder, images, chosen, problems)
    alone = [name for number, name in enumerate(names) if number not in masks]
    if segmentations and alone:
        problems.append(_left_out(folder, alone))
    single = {number: found[0] for number, found in masks.items() if len(found) == 1}
    cases = []
    for number, (name, image) in enumerate(zip(names, images, strict=True)):
        mask = Source.of(single[number].path) if number in single else None
        cases.append(Case(name, image.source, mask, image.patient or name))
    modalities = {images[number].modality for number in single or range(len(images))}
    labels = _labels(folder, list(single.values()), problems)
    declared = Declared("dicom", labels=labels, modality=modalities.pop() if len(modalities) == 1 else "")
    return reading_of(cases, problems, declared, patients_known=all(image.patient for image in images))


def _dicom_levels(folder: Path) -> Iterator[list[Path]]:
    """The files of folders some of which are DICOM files, by their first and last few."""
    others = 0
    for level in walk(folder):
        if any(kind_of(path) == "dicom" for path in _ends(level, _ENDS)):
            yield level
        elif level:
            others += 1
        if others > _FOLDERS:
            return


def _ends(level: Sequence[Path], count: int) -> Sequence[Path]:
    return [*level[:count], *level[count:][-count:]]


def _has_two_folders(folder: Path) -> bool:
    try:
        find_layout(folder)
    except InputError:
        return False
    return True


def _sorted_out(sources: Iterable[Source], problems: list[Problem]) -> tuple[list[DicomImage], list[Segmentation]]:
    images, segmentations = [], []
    for source in sources:
        try:
            found = facts_of(source)
        except InputError as error:
            problems += error.problems
        else:
            if isinstance(found, DicomImage):
                images.append(found)
            else:
                segmentations.append(found)
    return images, segmentations


def _chosen(
    folder: Path, segmentations: Sequence[Segmentation], wanted: str, problems: list[Problem]
) -> list[Segmentation]:
    chosen = [each for each in segmentations if wanted.casefold() in each.said.casefold()]
    if not segmentations:
        what = "holds no DICOM segmentations"
        problems.append(Problem(str(folder), what, "Add them, or give the folder that has both.", "mask-missing"))
    elif not chosen:
        descriptions = sorted({each.said or "nothing" for each in segmentations})
        what = f"no segmentation has {wanted!r:.60} in its description; they say: {_some(descriptions)}"
        problems.append(Problem(str(folder), what, "Mend --set data.options.segmentation=...", "mask-missing"))
    return chosen


def _paired(
    folder: Path, images: Sequence[DicomImage], segmentations: Sequence[Segmentation], problems: list[Problem]
) -> dict[int, list[Segmentation]]:
    """The segmentations of each image that has any, with a problem for each that is not paired one to one."""
    found, masks = ReferredImages(images), dict[int, list[Segmentation]]()
    for each in segmentations:
        try:
            fitting = found.of(each)
        except InputError as error:
            problems += error.problems
            continue
        if len(fitting) == 1:
            masks.setdefault(fitting[0], []).append(each)
        elif fitting:
            what = f"was drawn on several images: {_some([str(images[number].source) for number in fitting])}"
            remedy = "Export one segmentation for each image."
            problems.append(Problem(str(each.path), what, remedy, "mask-ambiguous"))
        else:
            what = "names no image of this folder as the one it was drawn on"
            what = f"was drawn on the series {each.series}, which is not in this folder" if each.series else what
            problems.append(Problem(str(each.path), what, "Add the series, or remove the file.", "mask-without-image"))
    for number, several in masks.items():
        if len(several) > 1:
            listed = [f"{each.path.relative_to(folder)} ({each.said or 'no description'})" for each in several]
            what = f"has {len(several)} segmentations: {_some(listed)}"
            remedy = "Say what the right ones have in their description: --set data.options.segmentation=..."
            problems.append(Problem(str(images[number].source), what, remedy, "mask-ambiguous"))
    return masks


def _left_out(folder: Path, names: Sequence[str]) -> Problem:
    what = f"{len(names)} series have no segmentation and are left out: {_some(names)}"
    what = what if len(names) > 1 else f"the series {names[0]} has no segmentation and is left out"
    return Problem(str(folder), what, "Add segmentations if they should count.", "mask-missing", is_warning=True)


def _labels(folder: Path, segmentations: Iterable[Segmentation], problems: list[Problem]) -> dict[int, str]:
    """The names of the labels; none where files disagree on them."""
    names: dict[int, set[str]] = {}
    for each in segmentations:
        for number, name in each.labels.items():
            names.setdefault(number, set()).add(name)
    differing = [f"{number} is {' or '.join(sorted(said))}" for number, said in sorted(names.items()) if len(said) > 1]
    if differing:
        what = f"its segmentations call segments of one number by different names: {_some(differing)}"
        remedy = "Make sure that a number means the same in all of them: numbers are the labels."
        problems.append(Problem(str(folder), what, remedy, "mask-names-differ", is_warning=True))
        return {}
    return {number: said.pop() for number, said in sorted(names.items())}


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:6]) + (f" and {len(texts) - 6} more" if len(texts) > 6 else "")
