"""BUS2017 dataset B: breast lesions in ultrasound."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unifocal.data.case import Declared, Reading
from unifocal.data.catalogue.entry import Entry
from unifocal.data.catalogue.pairs import all_numbered, paired_cases
from unifocal.data.layouts.found import reading_of
from unifocal.data.layouts.listing import has_folders
from unifocal.problems import Problem

NAME = "bus2017"
_IMAGES, _MASKS = "original", "GT"


def _recognises(folder: Path) -> bool:
    return has_folders(folder, _IMAGES, _MASKS) and all_numbered(folder / _IMAGES, lambda name: len(name) == 6)


def _read(folder: Path, _options: Mapping[str, Any]) -> Reading:
    problems: list[Problem] = []
    cases = paired_cases(folder / _IMAGES, folder / _MASKS, problems)
    return reading_of(cases, problems, Declared(NAME, modality="US"), patients_known=False)


ENTRY = Entry(
    name=NAME,
    title="BUS2017 dataset B (UDIAT)",
    task="breast lesions, 2D",
    modality="ultrasound, about 760x570, PNG",
    size="163 images, 110 with benign lesions and 53 with cancer",
    obtain="From its owners on request and after signing their agreement; see the publication, "
    "doi:10.1109/JBHI.2017.2731873.",
    licence="research use under the owners' agreement",
    citation="Yap et al. Automated breast ultrasound lesions detection using convolutional neural networks. IEEE "
    "Journal of Biomedical and Health Informatics 22(4), 1218-1226, 2018. doi:10.1109/JBHI.2017.2731873",
    split="None official. Unified Focal loss paper: 104 training, 26 validation and 33 test images, drawn at random.",
    files=("original/000001.png, GT/000001.png",),
    notes=("The patients are not named: each image counts as one.",),
    recognises=_recognises,
    read=_read,
)
