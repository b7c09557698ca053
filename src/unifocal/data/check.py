"""One reading of every file, before any work starts: what the data set holds, and what is wrong with it."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unifocal.data.case import Case
from unifocal.data.coding import MaskCoding, decide_coding
from unifocal.data.folder import DataSet, read_folder
from unifocal.data.layout import Layout
from unifocal.data.read import Image, image_from_bytes, is_grey, mask_from_bytes, read_bytes
from unifocal.problems import InputError, Problem, bad_input, raise_if_any


@dataclass(frozen=True)
class CaseFacts:
    """What one case holds.

    Attributes:
        name: The case.
        size: (rows, columns) in pixels.
        channels: 1 for a grey picture, also where it is stored with three equal channels; 3 for colour.
        labels: The labels in the mask, without the background 0.
        foreground: The share of the pixels that each of them has, 0 to 1.
    """

    name: str
    size: tuple[int, int]
    channels: int
    labels: tuple[int, ...] = ()
    foreground: Mapping[int, float] = field(default_factory=dict)

    @property
    def foreground_share(self) -> float:
        """The share of the pixels that any label has."""
        return sum(self.foreground.values())


@dataclass(frozen=True)
class CheckedData:
    """A data set of which every file was read and found sound.

    Attributes:
        dataset: The cases.
        facts: What each holds, in the order of the cases.
        labels: The labels of all masks together, ascending, without the background 0.
        channels: 1 if all images are grey, else 3.
        coding: What the masks' values mean.
        content_hash: SHA-256 over the SHA-256 of every file's bytes, case by case, image before mask.
    """

    dataset: DataSet
    facts: tuple[CaseFacts, ...]
    labels: tuple[int, ...]
    channels: int
    coding: MaskCoding
    content_hash: str

    @property
    def foreground_share(self) -> float:
        """The mean of the cases' shares of foreground, 0 to 1."""
        return math.fsum(fact.foreground_share for fact in self.facts) / len(self.facts)


@dataclass
class _Findings:
    """What reading a case's files gave; None is what could not be read."""

    problems: list[Problem] = field(default_factory=list)
    size: tuple[int, int] | None = None
    is_grey: bool = True
    stored_channels: int = 1
    counts: dict[int, int] | None = None
    digests: bytes = b""


def load_and_check(layout: Layout, *, minimum_patients: int = 0, workers: int = 2) -> CheckedData:
    """Read and check a data set: names, pairs, table and the content of every file.

    Args:
        layout: Where it is.
        minimum_patients: How many patients are needed, for instance the number of folds.
        workers: Files read at once.

    Raises:
        InputError: With every problem of all kinds at once; see `check_cases`.
    """
    reading = read_folder(layout)
    checked, problems = _check(reading.dataset, layout.mask_threshold, workers)
    problems += _too_few_patients(len(reading.patients), minimum_patients, reading.dataset, layout.images)
    raise_if_any([*reading.problems, *problems])
    assert checked is not None
    return checked


def check_cases(
    dataset: DataSet, *, threshold: int | None = None, minimum_patients: int = 0, workers: int = 2
) -> CheckedData:
    """Read every file of a data set once and check what it holds.

    Images may be grey or colour, but not both in one data set; colour with three equal channels counts
    as grey.

    Args:
        dataset: The cases; those without a mask have their image checked alone.
        threshold: Mask values from here on are foreground; None where they are 0/1, 0/255 or labels.
        minimum_patients: How many patients are needed, for instance the number of folds.
        workers: Files read at once.

    Raises:
        InputError: With one problem for each fault: an unreadable file, sizes that differ, unexpected values in a mask,
            an image of one value or with values that are not finite, grey among colour images, masks that are all
            empty, too few patients.
    """
    if not dataset.cases:
        raise bad_input("data set", "has no cases", "Give images.")
    checked, problems = _check(dataset, threshold, workers)
    patients = {case.patient for case in dataset.cases}
    problems += _too_few_patients(len(patients), minimum_patients, dataset, dataset.cases[0].image.parent)
    raise_if_any(problems)
    assert checked is not None
    return checked


def _check(dataset: DataSet, threshold: int | None, workers: int) -> tuple[CheckedData | None, list[Problem]]:
    with ThreadPoolExecutor(max_workers=workers) as pool:
        findings = list(pool.map(_read_case, dataset.cases))
    problems = [problem for found in findings for problem in found.problems]
    problems += _mixed_channels(dataset.cases, findings)
    values = {
        case.mask: found.counts
        for case, found in zip(dataset.cases, findings, strict=True)
        if case.mask is not None and found.counts is not None
    }
    coding, faults = decide_coding(values, threshold=threshold)
    problems += faults
    # A mask that could not be read may be the one that is not empty.
    every_mask_was_read = len(values) == sum(case.mask is not None for case in dataset.cases)
    if values and every_mask_was_read and not faults:
        problems += _all_empty(values, coding)
    if problems or not findings:
        return None, problems
    facts = tuple(_facts(case, found, coding) for case, found in zip(dataset.cases, findings, strict=True))
    return CheckedData(
        dataset=dataset,
        facts=facts,
        labels=tuple(sorted({label for fact in facts for label in fact.labels})),
        channels=max(fact.channels for fact in facts),
        coding=coding,
        content_hash=hashlib.sha256(b"".join(found.digests for found in findings)).hexdigest(),
    ), []


