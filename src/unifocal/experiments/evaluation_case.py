"""One case of an evaluation, looked at and then scored; runs in a process of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.data.case import Case, Source
from unifocal.data.check.examine import (
    MAX_SHIFT,
    MAX_SHIFT_UNNOTICED,
    SPACING_TOLERANCE,
    count_values,
    size_text,
)
from unifocal.data.coding import MaskCoding, label_values
from unifocal.data.formats.geometry import largest_shift
from unifocal.data.read import read_mask
from unifocal.data.scan import Scan
from unifocal.experiments.folder import SCORE_COLUMNS, score_rows
from unifocal.experiments.probabilities import csv_text, probability_rows
from unifocal.experiments.probability_files import read_probabilities, stored_shape
from unifocal.metrics import score_case
from unifocal.problems import InputError, Problem, bad_input

_MATCH = "Bring the prediction onto the true mask's grid, and check that they belong together."


@dataclass(frozen=True)
class Pair:
    """One case with its predictions, before any file is opened.

    Attributes:
        case: `image` is the true mask, `other_masks` holds the predictions by method.
        probabilities: Files of probabilities by method.
    """

    case: Case
    probabilities: Mapping[str, Path] = field(default_factory=dict)


@dataclass
class Seen:
    """What looking at a case gave; None is what could not be read.

    Attributes:
        problems: Errors and warnings.
        shape: Of the true mask.
        spacing_mm: As the user says, else as the true mask's file says.
        truth: How often each stored value stands in the true mask.
        predictions: The same of each prediction, by method.
        channels: Of each file of probabilities, by method.
    """

    problems: list[Problem] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    spacing_mm: tuple[float, ...] | None = None
    truth: Mapping[int, int] | None = None
    predictions: dict[str, Mapping[int, int]] = field(default_factory=dict)
    channels: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Scoring:
    """How masks become scores, the same for every case.

    Attributes:
        methods: In the order of the scores.
        labels: The labels to score, ascending.
        truth: What the true masks' values mean.
        predictions: What each method's values mean.
        tolerance: Of the surface Dice, in mm (px where the spacing is unknown).
    """

    methods: tuple[str, ...]
    labels: tuple[int, ...]
    truth: MaskCoding
    predictions: Mapping[str, MaskCoding]
    tolerance: float


@dataclass(frozen=True)
class Scored:
    """One case's lines of `scores.csv` and `probabilities.csv.gz`, or why there are none."""

    scores: str = ""
    probabilities: str = ""
    problems: tuple[Problem, ...] = ()


def examine(pair: Pair) -> Seen:
    """Read a case's masks and compare their grids; what cannot be read becomes a problem."""
    seen, case = Seen(), pair.case
    truth = _attempt(case.image, None, seen)
    if truth is not None:
        seen.shape, seen.truth = truth.array.shape, count_values(truth.array)
        seen.spacing_mm = case.spacing_mm or truth.spacing_mm
        if seen.spacing_mm is not None and len(seen.spacing_mm) != truth.array.ndim:
            what = f"has {truth.array.ndim} axes, but {len(seen.spacing_mm)} distances are given as its spacing"
            remedy = f"Give {truth.array.ndim} numbers, or leave the spacing to the files."
            seen.problems.append(Problem(str(case.image), what, remedy, "spacing-axes"))
    for method, source in case.other_masks.items():
        mask = _attempt(source, truth, seen)
        if mask is not None:
            seen.predictions[method] = count_values(mask.array)
            seen.problems += _compare(source, mask, case.image, truth)
    for method, path in pair.probabilities.items():
        try:
            if seen.shape is not None:
                seen.channels[method] = _channels(path, seen.shape)
        except InputError as error:
            seen.problems += error.problems
    return seen


def score(work: tuple[Pair, Scoring]) -> Scored:
    """Score every prediction of a case; a missing one counts as an empty mask."""
    pair, how = work
    try:
        return _score(pair, how)
    except InputError as error:
        return Scored(problems=error.problems)


