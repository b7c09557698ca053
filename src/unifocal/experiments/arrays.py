"""`unifocal.evaluate`: masks in memory against true masks, from Python."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unifocal.metrics import score_case
from unifocal.problems import Problem, bad_input, raise_if_any
from unifocal.statistics import Analysis, analyse

Mask = NDArray[Any]
Masks = Mapping[str, Mask] | Sequence[Mask]
T = TypeVar("T")

ONLY = "prediction"
"""What a single method is called in the scores."""


@dataclass(frozen=True)
class Evaluation:
    """Scores, and what follows from them.

    Attributes:
        scores: One row per method, case, label and metric: `loss` (the method), `fold, seed` (0), `case, patient,
            label, metric, value, unit, reason`; an undefined value is NaN and has its reason.
        analysis: Means with intervals, comparisons, ranking and verdict.
    """

    scores: pd.DataFrame
    analysis: Analysis


def evaluate(  # noqa: PLR0913 - all are said by name but two
    truths: Masks,
    predictions: Masks | Mapping[str, Masks],
    *,
    spacing_mm: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    labels: Sequence[int] | None = None,
    patients: Mapping[str, str] | Sequence[str] | None = None,
    probabilities: Masks | Mapping[str, Masks] | None = None,
    metric: str = "dice",
    label: int | None = None,
    margin: float | None = None,
    tolerance: float = 2.0,
    resamples: int = 10_000,
    seed: int = 0,
) -> Evaluation:
    """Score predicted masks, compare the methods that made them, and give the verdict.

    Nothing is written. Cases go by name where mappings are given, and by position (`"0"`, `"1"`, ...) where sequences
    are. A case without a prediction is an error; a mask that misses a label counts as `METRICS` says.

    Args:
        truths: Integer labels of each case, 2D or 3D, 0 being the background.
        predictions: The same for one method; or, by the methods' names, for each of several.
        spacing_mm: Distance between element centres along each axis, for all cases or by case; None: distances and
            sizes are in elements.
        labels: Which labels to score; None: all above 0 that any mask holds.
        patients: Whose each case is; None: every case counts as a patient of its own.
        probabilities: Like `predictions`: (channels, *spatial), the background's and one per label, or one alone for
            a single label. Adds `ece`, `brier` and `average_precision`.
        metric: What ranking and verdict rest on.
        label: The label that they rest on; None: the one with the fewest elements in the truth.
        margin: The largest difference of means that counts as none, in the metric's unit; None: the metric's own.
        tolerance: Of the surface Dice, in mm (elements where the spacing is None).
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        InputError: A ValueError with every problem, each naming its method and case.

    Examples:
        >>> import numpy as np
        >>> truth = {name: np.zeros((8, 8), int) for name in "abc"}
        >>> good = {name: np.zeros((8, 8), int) for name in "abc"}
        >>> for name in "abc":
        ...     truth[name][2:6, 2:6] = 1
        ...     good[name][2:6, 2:5] = 1
        >>> empty = {name: np.zeros((8, 8), int) for name in "abc"}
        >>> found = evaluate(truth, {"good": good, "empty": empty}, spacing_mm=(0.5, 0.5))
        >>> found.analysis.verdict.best
        'good'
        >>> found.scores.query("metric == 'dice' and case == 'a'")[["loss", "value"]].round(3).values.tolist()
        [['good', 0.857], ['empty', 0.0]]
    """
    by_name = _named(truths)
    methods = _methods(truths, predictions)
    maps = {} if probabilities is None else _methods(truths, probabilities, only=next(iter(methods), ONLY))
    whose = _whose(by_name, patients)
    spacings = _named(spacing_mm) if isinstance(spacing_mm, Mapping) else dict.fromkeys(by_name, spacing_mm)
    given: dict[str, Mapping[str, Any]] = {f"predictions of {name}": masks for name, masks in methods.items()}
    given |= {f"probabilities of {name}": each for name, each in maps.items()}
    given |= {"patients": whose, "spacing_mm": spacings}
    raise_if_any([*_naming_problems(by_name, given), *_method_problems(methods, maps)])
    if labels is None:
        labels = _labels_in(by_name, methods)
    problems: list[Problem] = []
    rows: list[dict[str, Any]] = []
    # By name, one at a time: a mapping may load each mask when it is asked for it.
    for method, case in product(methods, by_name):
        channels = maps[method][case] if method in maps else None
        try:
            scores = score_case(
                np.asarray(by_name[case]), np.asarray(methods[method][case]), spacings[case], labels,
                None if channels is None else np.asarray(channels), tolerance,
            )  # fmt: skip
        except ValueError as error:
            problems.append(Problem(f"{method}, case {case}", str(error), "Check the arrays of this case."))
            continue
        known = {"loss": method, "fold": 0, "seed": 0, "case": case, "patient": whose[case]}
        rows += [known | asdict(score) for score in scores]
    raise_if_any(problems)
    table = pd.DataFrame(rows).astype({"value": float})
    analysis = analyse(
        table,
        metric=metric,
        label=label,
        resamples=resamples,
        seed=seed,
        order=list(methods),
        margin=margin,
        noun="method",
    )
    return Evaluation(table, analysis)


def _named(values: Mapping[str, T] | Sequence[T]) -> Mapping[str, T]:
    if isinstance(values, Mapping):
        return values
    return {str(position): value for position, value in enumerate(values)}


def _methods(truths: Masks, given: Any, only: str = ONLY) -> dict[str, Mapping[str, Mask]]:
    """Masks by method and case: several methods are a mapping to whatever kind of thing the truths are."""
    first = next(iter(given.values()), None) if isinstance(given, Mapping) else None
    if isinstance(given, Mapping) and (not isinstance(truths, Mapping) or isinstance(first, Mapping)):
        return {str(name): _named(masks) for name, masks in given.items()}
    return {only: _named(given)}


def _whose(cases: Mapping[str, Mask], patients: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    if patients is None:
        return {case: case for case in cases}
    if not isinstance(patients, Mapping) and len(patients) == len(cases):
        return dict(zip(cases, map(str, patients), strict=True))
    return {case: str(patient) for case, patient in _named(patients).items()}


def _naming_problems(cases: Mapping[str, Any], given: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    if not cases:
        yield Problem("truths", "hold no case", "Give at least one.")
    for where, named in given.items():
        absent, extra = [case for case in cases if case not in named], [case for case in named if case not in cases]
        if absent:
            yield Problem(where, f"lack {len(absent)} of {len(cases)} cases: {', '.join(absent[:20])}", "Add them.")
        if extra:
            yield Problem(where, f"have cases that the truths lack: {', '.join(extra[:20])}", "Leave them out.")


def _method_problems(methods: Mapping[str, Any], maps: Mapping[str, Any]) -> Iterator[Problem]:
    if not methods:
        yield Problem("predictions", "hold no method", "Give at least one.")
    for name in maps.keys() - methods.keys():
        yield Problem(f"probabilities of {name}", "belong to no method", "Use the names of the methods.")


def _labels_in(truths: Mapping[str, Mask], methods: Mapping[str, Mapping[str, Mask]]) -> list[int]:
    """All labels of all masks; a method that shares none with the truths codes its masks otherwise."""
    true, found = _values(truths), {name: _values(masks) for name, masks in methods.items()}
    if not true.union(*found.values()):
        raise bad_input("truths", "hold background alone, and so do the predictions", "Check the arrays.")
    raise_if_any(
        [
            Problem(
                f"predictions of {name}",
                f"hold no label of the truths ({_some(true)}), but {_some(labels)}",
                "Give the same structure the same number in both, for instance with mask > 0; or name the labels.",
            )
            for name, labels in found.items()
            if true and labels and not true & labels
        ]
    )
    return sorted(label for label in true.union(*found.values()) if label > 0)


def _values(masks: Mapping[str, Mask]) -> set[int]:
    arrays = (np.asarray(masks[case]) for case in masks)
    return {int(label) for mask in arrays if mask.dtype.kind in "iub" for label in np.unique(mask)} - {0}


def _some(labels: set[int], most: int = 10) -> str:
    return ", ".join(map(str, sorted(labels)[:most])) + (" ..." if len(labels) > most else "")
