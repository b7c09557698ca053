"""Pairs of folders, as several releases have them."""

from collections.abc import Callable, Iterable
from pathlib import Path

from unifocal.data.case import Case, Source
from unifocal.data.layouts.listing import files_in, is_folder
from unifocal.data.pairing import PairBy, pair_files
from unifocal.data.read import EXTENSIONS, stem_of
from unifocal.problems import Problem, bad_input


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order; none where there is no such folder.

    Raises:
        InputError: If the folder cannot be listed.
    """
    if not is_folder(folder):
        return []
    return [path for path in files_in(folder) if path.suffix.lower() in EXTENSIONS]


def all_numbered(folder: Path, fits: Callable[[str], bool]) -> bool:
    """Whether a folder holds pictures, all with names that fit."""
    names = [stem_of(path) for path in pictures_in(folder)]
    return bool(names) and all(name.isascii() and name.isdecimal() and fits(name) for name in names)


def paired_cases(
    images: Path, masks: Path, problems: list[Problem], *, by: PairBy = "stem", part: str = ""
) -> list[Case]:
    """The cases of two folders of pictures, every case a patient of its own.

    Raises:
        InputError: If one of the folders holds no pictures.
    """
    found = [(folder, pictures_in(folder)) for folder in (images, masks)]
    for folder, pictures in found:
        if not pictures:
            raise bad_input(str(folder), "holds no pictures", "Copy the release again.", kind="nothing-found")
    pairs, faults = pair_files(found[0][1], found[1][1], by=by)
    problems += faults
    alone = set(found[0][1]) - {image for image, _ in pairs}
    unpaired: Iterable[tuple[Path, Path | None]] = [(image, None) for image in found[0][1] if image in alone]
    return [
        Case(stem_of(image), Source.of(image), Source.of(mask) if mask else None, stem_of(image), part=part)
        for image, mask in (*pairs, *unpaired)
    ]
