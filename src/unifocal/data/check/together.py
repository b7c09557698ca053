"""What is wrong with all cases together: channels, dimensions, spacing, classes, patients."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from unifocal.data.case import Case, DataSet, Declared
from unifocal.data.check.examine import Findings
from unifocal.data.coding import MaskCoding
from unifocal.data.split_files import parts_of_units, read_split
from unifocal.problems import InputError, Problem

SPACINGS_MM = (1e-6, 1e4)
"""From a nanometre to ten metres: beyond that, sizes and volumes soon overflow."""
_SHOWN = 5


def channel_problems(cases: Sequence[Case], findings: Sequence[Findings], declared: Declared) -> list[Problem]:
    """Other channels than declared; without a declaration, colour among grey, and volumes with a fourth axis.

    Images stored with three equal channels go with either grey or colour; the fewer of both are at fault.
    """
    read = [(case, found) for case, found in zip(cases, findings, strict=True) if found.size is not None]
    if declared.channels:
        wanted = len(declared.channels)
        return [
            Problem(
                str(case.image),
                f"has {_number(found.channels, 'channel')}, but {wanted} are declared ({', '.join(declared.channels)})",
                "Mend the image, or what the data set says of its channels.",
                "channels-differ",
            )
            for case, found in read
            if found.channels != wanted and not (wanted == 1 and found.is_grey and len(found.size or ()) == 2)
        ]
    many = [(case, found) for case, found in read if found.channels not in {1, 3}]
    problems = [
        Problem(
            str(case.image),
            f"is 4D: it holds {found.channels} volumes, and nothing says that they are channels",
            "Name the channels in dataset.json, or save the one volume that is meant.",
            "unexpected-4d",
        )
        for case, found in many
    ]
    colour = [case for case, found in read if found.channels == 3 and not found.is_grey]
    grey = [case for case, found in read if found.channels == 1]
    if not colour or not grey:
        return problems
    are_volumes = any(len(found.size or ()) == 3 for _, found in read)
    odd, other = (grey, 3) if len(grey) < len(colour) else (colour, 1)
    what = f"is {'grey' if other == 3 else 'in colour'}, but other images are {'colour' if other == 3 else 'grey'}"
    remedy = "Convert the images so that all are grey or all are in colour."
    if are_volumes:
        what = f"has {_number(4 - other, 'channel')}, but other volumes have {other}"
        remedy = "Save the same channels for all; of a 4D file that holds time points, the one volume that is meant."
    return problems + [Problem(str(case.image), what, remedy, "mixed-channels") for case in odd]


def dimension_problems(cases: Sequence[Case], findings: Sequence[Findings]) -> list[Problem]:
    """Pictures among volumes, or the other way round: the fewer are at fault."""
    axes = {place: len(found.size) for place, found in enumerate(findings) if found.size is not None}
    counts = Counter(axes.values())
    if len(counts) < 2:
        return []
    usual = counts.most_common(1)[0][0]
    remedy = "Give pictures and volumes as two data sets."
    return [
        Problem(str(cases[place].image), f"is {mine}D, but other images are {usual}D", remedy, "mixed-dimensions")
        for place, mine in axes.items()
        if mine != usual
    ]


def spacing_problems(cases: Sequence[Case], findings: Sequence[Findings]) -> list[Problem]:
    """Distances that no scanner has; and, where there are masks, spacing that is known for some cases only."""
    read = [(case, found) for case, found in zip(cases, findings, strict=True) if found.size is not None]
    return _strange_spacings(read) + _half_known(read)


def _strange_spacings(read: Sequence[tuple[Case, Findings]]) -> list[Problem]:
    low, high = SPACINGS_MM
    strange: dict[tuple[str, tuple[float, ...]], list[str]] = defaultdict(list)
    for case, found in read:
        spacing = case.spacing_mm or found.spacing_mm or ()
        if not all(low <= step <= high for step in spacing):
            # What is given for many images at once is told once.
            strange["" if case.spacing_mm else case.name, spacing].append(str(case.image))
    remedy = "Check the unit in the file's header, the table of cases, or --spacing."
    return [
        Problem(
            images[0],
            f"has a spacing of {' x '.join(f'{step:.4g}' for step in spacing)} mm{_others(len(images) - 1)}, and only "
            f"{low:g} to {high:g} mm can be used",
            remedy,
            "spacing-strange",
        )
        for (_, spacing), images in strange.items()
    ]


def _others(count: int) -> str:
    return f" (as {_number(count, 'other image')})" if count else ""


def _half_known(read: Sequence[tuple[Case, Findings]]) -> list[Problem]:
    """Distances in mm and in pixels cannot be averaged."""
    if not any(case.mask for case, _ in read):
        return []
    unknown = [case.name for case, found in read if case.spacing_mm is None and found.spacing_mm is None]
    if not unknown or len(unknown) == len(read):
        return []
    what = f"{len(unknown)} images have no spacing while {len(read) - len(unknown)} have ({_some(unknown)} have none)"
    remedy = "Fill the table's spacing for all images, or for none, or give --spacing."
    return [Problem("spacing", what, remedy, "spacing-half-known")]


def mask_problems(
    cases: Sequence[Case],
    counts: Mapping[Path, Mapping[int, int]],
    coding: MaskCoding,
    declared: Declared,
    *,
    are_all: bool,
) -> list[Problem]:
    """Masks without foreground, and declared classes that no mask has.

    Args:
        cases: All cases.
        counts: Of each mask whose values are sound, how often each stored value stands in it.
        coding: What the values mean.
        declared: What the data set says of itself.
        are_all: Whether these are all masks; otherwise one of the others may be the one that is not empty.
    """
    present = {path: {coding.label(value) for value in found} - {0} for path, found in counts.items()}
    kept = "" if coding.keep is None else f" of the labels {', '.join(map(str, coding.keep))}"
    if are_all and not any(present.values()):
        return [_all_empty(counts, coding, kept)]
    remedy = "Check whether that is so; --fix leaves such cases as they are."
    empty = [
        Problem(str(case.mask), f"has no foreground{kept}", remedy, "mask-empty", is_warning=True)
        for case in cases
        if case.mask is not None and present.get(case.mask.path) == set()
    ]
    if coding.threshold is not None or coding.is_black_and_white:
        return empty
    found = set().union(*present.values())
    wanted = {f"the label {value} ({name})": {value} for value, name in declared.labels.items()}
    if coding.keep is not None:
        wanted = {name: values for name, values in wanted.items() if values <= set(coding.keep)}
        named = {value for values in (*wanted.values(), *declared.regions.values()) for value in values}
        wanted |= {f"the label {value}": {value} for value in coding.keep if value not in named}
    wanted |= {f"the region {name}": set(values) for name, values in declared.regions.items()}
    if not declared.labels:
        pairs = ((name, value) for name, values in declared.regions.items() for value in values)
        wanted |= {f"the value {value} of the region {name}": {value} for name, value in pairs}
    where = str(next(iter(counts)).parent)
    none_of = "no mask" if are_all else f"none of the {len(counts)} masks whose values are sound"
    return empty + [
        Problem(where, f"{none_of} holds {name}", "Check the names and numbers of the labels.", "class-absent",
                is_warning=True)
        for name, values in wanted.items()
        if values and not values & found
    ]  # fmt: skip


def missing_masks(cases: Sequence[Case]) -> list[Problem]:
    """Cases without a mask where masks are wanted; those of an official part (a test set) are only mentioned."""
    without = [case for case in cases if case.mask is None]
    if len(without) == len(cases) and cases:
        what = f"none of its {_number(len(cases), 'image')} has a mask"
        return [Problem(str(cases[0].image.path.parent), what, "Give the masks with --masks.", "no-masks")]
    remedy = "Add the mask, or remove the image."
    return [
        Problem(str(case.image), "has no mask", remedy, "mask-missing", is_warning=bool(case.part))
        for case in without
    ]  # fmt: skip


def with_header_patients(dataset: DataSet, findings: Sequence[Findings]) -> tuple[DataSet, list[Problem]]:
    """The data set with the patients that the files' headers name, where nothing else does.

    Returns:
        The data set, and problems: headers of some files only; a header that contradicts the table; none at all.
    """
    pairs = list(zip(dataset.cases, findings, strict=True))
    if dataset.patients_known:
        unnamed = [
            Problem(str(case.image), "belongs to no patient", "Name the patient in the table.", "patient-missing")
            for case in dataset.cases
            if not case.patient
        ]
        return dataset, unnamed + _contradictions(pairs)
    named = [case for case, found in pairs if found.patient]
    if named and len(named) == len(pairs):
        cases = tuple(replace(case, patient=found.patient) for case, found in pairs)
        return replace(dataset, cases=cases, patients_known=True), []
    where = str(dataset.cases[0].image.path.parent)
    what = "no patients are named, so every image counts as one"
    if named:
        what = f"only {len(named)} of {len(pairs)} headers name a patient, so every image counts as one"
    remedy = "If a patient has several images, name the patients (--patient-column, --patient-pattern)."
    return dataset, [Problem(where, what, remedy, "patient-missing", is_warning=True)]


def _contradictions(pairs: Sequence[tuple[Case, Findings]]) -> list[Problem]:
    """One person, by the headers, under several names of the table."""
    names: dict[str, set[str]] = defaultdict(set)
    for case, found in pairs:
        if found.patient:
            names[found.patient].add(case.patient)
    remedy = "Give all images of a person one patient, or no split can keep them together."
    return [
        Problem(str(case.image), f"is by its header of one person with {_some(others)}, but stands under another name",
                remedy, "patient-differs", is_warning=True)
        for case, found in pairs
        if (others := sorted(names.get(found.patient, set()) - {case.patient}))
    ]  # fmt: skip


def patient_count_problems(
    patients: int, needed: int, dataset: DataSet, where: str, *, are_of_headers: bool = False
) -> list[Problem]:
    """Fewer patients than folds, or than the two parts of a training.

    Args:
        patients: How many there are.
        needed: How many are needed.
        dataset: The cases.
        where: What the problem concerns.
        are_of_headers: Whether the files' headers name the patients.
    """
    if patients >= needed:
        return []
    whose = "" if dataset.patients_known else " (no patients are named, so every image counts as one)"
    whose = " by the files' headers" if are_of_headers else whose
    need = f"{needed} folds need {needed}" if needed > 2 else "a training needs 2 and a comparison 3"
    what = f"has {_number(patients, 'patient')}{whose}, but {need}"
    fewer = f"Give --folds {patients}, or add patients." if patients > 2 else "Add patients."
    if are_of_headers and patients < len(dataset.cases):
        # Anonymised files often have one PatientID for all.
        fewer += " If the headers name no real patients, say whose each case is: --patient-pattern or --cases."
    return [Problem(where, what, fewer, "too-few-patients")]


def split_problems(dataset: DataSet, split: Path | None) -> list[Problem]:
    """Patients on both sides of a given split, and its other faults; of the official split, warnings."""
    official: dict[str, set[str]] = defaultdict(set)
    for case in dataset.cases:
        if case.part:
            official[case.patient].add(case.part)
    problems = [
        Problem(f"patient {patient}", f"is in {' and in '.join(sorted(parts))} of the official split",
                "Draw folds over patients instead.", "patient-on-both-sides", is_warning=True)
        for patient, parts in sorted(official.items())
        if len(parts) > 1
    ]  # fmt: skip
    if split is None:
        return problems
    try:
        return problems + parts_of_units(read_split(split), dataset.cases, by="patient")[1]
    except InputError as error:
        return problems + list(error.problems)


def split_file_problems(split: Path | None) -> list[Problem]:
    """What is wrong with a split file by itself, where there are no cases to hold it against."""
    if split is not None:
        try:
            read_split(split)
        except InputError as error:
            return list(error.problems)
    return []


def _all_empty(counts: Mapping[Path, Mapping[int, int]], coding: MaskCoding, kept: str) -> Problem:
    largest = max(max(found) for found in counts.values())
    what = f"all {len(counts)} masks are empty{kept and ', they have none' + kept}"
    what += f" (the highest value in any of them is {largest})"
    remedy = "Export the masks again."
    if coding.threshold is not None:
        remedy = f"Give a lower --mask-threshold than {coding.threshold}, or export the masks again."
    elif coding.keep is not None:
        remedy = "Choose other labels, or export the masks again."
    return Problem(str(next(iter(counts)).parent), what, remedy, "masks-all-empty")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
