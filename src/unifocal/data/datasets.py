"""The door for data: from a folder, whatever its layout, to cases."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from unifocal.data import catalogue
from unifocal.data.case import Case, Reading
from unifocal.data.folder import read_folder
from unifocal.data.layout import find_layout
from unifocal.data.layouts import bids, case_folders, decathlon, dicom_tree, nnunet
from unifocal.data.layouts.listing import check_folder, is_folder, link_problems, name_problem, printable
from unifocal.data.layouts.options import Option, resolve
from unifocal.data.layouts.overlay import with_table
from unifocal.data.layouts.request import Request
from unifocal.data.pairing import one_spelling
from unifocal.problems import InputError, Problem, bad_input

__all__ = ["Request", "layout_names", "layout_options", "open_dataset"]

Reader = Callable[[Path, Mapping[str, Any]], Reading]


@dataclass(frozen=True)
class _Layout:
    """A layout that is no data set of the catalogue."""

    read: Reader
    recognises: Callable[[Path], bool] | None = None
    options: Mapping[str, Option] = field(default_factory=dict)


_LAYOUTS = {
    "nnunet": _Layout(nnunet.read, nnunet.recognises),
    "decathlon": _Layout(decathlon.read, decathlon.recognises),
    "bids": _Layout(
        bids.read,
        bids.recognises,
        {
            "suffix": Option("T1w", "How the images' names end; several, separated by commas, are channels."),
            "mask": Option("", "What the masks' names must have in them."),
            "derivative": Option("", "The folder in `derivatives` that holds the masks."),
        },
    ),
    "dicom": _Layout(
        dicom_tree.read,
        dicom_tree.recognises,
        {"segmentation": Option("", "What a segmentation's series description or content label must have in it.")},
    ),
    "case_folders": _Layout(
        case_folders.read,
        None,
        {
            "image": Option(
                "{case}_image.nii.gz", "The image's file name; several, separated by commas, are channels."
            ),
            "mask": Option("{case}_seg.nii.gz", "The mask's file name."),
        },
    ),
}


def layout_names() -> tuple[str, ...]:
    """What `Request.layout` takes beside `auto`: the general layouts, then the catalogue's data sets."""
    return ("folders", *_LAYOUTS, *(each.name for each in catalogue.entries()))


def layout_options(layout: str) -> Mapping[str, Option]:
    """The options of a layout by its name; empty for `folders` and names that are none."""
    if layout in _LAYOUTS:
        return _LAYOUTS[layout].options
    return next((each.options for each in catalogue.entries() if each.name == layout), {})


def open_dataset(request: Request, *, with_masks: bool = True) -> Reading:
    """Find the cases of a data set in any layout, by the names of its files.

    Of image files only DICOM headers and MATLAB files' facts are read, and masks where an option asks for it.

    Args:
        request: Which data are meant.
        with_masks: Whether masks are needed; without, images that have none count as well, and no case has a mask.

    Returns:
        The cases and the problems beside them. What was recognised stands in `dataset.declared.layout`.

    Raises:
        InputError: If nothing can be found: no such folder, layout or option, several things that the folder could
            be, a declaration that cannot be read.
    """
    if request.keep is not None and request.regions:
        what = "was given beside regions, which say themselves what counts"
        raise bad_input("--labels", what, "Give either --labels or data.regions.", kind="labels-and-regions")
    try:
        name = _layout_of(request)
        if name == "folders":
            reading = _read_folders(request, with_masks=with_masks)
        else:
            reading = _read_layout(request, name, with_masks=with_masks)
        reading = _with_sound_names(reading)
    except InputError as error:
        problems = (*error.problems, *_links(request))
        raise InputError([_printable(problem) for problem in problems]) from None
    declared = reading.dataset.declared
    if request.keep is not None or request.regions:
        # What is kept is said of labels; regions are then not what is meant.
        regions = {} if request.keep is not None else request.regions
        declared = replace(declared, keep=request.keep, regions=regions)
    problems = tuple(_printable(problem) for problem in (*reading.problems, *_links(request)))
    return replace(reading, dataset=replace(reading.dataset, declared=declared), problems=problems)


