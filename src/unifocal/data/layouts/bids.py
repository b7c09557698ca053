"""BIDS with masks as derivatives: `sub-01/anat/sub-01_T1w.nii.gz` and `derivatives/.../sub-01_..._mask.nii.gz`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unifocal.data.case import Case, Declared, Reading, Source
from unifocal.data.layouts.found import lacks_mask, reading_of
from unifocal.data.layouts.listing import files_in, folders_in, has_folders, is_file
from unifocal.data.read import stem_of
from unifocal.data.table import CasesTable, read_table
from unifocal.problems import InputError, Problem, bad_input

_ENDINGS = (".nii", ".nii.gz")
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")
_SESSION = re.compile(r"ses-[A-Za-z0-9]+")
_MASK_SUFFIXES = frozenset({"mask", "dseg", "seg", "roi"})
# What only a derivative's name says: it may differ between image and mask.
_FREE_ENTITIES = frozenset({"label", "desc", "space", "res", "den", "hemi", "atlas"})


@dataclass(frozen=True)
class _File:
    """A file by what its name says.

    Attributes:
        path: The file.
        entities: By key: `sub`, `ses`, `run`, ...
        suffix: The last part, such as `T1w` or `mask`.
    """

    path: Path
    entities: Mapping[str, str]
    suffix: str

    @property
    def is_mask(self) -> bool:
        return self.suffix in _MASK_SUFFIXES

    def shows_as(self, image: "_File") -> bool:
        """Whether this mask's name says nothing that its image's does not, but for what derivatives add."""
        fixed = {key: value for key, value in self.entities.items() if key not in _FREE_ENTITIES}
        return all(image.entities.get(key) == value for key, value in fixed.items()) and "sub" in fixed


def recognises(folder: Path) -> bool:
    """Whether a folder `sub-*` holds `anat`, itself or in a session."""
    return any(
        has_folders(place, "anat") for subject in _subjects(folder)[:5] for place in (subject, *_sessions(subject))
    )


def read(folder: Path, options: Mapping[str, Any]) -> Reading:
    """Read anatomical images of a BIDS data set with masks among its derivatives, or beside the images.

    Source: the Brain Imaging Data Structure specification 1.9, "Magnetic Resonance Imaging" and "Imaging
    derivatives".

    Args:
        folder: Holds `sub-*` and perhaps `derivatives` and `participants.tsv`.
        options: `suffix`: of the images, `T1w` unless said otherwise; several, separated by commas, are the image's
            channels. `mask`: what the masks' names must have in them, where there are several per image.
            `derivative`: the folder in `derivatives` that holds the masks.

    Returns:
        A case for each subject, session and run. The columns of `participants.tsv` become attributes.

    Raises:
        InputError: If there is no such image.
    """
    problems: list[Problem] = []
    suffixes = tuple(part.strip() for part in str(options["suffix"]).split(",") if part.strip())
    subjects = _subjects(folder)
    present = {subject.name: [file for place in _places(subject) for file in _files(place)] for subject in subjects}
    wanted = suffixes[0] if suffixes else "T1w"
    images = [file for files in present.values() for file in files if not file.is_mask and file.suffix == wanted]
    if not images:
        others = sorted({file.suffix for files in present.values() for file in files if not file.is_mask})
        what = f"has no images sub-*/anat/*_{wanted}.nii.gz" + (f"; it has {', '.join(others)}" if others else "")
        raise bad_input(str(folder), what, "Give another suffix: --set data.options.suffix=...", kind="nothing-found")
    derived = _derivatives(folder, str(options["derivative"] or ""))
    participants = _participants(folder, problems)
    cases = []
    for image in images:
        subject = f"sub-{image.entities['sub']}"
        source = _channels(image, suffixes[1:], present[subject], problems)
        near = [file for file in present[subject] if file.is_mask]
        masks = [*near, *(file for place in derived for file in _derived_files(place, subject))]
        mask = _mask(image, masks, str(options["mask"] or ""), problems)
        if source is not None:
            attributes = _attributes(participants, subject)
            if "ses" in image.entities:
                attributes = {**attributes, "session": image.entities["ses"]}
            cases.append(
                Case(stem_of(image.path), source, Source.of(mask) if mask else None, subject, attributes=attributes)
            )
    _report_rows(participants, set(present), problems)
    channels = suffixes if len(suffixes) > 1 else (wanted,)
    return reading_of(cases, problems, Declared("bids", channels=channels, modality="MR"), patients_known=True)


def _subjects(folder: Path) -> list[Path]:
    return [path for path in folders_in(folder) if _SUBJECT.fullmatch(path.name)]


def _sessions(subject: Path) -> list[Path]:
    return [path for path in folders_in(subject) if _SESSION.fullmatch(path.name)]


def _places(subject: Path) -> Iterator[Path]:
    """The folders `anat` of a subject; some derivatives leave that level out."""
    for place in (subject, *_sessions(subject)):
        yield place / "anat" if has_folders(place, "anat") else place


def _files(folder: Path) -> list[_File]:
    found = []
    for path in files_in(folder):
        if path.name.endswith(_ENDINGS):
            *pairs, suffix = stem_of(path).split("_")
            entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
            if "sub" in entities:
                found.append(_File(path, entities, suffix))
    return found


def _derivatives(folder: Path, named: str) -> list[Path]:
    """The folders that hold subjects: `derivatives/<pipeline>`, or `derivatives` itself."""
    if not has_folders(folder, "derivatives"):
        return []
    root = folder / "derivatives"
    pipelines = folders_in(root)
    if named:
        chosen = [path for path in pipelines if path.name == named]
        if not chosen:
            what = f"has no folder {named!r}; it has {', '.join(path.name for path in pipelines) or 'none'}"
            raise bad_input(str(root), what, "Mend the option derivative.", kind="option-invalid")
        return chosen
    return [root, *(path for path in pipelines if not _SUBJECT.fullmatch(path.name))]


def _derived_files(place: Path, subject: str) -> Iterator[_File]:
    if has_folders(place, subject):
        for folder in _places(place / subject):
            yield from (file for file in _files(folder) if file.is_mask)


def _mask(image: _File, masks: Sequence[_File], named: str, problems: list[Problem]) -> Path | None:
    fitting = [file.path for file in masks if file.shows_as(image) and named in file.path.name]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(path.name for path in fitting)
        what = f"has several masks: {names}"
        remedy = "Say what the right ones have in their names: --set data.options.mask=..., or the derivative's folder."
        problems.append(Problem(str(image.path), what, remedy, "mask-ambiguous"))
    else:
        problems.append(lacks_mask(str(image.path), "no mask among the derivatives belongs to this image"))
    return None


def _channels(image: _File, suffixes: Sequence[str], files: Sequence[_File], problems: list[Problem]) -> Source | None:
    paths = [image.path]
    for suffix in suffixes:
        same = [file.path for file in files if file.suffix == suffix and file.entities == image.entities]
        if len(same) == 1:
            paths += same
        else:
            what = f"has no {suffix} beside it" if not same else f"has several {suffix} beside it"
            problems.append(Problem(str(image.path), what, "Add it, or give fewer channels.", "channel-missing"))
    return Source.of(*paths) if len(paths) == 1 + len(suffixes) else None


def _participants(folder: Path, problems: list[Problem]) -> CasesTable | None:
    path = folder / "participants.tsv"
    if not is_file(path):
        return None
    try:
        table, faults = read_table(path, case_column="participant_id")
    except InputError as error:
        problems += error.problems
        return None
    problems += faults
    return table


def _attributes(table: CasesTable | None, subject: str) -> dict[str, str]:
    row = table.row(subject) or table.row(subject.removeprefix("sub-")) if table else None
    return {key: "" if value == "n/a" else value for key, value in row.attributes.items()} if row else {}


def _report_rows(table: CasesTable | None, subjects: set[str], problems: list[Problem]) -> None:
    for name, row in table.rows.items() if table else ():
        if f"sub-{name.removeprefix('sub-')}" not in subjects:
            what = f"names {name!r}, of whom there is no folder"
            where = f"{table.path if table else ''}, line {row.line}"
            problems.append(
                Problem(where, what, "Add the images, or remove the line.", "file-missing", is_warning=True)
            )
