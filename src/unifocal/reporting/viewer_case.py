"""One case as the viewer reads it: image, truth and predictions, in every plane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.data.scan import Scan
from unifocal.reporting.study import StudyView
from unifocal.reporting.viewer_files import read_base, read_prediction, read_truth
from unifocal.reporting.viewer_slices import Plane, planes_of
from unifocal.reporting.viewer_stack import Stack


@dataclass(frozen=True)
class PlaneView:
    """A case's masks in one plane.

    Attributes:
        plane: How slices are taken and turned.
        truth: The true labels.
        predictions: For each loss, for each seed: its labels, or None.
    """

    plane: Plane
    truth: Stack
    predictions: tuple[tuple[Stack | None, ...], ...]

    @property
    def all_predictions(self) -> list[Stack]:
        """Every prediction there is."""
        return [stack for stacks in self.predictions for stack in stacks if stack is not None]

    @cached_property
    def held(self) -> NDArray[np.bool_]:
        """(slices,) whether the truth or any prediction has anything there."""
        return np.asarray(np.any([stack.held for stack in (self.truth, *self.all_predictions)], axis=0))

    @cached_property
    def wrong(self) -> NDArray[np.int64]:
        """(slices,) how many elements are wrong, over all predictions."""
        counted = [stack.wrong(self.truth) for stack in self.all_predictions]
        return np.sum(counted, axis=0) if counted else np.zeros(len(self.held), dtype=np.int64)


@dataclass(frozen=True)
class LoadedCase:
    """What the files of a case hold.

    Attributes:
        base: The image; None where it cannot be shown.
        base_trouble: Why not.
        views: The masks in each plane, that to show first before the others; pictures have one.
        troubles: For each loss: why there are no labels of the lowest seed; empty where there are.
        seeds: The seeds, lowest first; empty where predictions have none.
    """

    base: Scan | None
    base_trouble: str
    views: tuple[PlaneView, ...]
    troubles: tuple[str, ...]
    seeds: tuple[int, ...]

    @property
    def plane(self) -> Plane:
        """The plane to show first."""
        return self.views[0].plane

    @property
    def truth(self) -> Stack:
        """The true labels in that plane."""
        return self.views[0].truth

    @property
    def predictions(self) -> tuple[tuple[Stack | None, ...], ...]:
        """The predicted labels in that plane."""
        return self.views[0].predictions

    @property
    def all_predictions(self) -> list[Stack]:
        """Every prediction in that plane."""
        return self.views[0].all_predictions


def load_case(
    study: StudyView, row: Mapping[str, Any], labels: Sequence[int], seeds: Sequence[int]
) -> LoadedCase | str:
    """Read a case, or say why it cannot be shown.

    Args:
        study: The study.
        row: The case's row of `cases.csv`.
        labels: The labels to keep.
        seeds: The seeds whose predictions were kept, lowest first; empty in an evaluation.
    """
    base, base_trouble = read_base(study, row)
    labelled, scan, trouble = read_truth(study, row, base)
    if labelled is None or scan is None:
        return trouble
    if labelled.ndim not in (2, 3):
        return f"The mask has {labelled.ndim} axes"
    if base is not None and base.array.shape[1:] != labelled.shape:
        base, base_trouble = None, "The image and its mask differ in size"
    affine = scan.affine if scan.affine is not None else None if base is None else base.affine
    values = [study.values_of(label) for label in labels]
    truth = Stack.read(labelled, values)
    predictions, troubles = [], []
    for loss in study.losses:
        found = [read_prediction(study, loss, str(row["case"]), scan, seed) for seed in seeds or (None,)]
        predictions.append(tuple(None if part is None else Stack.read(part, values) for part, _ in found))
        troubles.append(found[0][1])
    views = [
        PlaneView(
            plane,
            truth.seen_in(plane),
            tuple(tuple(None if stack is None else stack.seen_in(plane) for stack in each) for each in predictions),
        )
        for plane in planes_of(labelled.shape, _spacing(row, scan, base), affine)
    ]
    return LoadedCase(base, base_trouble, tuple(views), tuple(troubles), tuple(seeds))


def _spacing(row: Mapping[str, Any], scan: Scan, base: Scan | None) -> tuple[float, ...] | None:
    """As the study says it for pictures, else as the files do."""
    try:
        told = (float(row["spacing_row_mm"]), float(row["spacing_column_mm"]))
    except (KeyError, ValueError, TypeError):
        told = (0.0, 0.0)
    if scan.array.ndim == 2 and min(told) > 0:
        return told
    return scan.spacing_mm if scan.spacing_mm is not None or base is None else base.spacing_mm
