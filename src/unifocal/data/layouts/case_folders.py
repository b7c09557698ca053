"""A folder per case, with the same file names in each or names that begin with the case's."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from unifocal.data.case import Case, Declared, Reading, Source
from unifocal.data.layouts.found import lacks_mask, reading_of
from unifocal.data.layouts.listing import files_in, folders_in
from unifocal.problems import InputError, Problem, bad_input

Patterns = Sequence[Sequence[str]]


def read(folder: Path, options: Mapping[str, Any]) -> Reading:
    """Read a folder per case.

    Args:
        folder: Holds the cases' folders.
        options: `image` and `mask`: the files' names, where `{case}` is the folder's name and `*` anything; `image`
            may be several, separated by commas, one per channel.

    Returns:
        A case for each folder, which is its patient.

    Raises:
        InputError: If there are no folders.
    """
    problems: list[Problem] = []
    images = [[part.strip()] for part in str(options["image"]).split(",") if part.strip()]
    cases = cases_of(case_folders(folder), images, [str(options["mask"])], problems)
    return reading_of(cases, problems, Declared("case_folders"), patients_known=False)


def case_folders(folder: Path, is_case: Callable[[str], bool] = bool) -> list[Path]:
    """The folders whose name is a case's.

    Raises:
        InputError: If there are none.
    """
    found = [path for path in folders_in(folder) if is_case(path.name)]
    if not found:
        raise bad_input(str(folder), "holds no folders of cases", "Give the folder that does.", kind="nothing-found")
    return found


def cases_of(
    folders: Sequence[Path],
    channels: Patterns,
    masks: Sequence[str],
    problems: list[Problem],
    *,
    needs_mask: Callable[[str], bool] = bool,
) -> list[Case]:
    """The cases of folders, with a problem for each file that is missing or there twice.

    Args:
        folders: One per case.
        channels: For each channel the patterns of its file's name, the first that is found counts.
        masks: The same for the mask.
        problems: Grows.
        needs_mask: Whether the case of that name must have a mask.
    """
    cases = []
    for folder in folders:
        try:
            names = [path.name for path in files_in(folder)]
        except InputError as error:
            problems += error.problems
            continue
        images = [_one(folder, names, patterns, problems) for patterns in channels]
        mask = _one(folder, names, masks, problems)
        for patterns, image in zip(channels, images, strict=True):
            if image is None and not _fitting(folder, names, patterns):
                what = f"has no {_shown(folder, patterns)}"
                problems.append(Problem(str(folder), what, "Add it, or remove the folder.", "channel-missing"))
        if mask is None and not _fitting(folder, names, masks) and needs_mask(folder.name):
            problems.append(lacks_mask(str(folder), f"has no mask {_shown(folder, masks)}"))
        if None not in images:
            image_source = Source.of(*(path for path in images if path is not None))
            cases.append(Case(folder.name, image_source, Source.of(mask) if mask else None, patient=folder.name))
    return cases


def _one(folder: Path, names: Sequence[str], patterns: Sequence[str], problems: list[Problem]) -> Path | None:
    fitting = _fitting(folder, names, patterns)
    if len(fitting) > 1:
        what = f"has several files for one: {', '.join(fitting)}"
        problems.append(Problem(str(folder), what, "Keep one of them.", "file-ambiguous"))
    return folder / fitting[0] if len(fitting) == 1 else None


def _shown(folder: Path, patterns: Sequence[str]) -> str:
    return patterns[0].replace("{case}", folder.name)


def _fitting(folder: Path, names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    for pattern in patterns:
        wanted = pattern.replace("{case}", "".join(f"[{each}]" if each in "*?[" else each for each in folder.name))
        fitting = [name for name in names if fnmatchcase(name, wanted)]
        if fitting:
            return fitting
    return []
