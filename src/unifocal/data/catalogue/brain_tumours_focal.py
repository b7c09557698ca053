"""The slices of "Focal Loss and Binary Cross-Entropy Loss in Brain Tumor Auto-Segmentation", both releases."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unifocal.data.case import Case, Declared, Reading, Source
from unifocal.data.catalogue.entry import Entry
from unifocal.data.catalogue.pairs import paired_cases, pictures_in
from unifocal.data.layouts.found import reading_of
from unifocal.data.layouts.listing import has_folders
from unifocal.data.layouts.options import Option
from unifocal.data.read import stem_of
from unifocal.problems import Problem

NAME = "brain_tumours_focal"
_FOLDERS = {"cross": ("crossimage", "crossmask"), "first": ("image", "Mask2")}
_PAIRS = {"cross": 314, "first": 219}


def _recognises(folder: Path) -> bool:
    return any(has_folders(folder, *names) for names in _FOLDERS.values())


def _read(folder: Path, options: Mapping[str, Any]) -> Reading:
    problems: list[Problem] = []
    chosen = options["release"]
    if chosen == "auto":
        chosen = "cross" if has_folders(folder, *_FOLDERS["cross"]) else "first"
    images, masks = (folder / name for name in _FOLDERS[chosen])
    pairs = paired_cases(images, masks, problems, by="order")
    if pairs and len(pairs) != _PAIRS[chosen]:
        what = f"holds {len(pairs)} images, the release {_PAIRS[chosen]}; they pair by order, so one too few shifts all"
        problems.append(
            Problem(str(images), what, "Look at some pairs, or copy it again.", "count-differs", is_warning=True)
        )
    unseen = pictures_in(folder / "test") if chosen == "first" else []
    tests = [Case(f"test_{stem_of(path)}", Source.of(path), None, f"test_{stem_of(path)}") for path in unseen]
    cases = [*pairs, *(replace(case, part="test") for case in tests)]
    return reading_of(cases, problems, Declared(NAME, modality="MR"), patients_known=False)


ENTRY = Entry(
    name=NAME,
    title="Brain tumour slices of the comparison of Focal loss with binary cross entropy",
    task="meningioma, glioma or pituitary tumour in the brain, 2D",
    modality="MRI, T1-weighted with contrast agent; axial, coronal and sagittal slices, PNG 800x512",
    size="314 slices of 108 patients (`crossimage`, `crossmask`); first release 219 pairs and 61 images without masks",
    obtain="The authors' repository names a shared folder; see the publication, doi:10.18502/jbe.v11i1.19315. We could "
    "not get it: our results use slices of cheng_brain_tumours.",
    licence="not stated",
    citation="A Quantitative Comparison between Focal Loss and Binary Cross-Entropy Loss in Brain Tumor "
    "Auto-Segmentation Using U-Net. Journal of Biostatistics and Epidemiology 11(1), 2025. "
    "doi:10.18502/jbe.v11i1.19315",
    split="5-fold cross-validation over the images.",
    files=("crossimage/*.png, crossmask/*.png", "image/*.png, Mask2/*.png, test/*.png"),
    notes=(
        "The files' sorted order pairs images with masks: a file that is missing shifts all that follow.",
        (
            "The patients are not named, so a patient's slices may stand on both sides of a split. Name them with "
            "`--cases` or `--patient-pattern` where you know them."
        ),
        "J. Cheng's data (`cheng_brain_tumours`) are like them, and name the patients.",
    ),
    options={
        "release": Option(
            "auto", "Which of the two releases; `auto` takes `cross` where it is there.", ("auto", "cross", "first")
        )
    },
    recognises=_recognises,
    read=_read,
)
