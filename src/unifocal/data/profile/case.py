"""What one case holds, in numbers: read once, in a process of its own if need be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unifocal.data.case import Case
from unifocal.data.coding import MaskCoding, label_values
from unifocal.data.profile.intensity import (
    Contrast,
    Intensity,
    background_sample,
    contrast_of,
    histogram,
    intensity_of,
    rim_of,
)
from unifocal.data.profile.lesions import Lesions, find_lesions
from unifocal.data.profile.numbers import sampled
from unifocal.data.read import read_image, read_mask

FOREGROUND = "foreground"

Mask = NDArray[np.bool_]
BrainMask = Callable[[NDArray[np.float32]], Mask]


class Resize(Protocol):
    """Resizes labels (*spatial) as training does."""

    def __call__(self, labels: NDArray[np.uint8], /, *, size: tuple[int, ...]) -> NDArray[np.uint8]:
        """The labels at `size`."""
        ...


@dataclass(frozen=True)
class Target:
    """Something to be segmented: a label, or a region that is the union of several.

    Attributes:
        name: As declared, or the label's number.
        values: The labels that belong to it.
    """

    name: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """How cases are looked at.

    Attributes:
        coding: What the masks' values mean.
        targets: What is segmented. `FOREGROUND`, all of them together, comes on top.
        grey: Whether only the first channel counts, because all are equal.
        size: The training size: one number per axis, or for volumes two, for each slice; None: no resizing.
        resize: How labels get there.
        brain: Finds the brain in (channels, *spatial).
    """

    coding: MaskCoding
    targets: tuple[Target, ...]
    grey: bool
    size: tuple[int, ...] | None = None
    resize: Resize | None = None
    brain: BrainMask | None = None


@dataclass(frozen=True)
class TargetFacts:
    """One target in one case.

    Attributes:
        elements: How many pixels or voxels it has.
        lesions: Its connected components.
        contrast: One per channel; empty where the target is.
        histograms: (channels, bins), see `intensity.EDGES`; None where the target is empty.
    """

    elements: int
    lesions: Lesions
    contrast: tuple[Contrast, ...] = ()
    histograms: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class CaseProfile:
    """One case in numbers.

    Attributes:
        case: Which.
        size: Elements along each spatial axis.
        spacing_mm: Their distance; None where unknown.
        orientation: The direction in which each axis runs, e.g. `SAR`; empty where unknown.
        intensity: One per channel.
        targets: By name, `FOREGROUND` included; empty where there is no mask.
        resized_to: The training size with all axes; None where there is none.
        view: How many elements the field of view has; None where none is given.
        in_view: How many of them are foreground.
        brain: How many elements the brain has; 0 where it was not found, None where it was not looked for.
        outside: (channels, bins): the histograms of the background.
    """

    case: Case
    size: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    orientation: str
    intensity: tuple[Intensity, ...]
    targets: Mapping[str, TargetFacts] = field(default_factory=dict)
    resized_to: tuple[int, ...] | None = None
    view: int | None = None
    in_view: int | None = None
    brain: int | None = None
    outside: NDArray[np.float64] | None = None

    @property
    def elements(self) -> int:
        """How many pixels or voxels the image has."""
        return int(np.prod(self.size, dtype=np.int64))

    @property
    def element_size(self) -> float | None:
        """mm2 of a pixel, or ml of a voxel; None where the spacing is unknown."""
        if self.spacing_mm is None:
            return None
        return float(np.prod(self.spacing_mm)) / (1000 if len(self.spacing_mm) == 3 else 1)

    def share(self, target: str) -> float:
        """The share of the image that a target fills, 0 to 1."""
        return self.targets[target].elements / self.elements


@dataclass(frozen=True)
class _Look:
    """What a target is looked at with: the image, its background's values, and the masks."""

    image: NDArray[np.float32]
    intensity: tuple[Intensity, ...]
    outside: tuple[NDArray[np.float32], ...]
    foreground: Mask
    target: Mask
    small: Mask | None


