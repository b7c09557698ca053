"""The images or masks of a folder: files, and the series that DICOM files make up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unifocal.data.case import Source
from unifocal.data.layouts.listing import files_in, walk
from unifocal.data.pairing import natural_key
from unifocal.data.read import is_readable, stem_of
from unifocal.problems import InputError, Problem

DICOM_EXTENSIONS = frozenset({".dcm", ".dicom", ".ima"})
# Spares opening them to look for the mark of DICOM.
_NEVER_IMAGES = frozenset({".txt", ".csv", ".tsv", ".json", ".md", ".db", ".xml", ".xlsx", ".pdf", ".raw", ".img"})


@dataclass(frozen=True)
class Item:
    """One image or mask.

    Attributes:
        path: Names it: the file; for a DICOM series the folder and a name of its own.
        source: Its files.
    """

    path: Path
    source: Source


def items_in(folder: Path) -> tuple[list[Item], list[Problem]]:
    """The images or masks of a folder, in natural order.

    Files count where they lie in the folder itself. Where it holds none, DICOM files count wherever they lie
    below it, and each series is one item: named after the shortest part of its path that tells it from the others.

    Raises:
        InputError: If a folder cannot be listed.
    """
    files = files_in(folder)
    plain = [Item(path, Source.of(path)) for path in files if _is_plain(path)]
    if plain:
        return plain, []
    dicom = _dicom(files) or [path for level in walk(folder) for path in _dicom(level)]
    return _series(folder, dicom) if dicom else ([], [])


def holds_items(folder: Path, *, below: bool = True) -> bool:
    """Whether a folder has images or masks; looks no further than the first.

    Args:
        folder: The folder.
        below: Whether DICOM files in folders below it count.
    """
    try:
        files = files_in(folder)
        if any(_is_plain(path) or _is_dicom(path) for path in files):
            return True
        return below and any(_is_dicom(path) for level in walk(folder) for path in level)
    except InputError:
        return False


def header_patients(items: Sequence[Item]) -> dict[str, str]:
    """The patients, as one-way hashes, that DICOM headers name, by the items' names."""
    found = {}
    for item in items:
        if not _is_plain(item.source.paths[0]):
            from unifocal.data.formats.dicom_header import patient_of

            patient = patient_of(item.source.paths[0])
            if patient:
                found[stem_of(item.path)] = patient
    return found


def _is_plain(path: Path) -> bool:
    """Whether a file is of a format other than DICOM, by its name."""
    return stem_of(path) != path.name and path.suffix.lower() not in DICOM_EXTENSIONS


def _dicom(files: Sequence[Path]) -> list[Path]:
    return [path for path in files if _is_dicom(path)]


def _is_dicom(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in DICOM_EXTENSIONS or (suffix not in _NEVER_IMAGES and not _is_plain(path) and is_readable(path))


def _series(folder: Path, paths: Sequence[Path]) -> tuple[list[Item], list[Problem]]:
    from unifocal.data.formats.dicom_series import find_series

    sources, problems = find_series(paths)
    names = series_names([min(source.paths, key=natural_key).relative_to(folder) for source in sources])
    return [Item(folder / name, source) for name, source in zip(names, sources, strict=True)], list(problems)


def series_names(firsts: Sequence[Path]) -> list[str]:
    """A name for each series, from the path of its first file."""
    parts = [(*path.parts[:-1], stem_of(path)) for path in firsts]
    heads = Counter(part[:depth] for part in parts for depth in range(1, len(part) + 1))
    depths = [next((n for n in range(1, len(part)) if heads[part[:n]] == 1), len(part)) for part in parts]
    return ["_".join(part[:depth]) for part, depth in zip(parts, depths, strict=True)]
