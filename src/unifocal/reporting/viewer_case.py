"""One case as the page holds it: small pictures, and masks without loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.data.scan import Scan
from unifocal.reporting.overlay import window_around
from unifocal.reporting.study import StudyView
from unifocal.reporting.viewer_files import read_base, read_prediction, read_truth
from unifocal.reporting.viewer_masks import Bytes, encode_runs, reduce_mask
from unifocal.reporting.viewer_pictures import draw_pictures
from unifocal.reporting.viewer_slices import Plane, choose_slices, plane_of

LARGEST_MASK = 1024


@dataclass(frozen=True)
class Detail:
    """How much of a case is embedded.

    Attributes:
        side: The longest side of its pictures in pixels.
        quality: Of the lossy compression of pictures.
        slices: At most so many.
        every_seed: Whether the predictions of all seeds, or of the lowest alone.
    """

    side: int
    quality: int
    slices: int
    every_seed: bool


class Stack:
    """A mask as label numbers, slice by slice; empty slices take no memory.

    Args:
        stored: (slices, rows, columns), integers.
        labels: The values of each label to keep. The first label becomes 1, the second 2, and so on; where labels
            overlap, the first becomes bit 0, the second bit 1, up to the eighth.
    """

    def __init__(self, stored: NDArray[Any], labels: Sequence[Sequence[int]]) -> None:
        self.is_overlapping = overlap(labels)
        table = np.zeros(max(map(max, labels)) + 2, dtype=np.uint8)
        for number, values in enumerate(labels):
            code = (1 << number) & 255 if self.is_overlapping else number + 1
            table[list(values)] |= np.uint8(code)
        self.shape: tuple[int, ...] = stored.shape
        self._filled: dict[int, Bytes] = {}
        for index in np.flatnonzero(stored.any(axis=(1, 2))).tolist():
            part = table[np.clip(stored[index], 0, len(table) - 1).astype(np.int64)]
            if part.any():
                self._filled[index] = part

    def __getitem__(self, index: int) -> Bytes:
        found = self._filled.get(index)
        return np.zeros(self.shape[1:], dtype=np.uint8) if found is None else found

    @property
    def held(self) -> NDArray[np.bool_]:
        """(slices,) whether there is anything."""
        return np.isin(np.arange(self.shape[0]), list(self._filled))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(slices,) how many elements have any label."""
        counted = np.zeros(self.shape[0], dtype=np.int64)
        for index, part in self._filled.items():
            counted[index] = np.count_nonzero(part)
        return counted

    def wrong(self, truth: "Stack") -> NDArray[np.int64]:
        """(slices,) how many elements differ from the truth."""
        either = np.flatnonzero(self.held | truth.held).tolist()
        counted = np.zeros(self.shape[0], dtype=np.int64)
        counted[either] = [np.count_nonzero(self[index] != truth[index]) for index in either]
        return counted

    def projected(self, label: int) -> NDArray[np.bool_]:
        """(rows, columns) where any slice has a label, by its number."""
        seen = np.zeros(self.shape[1:], dtype=bool)
        for part in self._filled.values():
            seen |= (part >> (label - 1)) & 1 == 1 if self.is_overlapping else part == label
        return seen


def overlap(labels: Sequence[Sequence[int]]) -> bool:
    """Whether a value belongs to several labels."""
    return len({value for values in labels for value in values}) < sum(map(len, labels))


