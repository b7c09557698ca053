"""BraTS 2020: gliomas in MRI; reads other years' folders of cases named alike."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unifocal.data.case import Case, Declared, Reading
from unifocal.data.catalogue.entry import Entry
from unifocal.data.layouts.case_folders import case_folders, cases_of
from unifocal.data.layouts.found import reading_of
from unifocal.data.layouts.listing import files_in, folders_in, is_file
from unifocal.data.layouts.options import Option
from unifocal.data.table import read_table
from unifocal.problems import InputError, Problem, bad_input

NAME = "brats20"
SEQUENCES = ("flair", "t1", "t1ce", "t2")
LABELS = {1: "necrotic and non-enhancing core", 2: "oedema", 4: "enhancing tumour"}
LABELS_UNTIL_2016 = {1: "necrosis", 2: "oedema", 3: "non-enhancing tumour", 4: "enhancing tumour"}
_MASKS = tuple(f"{stem}.nii{end}" for stem in ("{case}_seg", "*Segm") for end in (".gz", ""))


def _recognises(folder: Path) -> bool:
    for case in folders_in(folder)[:5]:
        names = {path.name for path in files_in(case)}
        if any(f"{case.name}_{sequence}.nii{end}" in names for sequence in ("t1ce", "flair") for end in ("", ".gz")):
            return True
    return False


def _read(folder: Path, options: Mapping[str, Any]) -> Reading:
    problems: list[Problem] = []
    channels = _channels(options["channels"])
    patterns = [[f"{{case}}_{channel}.nii{end}" for end in (".gz", "")] for channel in channels]
    folders = case_folders(folder, lambda name: name[0] not in "._")
    cases = cases_of(folders, patterns, _MASKS, problems, needs_mask=lambda name: "Validation" not in name)
    cases = _graded(folder, cases, problems)
    if options["require_label"]:
        cases = _with_label(cases, int(options["require_label"]), folder, problems)
    until_2016 = not any(case.name.startswith("BraTS") for case in cases)
    names = LABELS_UNTIL_2016 if until_2016 else LABELS
    core = tuple(value for value in names if value != 2)
    target = options["target"]
    declared = Declared(
        NAME,
        labels=names,
        keep=(4,) if target == "enhancing" else None,
        regions={"whole tumour": tuple(names), "tumour core": core, "enhancing tumour": (4,)}
        if target == "regions"
        else {},
        channels=channels,
        modality="MR",
    )
    return reading_of(cases, problems, declared, patients_known=True)


def _channels(asked: Any) -> tuple[str, ...]:
    named = asked.replace(" ", "").split(",") if isinstance(asked, str) else list(asked)
    channels = SEQUENCES if named == ["all"] else tuple(named)
    if not channels or not set(channels) <= set(SEQUENCES) or len(set(channels)) < len(channels):
        what = f"is {asked!r:.80}, which names no sequences"
        remedy = f"Give all, or some of {', '.join(SEQUENCES)}, separated by commas."
        raise bad_input("option channels", what, remedy, kind="option-invalid")
    return channels


def _graded(folder: Path, cases: Sequence[Case], problems: list[Problem]) -> list[Case]:
    """The grade, HGG or LGG, of `name_mapping.csv` as the case's class."""
    path = folder / "name_mapping.csv"
    if not is_file(path):
        return list(cases)
    try:
        table, _ = read_table(path, case_column="BraTS_2020_subject_ID")
    except InputError as error:
        problems += [replace(problem, is_warning=True) for problem in error.problems]
        return list(cases)
    grades = {name: row.attributes.get("Grade", "") for name, row in table.rows.items()}
    return [replace(case, attributes={"class": grades[case.name]}) if grades.get(case.name) else case for case in cases]


def _with_label(cases: Sequence[Case], label: int, folder: Path, problems: list[Problem]) -> list[Case]:
    """The cases whose mask has the label; every mask is read for it. A mask that cannot be read stays, to be told."""
    from unifocal.data.read import read_mask

    left_out = []
    for case in cases:
        try:
            if case.mask is not None and not (read_mask(case.mask).array == label).any():
                left_out.append(case)
        except InputError:
            continue
    if left_out:
        what = f"{len(left_out)} cases without the label {label} are left out: {', '.join(c.name for c in left_out)}"
        remedy = "Leave the option require_label away to keep them."
        problems.append(Problem(str(folder), what, remedy, "left-out", is_warning=True))
    return [case for case in cases if case not in left_out]


ENTRY = Entry(
    name=NAME,
    title="BraTS 2020: Multimodal Brain Tumor Segmentation Challenge",
    task="glioma and its parts, 3D",
    modality="MRI: FLAIR, T1, T1 with contrast agent (t1ce), T2; 240x240x155 at 1 mm, skull-stripped, NIfTI",
    size="369 training cases with masks, 125 validation cases without",
    obtain="From its owners after registration: https://www.med.upenn.edu/cbica/brats2020/data.html",
    licence="research use after registration, with citation",
    citation="Menze et al. The multimodal brain tumor image segmentation benchmark (BRATS). IEEE Transactions on "
    "Medical Imaging 34(10), 1993-2024, 2015. doi:10.1109/TMI.2014.2377694. Bakas et al. Advancing The Cancer Genome "
    "Atlas glioma MRI collections with expert segmentation labels and radiomic features. Scientific Data 4, 170117, "
    "2017. doi:10.1038/sdata.2017.117. Bakas et al. Identifying the best machine learning algorithms for brain tumor "
    "segmentation. 2018. doi:10.48550/arXiv.1811.02629",
    split="Masks of the validation part are not given out. Unified Focal loss paper: the 342 cases with enhancing "
    "tumour, 219 training, 55 validation and 68 test, drawn at random.",
    files=("BraTS20_Training_001/BraTS20_Training_001_{flair,t1,t1ce,t2,seg}.nii.gz", "name_mapping.csv"),
    notes=(
        (
            "Labels: 1 necrotic and non-enhancing core, 2 oedema, 4 enhancing tumour. Until 2016 there was also "
            "3, non-enhancing tumour; folders whose names do not begin with BraTS are read so."
        ),
        "The mask of case 355 is called W39_1998.09.19_Segm in some copies.",
    ),
    options={
        "channels": Option("t1ce", "The sequences, separated by commas, or `all`."),
        "target": Option(
            "enhancing",
            "`enhancing`: label 4 alone; `labels`: all as they are; `regions`: whole tumour, tumour core and enhancing "
            "tumour, which overlap.",
            ("enhancing", "labels", "regions"),
        ),
        "require_label": Option(0, "Leave out cases whose mask lacks this label; reads every mask. 0: keep all."),
    },
    recognises=_recognises,
    read=_read,
)