def _layout_of(request: Request) -> str:
    if request.folder is not None:
        check_folder(request.folder, "--data")
    if request.layout == "auto":
        return _recognised(request)
    names = layout_names()
    if request.layout not in names:
        near = get_close_matches(request.layout.lower(), names, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        what = "is no layout that is known"
        raise bad_input(
            f"--layout {request.layout}", what, f"{hint}Valid: auto, {', '.join(names)}.", kind="layout-unknown"
        )
    if request.layout != "folders" and request.folder is None:
        raise bad_input("--data", "no folder was named", f"{request.layout} needs --data.", kind="nothing-found")
    return request.layout


def _recognised(request: Request) -> str:
    if request.folder is None or request.images is not None or request.masks is not None:
        return "folders"
    if request.pair_by != "stem":
        return "folders"
    folder = request.folder
    found = [each.name for each in catalogue.recognise(folder)]
    found += [name for name, layout in _LAYOUTS.items() if _recognises(layout, folder)]
    if len(found) > 1:
        what = f"could be any of {', '.join(found)}"
        raise bad_input(str(folder), what, "Say which it is with --layout.", kind="layout-ambiguous")
    return found[0] if found else "folders"


def _recognises(layout: _Layout, folder: Path) -> bool:
    try:
        return layout.recognises is not None and layout.recognises(folder)
    except InputError:
        return False


def _read_folders(request: Request, *, with_masks: bool) -> Reading:
    resolve("folders", {}, request.options)
    layout = find_layout(
        request.folder,
        images=request.images,
        masks=request.masks,
        cases_table=request.cases_table,
        with_masks=with_masks,
        pair_by=request.pair_by,
        mask_suffix=request.mask_suffix,
        case_column=request.case_column,
        patient_column=request.patient_column,
        patient_pattern=request.patient_pattern,
        spacing_mm=request.spacing_mm,
        mask_threshold=request.mask_threshold,
    )
    return read_folder(layout if with_masks else replace(layout, masks=None))


def _read_layout(request: Request, name: str, *, with_masks: bool) -> Reading:
    assert request.folder is not None
    read = _LAYOUTS[name].read if name in _LAYOUTS else catalogue.entry(name).read
    reading = read(request.folder, resolve(name, layout_options(name), request.options))
    problems = [problem for problem in reading.problems if with_masks or not problem.kind.startswith("mask-")]
    everyone = cases = reading.dataset.cases
    if with_masks:
        cases = tuple(case for case in cases if case.mask is not None)
        if not cases:
            what = "has no image with a mask"
            fault = Problem(str(request.folder), what, "Give the folder that has both.", "nothing-found")
            raise InputError(problems or [fault])
    else:
        cases = tuple(replace(case, mask=None, other_masks={}) for case in cases)
    dataset = replace(reading.dataset, cases=cases)
    reading = Reading(dataset, tuple(problems), frozenset(case.patient for case in cases))
    left_out = {case.name for case in everyone} - {case.name for case in cases}
    return with_table(request, reading, left_out=left_out, is_searched=with_masks)


def _with_sound_names(reading: Reading) -> Reading:
    """Without the cases whose names could not name a file, or name another case's, each told."""
    cases: dict[str, Case] = {}
    problems = list(reading.problems)
    for case in reading.dataset.cases:
        fault = name_problem(str(case.image), case.name)
        if fault is None and case.name in cases:
            what = f"has the same name as {cases[case.name].image}"
            fault = Problem(str(case.image), what, "Rename one of them.", "image-ambiguous")
        if fault is None:
            cases[case.name] = case
        else:
            problems.append(fault)
    problems += _alike(tuple(cases.values()))
    dataset = replace(reading.dataset, cases=tuple(cases.values()))
    return replace(reading, dataset=dataset, problems=tuple(problems))


def _links(request: Request) -> list[Problem]:
    roots = [path for path in (request.folder, request.images, request.masks) if path is not None and is_folder(path)]
    return [problem for root in dict.fromkeys(roots) for problem in link_problems(root)]


def _alike(cases: Sequence[Case]) -> list[Problem]:
    """A warning for names whose files become one where the system folds capitals, as on Windows and macOS."""
    first: dict[str, Case] = {}
    what, remedy = "has the name of {}, but for capitals: copied to Windows or macOS, one replaces the other", "Rename."
    return [
        Problem(str(case.image), what.format(other.image), remedy, "names-alike", is_warning=True)
        for case in cases
        if (other := first.setdefault(one_spelling(case.name).casefold(), case)) is not case
    ]


def _printable(problem: Problem) -> Problem:
    return replace(
        problem, where=printable(problem.where), what=printable(problem.what), remedy=printable(problem.remedy)
    )