def profile_case(case: Case, plan: Plan) -> CaseProfile:
    """Read a case and describe it.

    Raises:
        InputError: If a file cannot be read.
    """
    scan = read_image(case.image)
    image = scan.array[:1] if plan.grey else scan.array
    shape = image.shape[1:]
    known = CaseProfile(
        case=case,
        size=shape,
        spacing_mm=case.spacing_mm or scan.spacing_mm,
        orientation=_orientation(scan.affine),
        intensity=tuple(intensity_of(channel) for channel in image),
        brain=None if plan.brain is None else _brain_elements(plan.brain(scan.array)),
    )
    if case.mask is None:
        return known
    codes = _codes(label_values(read_mask(case.mask, scan).array, plan.coding), plan.targets)
    view = None if case.field_of_view is None else read_mask(case.field_of_view, scan).array > 0
    small = _resized(codes, plan)
    foreground = codes > 0
    outside = tuple(background_sample(channel, foreground) for channel in image)
    targets = {
        name: _target_facts(
            _Look(
                image,
                known.intensity,
                outside,
                foreground,
                _is_any(codes, of),
                None if small is None else _is_any(small, of),
            )
        )
        for name, of in _codes_of(plan.targets).items()
    }
    return replace(
        known,
        targets=targets,
        resized_to=None if small is None else small.shape,
        view=None if view is None else int(np.count_nonzero(view)),
        in_view=None if view is None else int(np.count_nonzero(view & foreground)),
        outside=np.stack([histogram(*each) for each in zip(outside, known.intensity, strict=True)]),
    )


def _brain_elements(mask: Mask) -> int:
    """A mask that is everything tells the brain from nothing."""
    return 0 if mask.all() else int(np.count_nonzero(mask))


def all_values(targets: tuple[Target, ...]) -> tuple[int, ...]:
    """The labels that any target holds, ascending."""
    return tuple(sorted({value for target in targets for value in target.values}))


def _codes(labels: NDArray[Any], targets: tuple[Target, ...]) -> NDArray[np.uint8]:
    """The labels numbered 1, 2, ... in their order; what no target holds is background."""
    codes = np.zeros(labels.shape, dtype=np.uint8)
    for code, value in enumerate(all_values(targets), start=1):
        codes[labels == value] = code
    return codes


def _codes_of(targets: tuple[Target, ...]) -> dict[str, tuple[int, ...]]:
    """Which codes each target holds. One target alone is the foreground too, and is looked at once."""
    numbers = {value: code for code, value in enumerate(all_values(targets), start=1)}
    named = {target.name: tuple(numbers[value] for value in target.values) for target in targets}
    return {FOREGROUND: tuple(numbers.values())} | (named if len(targets) > 1 else {})


def _is_any(codes: NDArray[np.uint8], wanted: tuple[int, ...]) -> Mask:
    table = np.zeros(256, dtype=bool)
    table[list(wanted)] = True
    return np.asarray(table[codes])


def _resized(codes: NDArray[np.uint8], plan: Plan) -> NDArray[np.uint8] | None:
    if plan.size is None or plan.resize is None:
        return None
    if len(plan.size) == codes.ndim:
        return plan.resize(codes, size=plan.size)
    small = np.zeros((len(codes), *plan.size), dtype=np.uint8)
    for index in np.flatnonzero(codes.any(axis=(1, 2))):
        small[index] = plan.resize(codes[index], size=plan.size)
    return small


def _target_facts(look: _Look) -> TargetFacts:
    elements = int(np.count_nonzero(look.target))
    lesions = find_lesions(look.target, look.small)
    if not elements:
        return TargetFacts(0, lesions)
    box, rim = rim_of(look.target, look.foreground)
    contrasts, histograms = [], []
    for channel, intensity, outside in zip(look.image, look.intensity, look.outside, strict=True):
        inside = channel[look.target]
        contrasts.append(contrast_of(inside, outside, channel[box][rim]))
        histograms.append(histogram(sampled(inside), intensity))
    return TargetFacts(elements, lesions, tuple(contrasts), np.stack(histograms))


def _orientation(affine: NDArray[np.float64] | None) -> str:
    """`SPL`: the first axis runs to the head, the second to the back, the third to the left."""
    if affine is None:
        return ""
    from nibabel.orientations import aff2axcodes

    return "".join(code or "?" for code in aff2axcodes(affine))  # type: ignore[no-untyped-call]
