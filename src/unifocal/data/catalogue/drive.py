"""DRIVE: vessels in photographs of the retina."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unifocal.data.case import Case, Declared, Reading, Source
from unifocal.data.catalogue.entry import Entry
from unifocal.data.catalogue.pairs import paired_cases, pictures_in
from unifocal.data.layouts.found import reading_of
from unifocal.data.layouts.listing import has_folders
from unifocal.data.pairing import pair_files
from unifocal.data.read import stem_of
from unifocal.problems import Problem

NAME = "drive"
SECOND = "second observer"


def _recognises(folder: Path) -> bool:
    return has_folders(folder, "training") and has_folders(folder / "training", "images", "1st_manual")


def _read(folder: Path, _options: Mapping[str, Any]) -> Reading:
    problems: list[Problem] = []
    cases = [case for part in ("training", "test") if has_folders(folder, part)
             for case in _part(folder / part, part, problems)]  # fmt: skip
    declared = Declared(NAME, modality="OP")
    return reading_of(cases, problems, declared, patients_known=False)


def _part(folder: Path, part: str, problems: list[Problem]) -> list[Case]:
    if has_folders(folder, "1st_manual"):
        cases = paired_cases(folder / "images", folder / "1st_manual", problems, by="number", part=part)
    else:
        images = pictures_in(folder / "images")
        cases = [Case(stem_of(path), Source.of(path), None, stem_of(path), part=part) for path in images]
        what = f"has no 1st_manual, as in newer copies, so that its {len(images)} images are left out"
        remedy = "Ask the owners for the older release to test on its official part."
        problems.append(Problem(str(folder), what, remedy, "part-without-masks", is_warning=True))
    views = _matching(folder / "mask", cases, problems)
    others = _matching(folder / "2nd_manual", cases, problems)
    return [
        replace(
            case,
            field_of_view=views.get(case.image.path),
            other_masks={SECOND: others[case.image.path]} if case.image.path in others else {},
        )
        for case in cases
    ]


def _matching(folder: Path, cases: list[Case], problems: list[Problem]) -> dict[Path, Source]:
    files = pictures_in(folder)
    if not files:
        return {}
    pairs, faults = pair_files([case.image.path for case in cases], files, by="number")
    problems += faults
    return {image: Source.of(file) for image, file in pairs}


ENTRY = Entry(
    name=NAME,
    title="DRIVE: Digital Retinal Images for Vessel Extraction",
    task="retinal vessels, 2D",
    modality="colour photographs of the retina, 565x584",
    size="40 images, 20 for training and 20 for test",
    obtain="From its owners after registration: https://drive.grand-challenge.org",
    licence="research use after registration",
    citation="Staal et al. Ridge-based vessel segmentation in color images of the retina. IEEE Transactions on Medical "
    "Imaging 23(4), 501-509, 2004. doi:10.1109/TMI.2004.825627",
    split="Official: images 21 to 40 train, 1 to 20 test. Unified Focal loss paper: 16 training, 4 validation, the "
    "official 20 test.",
    files=(
        "training/images/21_training.tif, training/1st_manual/21_manual1.gif, training/mask/21_training_mask.gif",
        (
            "test/images/01_test.tif, test/1st_manual/01_manual1.gif, test/2nd_manual/01_manual2.gif, "
            "test/mask/01_test_mask.gif"
        ),
    ),
    notes=(
        "The first observer's masks count; the second observer's, of the test images, are kept beside them.",
        "The release does not say whether two images are of one patient.",
        "Newer copies have no masks of the test images.",
    ),
    recognises=_recognises,
    read=_read,
)