@dataclass(frozen=True)
class LoadedCase:
    """What the files of a case hold.

    Attributes:
        base: The image; None where it cannot be shown.
        base_trouble: Why not.
        plane: How slices are taken and turned.
        truth: The true labels.
        predictions: For each loss, for each seed: its labels, or None.
        troubles: For each loss: why there are no labels of the lowest seed; empty where there are.
        seeds: The seeds, lowest first; empty where predictions have none.
    """

    base: Scan | None
    base_trouble: str
    plane: Plane
    truth: Stack
    predictions: tuple[tuple[Stack | None, ...], ...]
    troubles: tuple[str, ...]
    seeds: tuple[int, ...]

    @property
    def all_predictions(self) -> list[Stack]:
        """Every prediction there is."""
        return [stack for stacks in self.predictions for stack in stacks if stack is not None]


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
    plane = plane_of(labelled.ndim, _spacing(row, scan, base), affine)
    values = [study.values_of(label) for label in labels]
    truth = Stack(plane.stack(labelled), values)
    predictions, troubles = [], []
    for loss in study.losses:
        found = [read_prediction(study, loss, str(row["case"]), labelled.shape, seed) for seed in seeds or (None,)]
        predictions.append(tuple(None if part is None else Stack(plane.stack(part), values) for part, _ in found))
        troubles.append(found[0][1])
    return LoadedCase(base, base_trouble, plane, truth, tuple(predictions), tuple(troubles), tuple(seeds))


def _spacing(row: Mapping[str, Any], scan: Scan, base: Scan | None) -> tuple[float, ...] | None:
    """As the study says it for pictures, else as the files do."""
    try:
        told = (float(row["spacing_row_mm"]), float(row["spacing_column_mm"]))
    except (KeyError, ValueError, TypeError):
        told = (0.0, 0.0)
    if scan.array.ndim == 2 and min(told) > 0:
        return told
    return scan.spacing_mm if scan.spacing_mm is not None or base is None else base.spacing_mm


def encode_case(loaded: LoadedCase, detail: Detail, labels: Sequence[int]) -> dict[str, Any]:
    """A case for the page, as `templates/viewer_data.js` reads it."""
    stacks = [loaded.truth, *loaded.all_predictions]
    held = np.logical_or.reduce([stack.held for stack in stacks])
    wrong = sum((stack.wrong(loaded.truth) for stack in stacks[1:]), np.zeros(len(held), dtype=np.int64))
    chosen = choose_slices(held, wrong, detail.slices)
    rows, columns = loaded.truth.shape[1:]
    factor = -(-max(rows, columns) // LARGEST_MASK)
    worst = max(range(len(chosen)), key=lambda place: (wrong[chosen[place]], -abs(2 * place + 1 - len(chosen))))
    seeds = loaded.seeds if detail.every_seed else loaded.seeds[:1]
    lesion = np.stack([loaded.truth[index] > 0 for index in chosen])
    pictures, known = draw_pictures(loaded.base, loaded.plane, chosen, lesion, (detail.side, detail.quality))

    def coded(stack: Stack | None, index: int) -> str | None:
        return None if stack is None else encode_runs(reduce_mask(stack[index], factor))

    return known | {
        "size": [-(-rows // factor), -(-columns // factor)],
        "factor": factor,
        "aspect": round(loaded.plane.aspect, 4),
        "plane": loaded.plane.name,
        "count": loaded.truth.shape[0],
        "held": int(held.sum()),
        "start": worst,
        "channels": 0 if loaded.base is None else loaded.base.array.shape[0],
        "windows": [_window(stacks, number, factor) for number in range(1, len(labels) + 1)],
        "seeds": list(seeds),
        "baseTrouble": loaded.base_trouble,
        "troubles": list(loaded.troubles),
        "slices": [
            {
                "index": index,
                "picture": picture,
                "truth": coded(loaded.truth, index),
                "masks": [[coded(stack, index) for stack in each[: max(len(seeds), 1)]] for each in loaded.predictions],
            }
            for index, picture in zip(chosen, pictures, strict=True)
        ],
    }


def _window(stacks: Sequence[Stack], number: int, factor: int) -> list[int] | None:
    """Where to look for a label, [top, bottom, left, right]: around the truth, else around the predictions."""
    found = window_around(stacks[0].projected(number))
    if found is None and len(stacks) > 1:
        found = window_around(np.logical_or.reduce([stack.projected(number) for stack in stacks[1:]]))
    if found is None:
        return None
    return [end for part in found for end in (part.start // factor, -(-part.stop // factor))]
