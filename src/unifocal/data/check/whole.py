"""A whole data set, read in other processes and checked."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from unifocal.data.case import Case, DataSet, Declared, Reading
from unifocal.data.check import together
from unifocal.data.check.duplicates import find_duplicates
from unifocal.data.check.examine import Findings, examine
from unifocal.data.check.limits import cases_at_once, describe_failure, heavy_modules, memory_for, seconds_for
from unifocal.data.check.result import CaseFacts, CheckedData, CheckResult
from unifocal.data.coding import MaskCoding, decide_coding
from unifocal.data.folder import Layout, read_folder
from unifocal.data.workers import Failed, map_isolated
from unifocal.problems import InputError, Problem, bad_input


def check_data(
    reading: Reading,
    *,
    threshold: int | None = None,
    minimum_patients: int = 0,
    split: Path | None = None,
    with_masks: bool = True,
    workers: int = 0,
    advance: Callable[[], None] | None = None,
) -> CheckResult:
    """Read every file of a data set once, in other processes, and list every problem.

    A file that crashes its reader, hangs it or exhausts its memory costs its own case and no other.

    Args:
        reading: The cases, and what is wrong with names and tables.
        threshold: Mask values from here on are foreground; None where they are 0/1, 0/255 or labels.
        minimum_patients: How many patients are needed, for instance the number of folds.
        split: A file that deals the cases to folds or parts, see `split_files.read_split`.
        with_masks: Whether cases without a mask are at fault.
        workers: Processes that read at once; 0: one per core.
        advance: Called after each case.
    """
    cases = reading.dataset.cases
    findings = _examine_all(cases, workers, advance)
    dataset, problems = reading.dataset, [problem for found in findings for problem in found.problems]
    if cases:
        dataset, others = _check_together(reading.dataset, findings, with_masks=with_masks)
        problems += others
        problems += together.split_problems(dataset, split)
    coding, faults = _check_masks(dataset.cases, findings, threshold, dataset.declared)
    problems += faults
    patients = _patients(reading, dataset)
    where = str(cases[0].image.path.parent) if cases else "data set"
    read = [(case, found) for case, found in zip(dataset.cases, findings, strict=True) if found.size is not None]
    are_of_headers = bool(read) and all(case.patient == found.patient for case, found in read)
    problems += together.patient_count_problems(
        patients, minimum_patients, dataset, where, are_of_headers=are_of_headers
    )
    problems = [*reading.problems, *problems]
    if not cases and not problems:
        problems = [Problem("data set", "has no cases", "Give images.", "no-cases")]
    checked = None
    if all(problem.is_warning for problem in problems) and cases:
        checked = _checked(dataset, findings, coding, tuple(problems))
    return CheckResult(tuple(problems), checked, dataset, patients, tuple(findings), coding)


def load_and_check(
    layout: Layout, *, minimum_patients: int = 0, workers: int = 0, advance: Callable[[], None] | None = None
) -> CheckedData:
    """Read and check a data set: names, pairs, table and the content of every file.

    Args:
        layout: Where it is.
        minimum_patients: How many patients are needed, for instance the number of folds.
        workers: Processes that read at once; 0: one per core.
        advance: Called after each case.

    Raises:
        InputError: With every error of all kinds at once; see `check_data`.
    """
    result = check_data(
        read_folder(layout),
        threshold=layout.mask_threshold,
        minimum_patients=minimum_patients,
        with_masks=layout.masks is not None,
        workers=workers,
        advance=advance,
    )
    return sound(result)


def check_cases(
    dataset: DataSet, *, threshold: int | None = None, minimum_patients: int = 0, workers: int = 0
) -> CheckedData:
    """Read every file of a data set once and check what it holds; cases may lack a mask.

    Args:
        dataset: The cases; those without a mask have their image checked alone.
        threshold: Mask values from here on are foreground; None where they are 0/1, 0/255 or labels.
        minimum_patients: How many patients are needed, for instance the number of folds.
        workers: Processes that read at once; 0: one per core.

    Raises:
        InputError: With every error; see `check_data`.
    """
    if not dataset.cases:
        raise bad_input("data set", "has no cases", "Give images.", kind="no-cases")
    reading = Reading(dataset, patients=frozenset(case.patient for case in dataset.cases))
    result = check_data(
        reading, threshold=threshold, minimum_patients=minimum_patients, with_masks=False, workers=workers
    )
    return sound(result)


def sound(result: CheckResult) -> CheckedData:
    """The checked data.

    Raises:
        InputError: With every error, if there is one.
    """
    if result.checked is None:
        raise InputError(result.errors)
    return result.checked


def _examine_all(cases: Sequence[Case], workers: int, advance: Callable[[], None] | None) -> list[Findings]:
    outcomes = map_isolated(
        examine, cases, workers=workers, timeout_s=seconds_for, memory_bytes=memory_for, advance=advance,
        preload=[examine.__module__, *heavy_modules(cases)], together=cases_at_once(cases),
    )  # fmt: skip
    return [
        Findings(problems=[describe_failure(case, outcome)]) if isinstance(outcome, Failed) else outcome
        for case, outcome in zip(cases, outcomes, strict=True)
    ]


def _check_together(
    dataset: DataSet, findings: Sequence[Findings], *, with_masks: bool
) -> tuple[DataSet, list[Problem]]:
    dataset, problems = together.with_header_patients(dataset, findings)
    cases = dataset.cases
    problems += together.missing_masks(cases) if with_masks else []
    problems += together.channel_problems(cases, findings, dataset.declared)
    problems += together.dimension_problems(cases, findings)
    problems += together.spacing_problems(cases, findings)
    problems += find_duplicates(cases, findings, patients_known=dataset.patients_known)
    return dataset, problems


def _check_masks(
    cases: Sequence[Case], findings: Sequence[Findings], threshold: int | None, declared: Declared
) -> tuple[MaskCoding, list[Problem]]:
    counts = {
        case.mask.path: found.counts
        for case, found in zip(cases, findings, strict=True)
        if case.mask is not None and found.counts is not None
    }
    coding, faults = decide_coding(
        counts, threshold=threshold, declared=declared.labels, keep=kept_values(declared)
    )  # fmt: skip
    places = {fault.where for fault in faults}
    good = {path: found for path, found in counts.items() if str(path) not in places}
    are_all = not faults and len(good) == sum(case.mask is not None for case in cases)
    if good:
        faults = [*faults, *together.mask_problems(cases, good, coding, declared, are_all=are_all)]
    return coding, faults


def kept_values(declared: Declared) -> tuple[int, ...] | None:
    """The values that count: those that are kept, else those of all regions; None where all do."""
    if declared.keep is not None or not declared.regions:
        return declared.keep
    return tuple(sorted({value for values in declared.regions.values() for value in values}))


def _patients(reading: Reading, dataset: DataSet) -> int:
    if dataset.patients_known and not reading.dataset.patients_known:
        return len({case.patient for case in dataset.cases})
    return len(reading.patients | {case.patient for case in dataset.cases})


def _checked(
    dataset: DataSet, findings: Sequence[Findings], coding: MaskCoding, warnings: tuple[Problem, ...]
) -> CheckedData:
    channels = len(dataset.declared.channels)
    facts = tuple(_facts(case, found, coding, channels) for case, found in zip(dataset.cases, findings, strict=True))
    return CheckedData(
        dataset=dataset,
        facts=facts,
        labels=tuple(sorted({label for fact in facts for label in fact.labels})),
        channels=max(fact.channels for fact in facts),
        coding=coding,
        content_hash=hashlib.sha256(b"".join(found.digests for found in findings)).hexdigest(),
        warnings=warnings,
    )


def _facts(case: Case, found: Findings, coding: MaskCoding, declared_channels: int) -> CaseFacts:
    assert found.size is not None
    total = sum((found.counts or {}).values())
    foreground: dict[int, float] = {}
    for value, count in (found.counts or {}).items():
        label = coding.label(value)
        if label:
            foreground[label] = foreground.get(label, 0.0) + count / total
    return CaseFacts(
        name=case.name,
        size=found.size,
        channels=declared_channels or (1 if found.is_grey else 3),
        labels=tuple(sorted(foreground)),
        foreground=foreground,
        spacing_mm=case.spacing_mm or found.spacing_mm,
        order=found.order,
    )