def _score(pair: Pair, how: Scoring) -> Scored:
    case = pair.case
    scan = read_mask(case.image)
    truth, spacing = label_values(scan.array, how.truth), case.spacing_mm or scan.spacing_mm
    scores, bins = [], []
    for method in how.methods:
        source = case.other_masks.get(method)
        if source is None:
            predicted: NDArray[Any] = np.zeros_like(truth)
        else:
            predicted = label_values(read_mask(source, like=scan).array, how.predictions[method])
        channels = None
        if method in pair.probabilities:
            channels = _for_labels(read_probabilities(pair.probabilities[method], truth.shape), how.labels)
            known = (method, 0, 0, case.name, case.patient)
            bins.append(csv_text(probability_rows(known, truth, channels, how.labels)))
        found = score_case(truth, predicted, spacing, how.labels, channels, how.tolerance)
        rows = score_rows(method, 0, 0, case, found)
        scores.append(csv_text([row[column] for column in SCORE_COLUMNS] for row in rows))
    return Scored("".join(scores), "".join(bins))


def channel_problem(channels: int, labels: Sequence[int]) -> str:
    """What is wrong with the number of channels of probabilities; empty where nothing is.

    There is one channel per value from 0 up to the highest label, or the background's and one per label, or, for a
    single label, its own alone.
    """
    allowed = {len(labels) + 1} | ({1} if len(labels) == 1 else set())
    if channels in allowed or channels > max(labels):
        return ""
    named = ", ".join(map(str, labels))
    return f"holds {channels} channels; expected {len(labels) + 1}: the background and the labels {named}"


def _for_labels(channels: NDArray[np.floating[Any]], labels: Sequence[int]) -> NDArray[np.floating[Any]]:
    """The background's channel and the labels', in order, of channels that `channel_problem` allows."""
    if len(channels) == 1 or len(channels) == len(labels) + 1:
        return channels
    return channels[[0, *labels]]


def _attempt(source: Source, like: Scan | None, seen: Seen) -> Scan | None:
    try:
        scan = read_mask(source, like=like)
        if scan.array.size == 0:
            what = f"holds nothing: {size_text(scan.array.shape)} elements"
            raise bad_input(str(source), what, "Export it again.", kind="no-elements")
    except InputError as error:
        seen.problems += error.problems
        return None
    seen.problems += scan.notes
    return scan


def _compare(source: Source, mask: Scan, truth_source: Source, truth: Scan | None) -> list[Problem]:
    """What speaks against a prediction's lying on the true mask's grid."""
    if truth is None:
        return []
    where, other = str(source), f"its true mask {truth_source.path.name}"
    sizes = mask.array.shape, truth.array.shape
    if sizes[0] != sizes[1]:
        what = f"has {size_text(sizes[0])} elements, but {other} has {size_text(sizes[1])}"
        return [Problem(where, what, _MATCH, "size-differs")]
    spacings = mask.spacing_mm, truth.spacing_mm
    if spacings[0] and spacings[1] and not np.allclose(spacings[0], spacings[1], rtol=SPACING_TOLERANCE, atol=0):
        mine, theirs = (" x ".join(f"{step:.4g}" for step in spacing) for spacing in spacings if spacing)
        what = f"has a spacing of {mine} mm, but {other} of {theirs} mm"
        return [Problem(where, what, _MATCH, "spacing-differs")]
    if mask.affine is None or truth.affine is None or mask.affine.shape != truth.affine.shape:
        return []
    shift = largest_shift(mask.affine, truth.affine, sizes[0])
    parts = shift / min(truth.spacing_mm or (1.0,))
    # Not `parts > ...`: a shift that is not a number is an error too.
    if parts <= MAX_SHIFT_UNNOTICED:
        return []
    what = f"lies elsewhere in space than {other}: the same corner is up to {shift:.3g} mm apart"
    return [Problem(where, what, _MATCH, "affine-differs", is_warning=parts <= MAX_SHIFT)]


def _channels(path: Path, shape: tuple[int, ...]) -> int:
    stored = stored_shape(path, len(shape))
    if stored[1:] != shape:
        what = f"holds {size_text(stored)} (channels first), but the true mask has {size_text(shape)} elements"
        raise bad_input(str(path), what, "Export the probabilities at the mask's own size.", kind="size-differs")
    return stored[0]
