"""BUSI: breast lesions in ultrasound, with images of normal breasts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unifocal.data.case import Case, Declared, Reading, Source
from unifocal.data.catalogue.entry import Entry
from unifocal.data.catalogue.pairs import pictures_in
from unifocal.data.layouts.found import lacks_mask, reading_of
from unifocal.data.layouts.listing import has_folders
from unifocal.data.layouts.options import Option
from unifocal.data.read import stem_of
from unifocal.problems import Problem, bad_input

NAME = "busi"
CLASSES = ("benign", "malignant", "normal")
_IMAGE = re.compile(r"(?:benign|malignant|normal) \(\d+\)")
_MASK = re.compile(r"(.+)_mask(?:_\d+)?")


def _recognises(folder: Path) -> bool:
    if not has_folders(folder, "benign", "malignant"):
        return False
    return any(_IMAGE.fullmatch(stem_of(path)) for path in pictures_in(folder / "benign"))


def _read(folder: Path, options: Mapping[str, Any]) -> Reading:
    problems: list[Problem] = []
    classes = CLASSES if options["normal"] else CLASSES[:2]
    cases = [case for kind in classes for case in _cases(folder / kind, kind, problems)]
    if not cases:
        raise bad_input(str(folder), "has no images named as 'benign (1).png'", "Copy it again.", kind="nothing-found")
    return reading_of(cases, problems, Declared(NAME, modality="US"), patients_known=False)


def _cases(folder: Path, kind: str, problems: list[Problem]) -> list[Case]:
    masks: dict[str, list[Path]] = {}
    images = []
    for path in pictures_in(folder):
        match = _MASK.fullmatch(stem_of(path))
        if match:
            masks.setdefault(match[1], []).append(path)
        else:
            images.append(path)
    names = {stem_of(path) for path in images}
    problems += [
        Problem(str(path), "has no image of its name", "Add the image, or remove the mask.", "image-missing")
        for name, paths in masks.items()
        if name not in names
        for path in paths
    ]
    problems += [lacks_mask(str(path), "has no mask") for path in images if stem_of(path) not in masks]
    return [
        Case(
            name=(name := stem_of(path)),
            image=Source.of(path),
            mask=Source.of(*masks[name], joined="union") if name in masks else None,
            patient=name,
            attributes={"class": kind},
        )
        for path in images
    ]


ENTRY = Entry(
    name=NAME,
    title="BUSI: Breast Ultrasound Images Dataset",
    task="breast lesions, 2D",
    modality="ultrasound, about 500x500, PNG",
    size="780 images of 600 women: 437 benign, 210 malignant, 133 normal without a lesion",
    obtain="From its owners' page: https://scholar.cu.edu.eg/?q=afahmy/pages/dataset",
    licence="not stated",
    citation="Al-Dhabyani et al. Dataset of breast ultrasound images. Data in Brief 28, 104863, 2020. "
    "doi:10.1016/j.dib.2019.104863",
    split="None official.",
    files=("benign/benign (1).png, benign/benign (1)_mask.png, benign/benign (4)_mask_1.png", "malignant/, normal/"),
    notes=(
        "Several masks of one image are several lesions, and count together.",
        "Masks of normal breasts are empty; leave those images out with the option `normal`.",
        (
            "The patients are not named, though there are fewer of them than images; others report near "
            "duplicates (Pawłowska et al., Data in Brief, 2023, PMC10293973). `unifocal data check` lists them."
        ),
    ),
    options={"normal": Option(True, "Whether images of normal breasts, whose masks are empty, are kept.")},  # noqa: FBT003
    recognises=_recognises,
    read=_read,
)
