"""CVC-ClinicDB: polyps in frames of colonoscopy videos."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unifocal.data.case import Declared, Reading
from unifocal.data.catalogue.entry import Entry
from unifocal.data.catalogue.pairs import all_numbered, paired_cases
from unifocal.data.layouts.found import reading_of
from unifocal.data.layouts.listing import has_folders, is_file
from unifocal.data.layouts.options import Option
from unifocal.data.table import read_table
from unifocal.problems import InputError, Problem

NAME = "cvc_clinicdb"
FRAMES = 612
FIRST_FRAMES = (
    1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298,
    318, 343, 364, 384, 409, 429, 448, 467, 479, 504, 529, 547, 572, 592,
)  # fmt: skip
"""The first frame of each of the 29 video sequences, whose frames are numbered on; of the owners' table."""

_IMAGES, _MASKS = "Original", "Ground Truth"


def sequence_of(frame: int) -> str:
    """The video sequence that a frame, 1 to 612, is from: `seq01` to `seq29`."""
    return f"seq{bisect_right(FIRST_FRAMES, frame):02}"


def _roots(folder: Path) -> dict[str, Path]:
    """The folders that hold images and masks, by their format."""
    places = {"png": folder / "PNG", "tif": folder / "TIF", "here": folder}
    return {kind: place for kind, place in places.items() if has_folders(place, _IMAGES, _MASKS)}


def _recognises(folder: Path) -> bool:
    roots = _roots(folder)
    return bool(roots) and all(
        all_numbered(root / _IMAGES, lambda name: _is_frame(int(name))) for root in roots.values()
    )


def _is_frame(number: int) -> bool:
    return 1 <= number <= FRAMES


def _read(folder: Path, options: Mapping[str, Any]) -> Reading:
    problems: list[Problem] = []
    roots = _roots(folder)
    wanted = options["format"]
    root = roots.get(wanted) or next(iter(roots.values()), folder)
    if wanted not in {"auto", *roots} and "here" not in roots:
        what = f"has no folder {wanted.upper()} with {_IMAGES} and {_MASKS}"
        problems.append(Problem(str(folder), what, "Give another format.", "option-invalid"))
    cases = paired_cases(root / _IMAGES, root / _MASKS, problems)
    odd = [case for case in cases if not (case.name.isdecimal() and _is_frame(int(case.name)))]
    problems += [
        Problem(str(case.image), f"is no frame 1 to {FRAMES}, so its video is not known", "Remove it.", "name-invalid")
        for case in odd
    ]
    cases = [case for case in cases if case not in odd]
    of_frame = _sequences(folder, problems) or {}
    if of_frame:
        table_of = {case.name: case.image.path for case in cases}
        problems += [
            Problem(str(table_of[name]), "has no line in sequences.csv", "Add one, or remove the image.", "table-line")
            for name in table_of
            if name not in of_frame
        ]
    named = [replace(case, patient=of_frame.get(case.name) or sequence_of(int(case.name))) for case in cases]
    return reading_of(named, problems, Declared(NAME, modality="ES"), patients_known=True)


def _sequences(folder: Path, problems: list[Problem]) -> dict[str, str] | None:
    path = folder / "sequences.csv"
    if not is_file(path):
        return None
    try:
        table, faults = read_table(path, case_column="frame", patient_column="sequence")
    except InputError as error:
        problems += error.problems
        return None
    problems += faults
    return {name: row.patient for name, row in table.rows.items()}


ENTRY = Entry(
    name=NAME,
    title="CVC-ClinicDB",
    task="polyps, 2D",
    modality="colonoscopy video in white light, RGB 384x288",
    size="612 frames of 29 video sequences",
    obtain="From its owners, through https://polyp.grand-challenge.org/CVCClinicDB/",
    licence="research use; its owners ask for the publication to be cited",
    citation="Bernal et al. WM-DOVA maps for accurate polyp highlighting in colonoscopy: Validation vs. saliency maps "
    "from physicians. Computerized Medical Imaging and Graphics 43, 99-111, 2015. "
    "doi:10.1016/j.compmedimag.2015.02.007",
    split="None official. Unified Focal loss paper: 392 training, 98 validation and 122 test frames, drawn at random.",
    files=(
        "PNG/Original/1.png, PNG/Ground Truth/1.png",
        "TIF/Original/1.tif, TIF/Ground Truth/1.tif",
        "Original/1.tif, Ground Truth/1.tif",
        "sequences.csv with the columns frame and sequence, where it is there",
    ),
    notes=(
        (
            "The video sequence counts as the patient: neighbouring frames are nearly the same, and a split over "
            "frames tests on what was trained on. Several sequences may be of one patient; the release does not "
            "say which."
        ),
    ),
    options={"format": Option("auto", "Which folder, where PNG and TIF are both there.", ("auto", "png", "tif"))},
    recognises=_recognises,
    read=_read,
)