def _read_case(case: Case) -> _Findings:
    findings = _Findings()
    try:
        data = read_bytes(case.image)
        findings.digests += hashlib.sha256(data).digest()
        _look_at_image(image_from_bytes(data, case.image), case.image, findings)
    except InputError as error:
        findings.problems += error.problems
    if case.mask is None:
        return findings
    try:
        data = read_bytes(case.mask)
        findings.digests += hashlib.sha256(data).digest()
        mask = mask_from_bytes(data, case.mask)
    except InputError as error:
        findings.problems += error.problems
        return findings
    if findings.size is not None and findings.size != mask.shape:
        what = f"has {_size(mask.shape)} pixels, but its image {case.image.name} has {_size(findings.size)}"
        remedy = "Export image and mask at the same size, and check that they belong together."
        findings.problems.append(Problem(str(case.mask), what, remedy))
    values, counts = np.unique(mask, return_counts=True)
    findings.counts = dict(zip(values.tolist(), counts.tolist(), strict=True))
    return findings


def _look_at_image(image: Image, path: Path, findings: _Findings) -> None:
    findings.size = (image.shape[1], image.shape[2])
    findings.stored_channels, findings.is_grey = len(image), is_grey(image)
    if not np.isfinite(image).all():
        what = (
            f"has values that are not finite (NaN or infinite): {np.count_nonzero(~np.isfinite(image))} of {image.size}"
        )
        findings.problems.append(Problem(str(path), what, "Replace them, or export the image again."))
    elif (image == image[:, :1, :1]).all():
        what = f"shows nothing: every pixel has the value {image[0, 0, 0]:g}"
        findings.problems.append(Problem(str(path), what, "Export it again, or remove it with its mask."))


def _mixed_channels(cases: Sequence[Case], findings: Sequence[_Findings]) -> list[Problem]:
    """Colour images among grey ones, or the other way round: the fewer are at fault.

    Images stored with three equal channels go with either.
    """
    read = [(case.image, found) for case, found in zip(cases, findings, strict=True) if found.size is not None]
    colour = [path for path, found in read if not found.is_grey]
    grey = [path for path, found in read if found.stored_channels == 1]
    if not colour or not grey:
        return []
    odd, kind, other = (grey, "grey", "colour") if len(grey) < len(colour) else (colour, "in colour", "grey")
    remedy = "Convert the images so that all are grey or all are in colour."
    return [Problem(str(path), f"is {kind}, but other images are {other}", remedy) for path in odd]


def _all_empty(values: Mapping[Path, Mapping[int, int]], coding: MaskCoding) -> list[Problem]:
    if any(coding.label(value) for counts in values.values() for value in counts):
        return []
    largest = max(max(counts) for counts in values.values())
    what = f"all {len(values)} masks are empty (the highest value in any of them is {largest})"
    remedy = "Export the masks again."
    if coding.threshold is not None:
        remedy = f"Give a lower --mask-threshold than {coding.threshold}, or export the masks again."
    return [Problem(str(next(iter(values)).parent), what, remedy)]


def _too_few_patients(patients: int, needed: int, dataset: DataSet, folder: Path) -> list[Problem]:
    if patients >= needed:
        return []
    whose = "" if dataset.patients_known else " (no patients are named, so every image counts as one)"
    what = f"has {patients} {'patient' if patients == 1 else 'patients'}{whose}, but {needed} folds need {needed}"
    fewer = f"Give --folds {patients}, or add patients." if patients > 1 else "Add patients."
    return [Problem(str(folder), what, fewer)]


def _facts(case: Case, findings: _Findings, coding: MaskCoding) -> CaseFacts:
    assert findings.size is not None
    pixels = findings.size[0] * findings.size[1]
    foreground: dict[int, float] = {}
    for value, count in (findings.counts or {}).items():
        label = coding.label(value)
        if label:
            foreground[label] = foreground.get(label, 0.0) + count / pixels
    channels = 1 if findings.is_grey else 3
    return CaseFacts(case.name, findings.size, channels, tuple(sorted(foreground)), foreground)


def _size(shape: Sequence[int]) -> str:
    return " x ".join(str(length) for length in shape)
