"""KiTS19: kidneys and their tumours in CT."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unifocal.data.case import Declared, Reading
from unifocal.data.catalogue.entry import Entry
from unifocal.data.layouts.case_folders import case_folders, cases_of
from unifocal.data.layouts.found import reading_of
from unifocal.data.layouts.listing import files_in, folders_in, has_folders
from unifocal.data.layouts.options import Option
from unifocal.problems import Problem

NAME = "kits19"
DOUBTFUL = (15, 23, 37, 68, 125, 133)
LABELLED = 210
_CASE = re.compile(r"case_(\d{5})")


def _number(name: str) -> int | None:
    match = _CASE.fullmatch(name)
    return int(match[1]) if match else None


def _root(folder: Path) -> Path:
    """The cases lie in `data` where the owners' whole repository was copied."""
    return folder / "data" if has_folders(folder, "data") and not _has_cases(folder) else folder


def _has_cases(folder: Path) -> bool:
    cases = [path for path in folders_in(folder) if _number(path.name) is not None]
    return any(
        path.name.startswith(("imaging.nii", "segmentation.nii")) for case in cases[:5] for path in files_in(case)
    )


def _recognises(folder: Path) -> bool:
    return _has_cases(_root(folder))


def _read(folder: Path, options: Mapping[str, Any]) -> Reading:
    problems: list[Problem] = []
    folders = case_folders(_root(folder), lambda name: _number(name) is not None)
    if not options["keep_doubtful"]:
        folders = [path for path in folders if _number(path.name) not in DOUBTFUL]
    images = ["imaging.nii.gz", "imaging.nii"]
    masks = ["segmentation.nii.gz", "segmentation.nii"]
    cases = cases_of(folders, [images], masks, problems, needs_mask=lambda name: (_number(name) or 0) < LABELLED)
    parts = [replace(case, part="training" if (_number(case.name) or 0) < LABELLED else "test") for case in cases]
    declared = Declared(NAME, labels={1: "kidney", 2: "tumour"}, channels=("CT",), modality="CT")
    return reading_of(parts, problems, declared, patients_known=True)


ENTRY = Entry(
    name=NAME,
    title="KiTS19: Kidney Tumor Segmentation Challenge 2019",
    task="kidney and kidney tumour, 3D",
    modality="CT of the abdomen in the late arterial phase, NIfTI, Hounsfield units",
    size="210 cases with masks, 90 without",
    obtain="From its owners' repository: https://github.com/neheller/kits19",
    licence="CC BY-NC-SA 4.0, as copies of it state; the owners' repository states an MIT licence that leaves out "
    "its folder data/",
    citation="Heller et al. The KiTS19 challenge data: 300 kidney tumor cases with clinical context, CT semantic "
    "segmentations, and surgical outcomes. 2019. doi:10.48550/arXiv.1904.00445",
    split="Official: cases 0 to 209 with masks, 210 to 299 without. Unified Focal loss paper: 204 cases, 130 training, "
    "33 validation and 41 test, drawn at random.",
    files=("case_00000/imaging.nii.gz, case_00000/segmentation.nii.gz", "the same in data/"),
    notes=("Cases 15, 23, 37, 68, 125 and 133 are doubtful and left out, as in the Unified Focal loss paper.",),
    options={"keep_doubtful": Option(False, "Whether the six doubtful cases are kept.")},  # noqa: FBT003
    recognises=_recognises,
    read=_read,
)
