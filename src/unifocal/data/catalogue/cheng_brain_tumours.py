"""J. Cheng's brain tumours, in the MATLAB files of the release."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unifocal.data.case import Case, Declared, Reading, Source
from unifocal.data.catalogue.cheng_folds import FILE, read_folds
from unifocal.data.catalogue.entry import Entry
from unifocal.data.formats.errors import COPY_AGAIN
from unifocal.data.layouts.found import reading_of
from unifocal.data.layouts.listing import files_in, folders_in, is_file
from unifocal.data.pairing import natural_key
from unifocal.data.workers import Failed, map_isolated
from unifocal.problems import InputError, Problem, bad_input

NAME = "cheng_brain_tumours"
SLICES = 3064
_PARTS = "brainTumorDataPublic"


def _slices(folder: Path) -> list[Path]:
    """The numbered files in the folder, or in those that the release's four archives unpack to."""
    places = [folder, *(path for path in folders_in(folder) if path.name.startswith(_PARTS))]
    paths = [path for place in places for path in files_in(place) if path.suffix == ".mat" and _is_slice(path.stem)]
    return sorted(paths, key=natural_key)


def _is_slice(stem: str) -> bool:
    return stem.isascii() and stem.isdecimal() and 1 <= int(stem[:9]) <= SLICES


def _recognises(folder: Path) -> bool:
    return bool(_slices(folder))


def _read(folder: Path, _options: Mapping[str, Any]) -> Reading:
    problems: list[Problem] = []
    slices = _slices(folder)
    if not slices:
        what = f"has no files 1.mat to {SLICES}.mat"
        raise bad_input(str(folder), what, "Give the unpacked release.", kind="nothing-found")
    folds = _folds(folder, problems)
    cases: dict[str, Case] = {}
    # Reading an old file that is damaged can end its process.
    outcomes = map_isolated(_facts, slices, preload=(_facts.__module__, "h5py"))
    for path, facts in zip(slices, outcomes, strict=True):
        if path.stem in cases:
            what = f"has the same name as {cases[path.stem].image}"
            problems.append(Problem(str(path), what, "Keep one of them.", "image-ambiguous"))
            continue
        if isinstance(facts, Failed):
            what = f"cannot be read ({facts.reason}: {facts.detail})"
            problems.append(Problem(str(path), what, COPY_AGAIN, "unreadable"))
            continue
        if not isinstance(facts, dict):
            problems += facts
            continue
        attributes = {key: str(value) for key, value in facts.items() if key != "patient"}
        fold = folds.get(int(path.stem))
        if fold:
            attributes["fold"] = fold
        cases[path.stem] = Case(
            path.stem, Source.of(path), Source.of(path), str(facts["patient"]), attributes=attributes
        )
    declared = Declared(NAME, labels={1: "tumour"}, modality="MR")
    return reading_of(cases.values(), problems, declared, patients_known=True)


def _facts(path: Path) -> dict[str, str] | tuple[Problem, ...]:
    from unifocal.data.formats.matlab import case_facts

    try:
        return case_facts(path)
    except InputError as error:
        return error.problems


def _folds(folder: Path, problems: list[Problem]) -> dict[int, str]:
    """The owner's folds where they are there; without them the slices can still be used."""
    if not is_file(folder / FILE):
        return {}
    try:
        return read_folds(folder / FILE)
    except InputError as error:
        problems += [replace(problem, is_warning=True) for problem in error.problems]
        return {}


ENTRY = Entry(
    name=NAME,
    title="Brain tumor dataset of J. Cheng",
    task="meningioma, glioma or pituitary tumour in the brain, 2D",
    modality="MRI, T1-weighted with contrast agent; axial, coronal and sagittal slices, 512x512, MATLAB files",
    size="3064 slices of 233 patients: 708 meningioma, 1426 glioma, 930 pituitary tumour",
    obtain="From its owner's page: https://doi.org/10.6084/m9.figshare.1512427",
    licence="CC BY 4.0",
    citation="Cheng. brain tumor dataset. figshare, 2017. doi:10.6084/m9.figshare.1512427. Cheng et al. Enhanced "
    "performance of brain tumor classification via tumor region augmentation and partition. PLOS ONE 10(10), "
    "e0140381, 2015. doi:10.1371/journal.pone.0140381",
    split="Official: five folds over patients, in cvind.mat; they become the attribute `fold`.",
    files=("1.mat to 3064.mat, together or in brainTumorDataPublic_*/", "cvind.mat, where it is there"),
    notes=(
        "Each file holds image, mask, patient and class (1 meningioma, 2 glioma, 3 pituitary tumour).",
        (
            "Copies of it as pictures, in `images/` and `masks/` with a `cases.csv` that names the patients, are "
            "read as two folders; no entry is needed."
        ),
    ),
    recognises=_recognises,
    read=_read,
)
