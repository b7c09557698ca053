"""What training and prediction need to know of the data before the first case is prepared: grid, patch, network."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unifocal.config.schema import NetworkConfig, PreprocessingConfig, TrainingConfig
from unifocal.data.check import CaseFacts
from unifocal.data.formats.arrays import max_elements
from unifocal.models import PRESETS, NetworkSpec, strides_for, try_network
from unifocal.preprocessing.pipeline import Pipeline
from unifocal.problems import Problem, bad_input, raise_if_any

IMAGE_SIZE = (128, 128)
LARGEST_PATCH = 96**3
"""Elements of the largest patch that is chosen by itself: source B's for BraTS20."""
VOLUMES: Mapping[str, Any] = {"epochs": 30, "batch_size": 2, "schedule": "polynomial"}
"""How training on volumes differs from training on images, where nothing else is asked for: see docs/decisions/0010."""
_SIZING = ("resize", "pad")
_SAME = 0.01


@dataclass(frozen=True)
class Grid:
    """How large the network's input is, and what lies between its elements.

    Attributes:
        size: (rows, columns) of every prepared image, or (slices, rows, columns) of the patches of volumes.
        spacing_mm: Between the elements of a prepared volume; None where unknown, and for images.
    """

    size: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None = None

    @property
    def dimensions(self) -> int:
        """2 for images, 3 for volumes."""
        return len(self.size)


def plan_preparation(settings: PreprocessingConfig, channels: int, facts: Sequence[CaseFacts]) -> tuple[Pipeline, Grid]:
    """The steps that the settings mean for these data, and the network's input.

    Images get one size. Volumes are oriented alike, brought to the median spacing where theirs differ, and cut into
    patches: of the size that is asked for, or as large as the median volume, up to 96 x 96 x 96 elements.

    Args:
        settings: What was asked for.
        channels: Of the images.
        facts: The cases, all images or all volumes.

    Raises:
        InputError: With everything that is wrong with the size or the steps, or with every volume that resampling would
            make too large.
    """
    dimensions = facts[0].ndim
    if settings.size is not None and len(settings.size) != dimensions:
        kind = "volumes, which have 3 axes" if dimensions == 3 else "images, which have 2"
        what = f"{' x '.join(map(str, settings.size))} has {len(settings.size)} numbers, and the data are {kind}"
        example = "96x96x96 (slices x rows x columns of a patch)" if dimensions == 3 else "128 or 512x800"
        raise bad_input("--size", what, f"Write it as {example}.")
    if dimensions == 2:
        size = settings.size or IMAGE_SIZE
        return image_pipeline(settings, channels, size), Grid(size)
    target = _common_spacing(facts) if settings.steps is None else None
    pipeline = volume_pipeline(settings, channels, target)
    spacing = _declared_spacing(pipeline) or _median_spacing(facts)
    raise_if_any(_too_large(facts, _declared_spacing(pipeline)))
    return pipeline, Grid(settings.size or automatic_patch(facts, spacing), spacing)


def image_pipeline(settings: PreprocessingConfig, channels: int, size: Sequence[int] = IMAGE_SIZE) -> Pipeline:
    """The steps for images.

    Raises:
        InputError: With everything that is wrong with `preprocessing.steps`.
    """
    resize = {"resize": {"size": list(size)}}
    first = {"channels": {"count": channels}}
    if settings.steps is not None:
        last = [] if _named(settings) & set(_SIZING) else [resize]
        return Pipeline.from_declaration([first, *settings.steps, *last], where="preprocessing.steps")
    return Pipeline.from_declaration([first, *_skull_strip(settings), resize, settings.intensity])


def volume_pipeline(
    settings: PreprocessingConfig, channels: int, spacing_mm: Sequence[float] | None = None
) -> Pipeline:
    """The steps for volumes; they are always oriented alike first.

    Raises:
        InputError: With everything that is wrong with `preprocessing.steps`.
    """
    first = [{"channels": {"count": channels}}, *([] if "orient" in _named(settings) else ["orient"])]
    if settings.steps is not None:
        return Pipeline.from_declaration([*first, *settings.steps], where="preprocessing.steps")
    resample = [] if spacing_mm is None else [{"resample": {"spacing_mm": list(spacing_mm)}}]
    return Pipeline.from_declaration([*first, *_skull_strip(settings), *resample, settings.intensity])


def automatic_patch(facts: Sequence[CaseFacts], spacing_mm: Sequence[float] | None) -> tuple[int, ...]:
    """A patch as large as the median volume on its prepared grid, within `LARGEST_PATCH`; multiples of 8.

    Args:
        facts: The volumes.
        spacing_mm: Of the prepared grid; None: theirs.
    """
    sizes = []
    for fact in facts:
        own = fact.upright_spacing_mm
        scale = (1.0,) * 3 if own is None or spacing_mm is None else tuple(map(_ratio, own, spacing_mm))
        sizes.append([max(1, round(n * s)) for n, s in zip(fact.upright_size, scale, strict=True)])
    patch = [max(8, 8 * math.ceil(length / 8)) for length in np.median(sizes, axis=0)]
    while math.prod(patch) > LARGEST_PATCH:
        patch[patch.index(max(patch))] -= 8
    return tuple(patch)


def training_for(settings: TrainingConfig, dimensions: int) -> TrainingConfig:
    """The training's settings, with what suits volumes where they are volumes and nothing else was asked for.

    Args:
        settings: What was asked for.
        dimensions: 2 for images, 3 for volumes.
    """
    if dimensions == 2:
        return settings
    given = set(settings.model_fields_set)
    if given & {"plateau_patience", "plateau_factor"}:
        given.add("schedule")
    return settings.model_copy(update={key: value for key, value in VOLUMES.items() if key not in given})


def network_spec(settings: NetworkConfig, channels: int, outputs: int, grid: Grid) -> NetworkSpec:
    """The network that the settings mean for such input.

    `auto` is the brain-tumour study's network for images, and for volumes one of the same width with instance
    normalisation, without dropout, whose poolings wait for axes of coarse spacing.

    Raises:
        InputError: If the settings do not belong to the network that they name.
    """
    name = settings.name
    if name == "auto":
        name = "source_a" if grid.dimensions == 2 else "volumes"
    given = {
        key: value
        for key, value in settings.model_dump(include=set(_OF_UNET)).items()
        if value is not None and not (key == "deep_supervision" and value == 0)
    }
    if ":" in name:
        if given:
            what = f"{', '.join(sorted(given))} belong to the U-Net of this package, and network.name is {name}"
            raise bad_input("network", what, "Give them as network.arguments, under the names that it has for them.")
        return NetworkSpec(name, channels, outputs, grid.dimensions, dict(settings.arguments))
    arguments: dict[str, Any] = given | dict(settings.arguments)
    if grid.dimensions == 3 and name in PRESETS and "strides" not in arguments:
        depth = {"depth": 4, **PRESETS[name].arguments, **arguments}["depth"]
        if not isinstance(depth, int):
            raise bad_input("network.arguments.depth", f"is {depth!r}", "Give a whole number, such as 4.")
        strides = strides_for(grid.spacing_mm or (1.0,) * 3, grid.size, depth)
        arguments |= {"depth": len(strides), "strides": [list(level) for level in strides]}
        most = max(0, len(strides) - 1)
        if arguments.get("deep_supervision", 0) > most:
            what = f"is {arguments['deep_supervision']}, and a patch of {grid.size} allows {most} coarser outputs"
            raise bad_input("network.deep_supervision", what, "Give fewer, or a larger patch.")
    return NetworkSpec(name, channels, outputs, grid.dimensions, arguments)


_OF_UNET = ("width", "depth", "normalization", "dropout", "initialization", "deep_supervision")


def network_problems(spec: NetworkSpec, grid: Grid) -> list[Problem]:
    """What is wrong with a network: it cannot be built, or does not take such input."""
    try:
        fault = try_network(spec.build(), spec, grid.size)
    except ValueError as error:
        return [Problem("network", str(error), "Check network.name and its arguments.")]
    remedy = "Choose another --size, or other network.arguments."
    return [Problem(f"network {spec.name}", fault, remedy)] if fault else []


def _named(settings: PreprocessingConfig) -> set[str]:
    return {str(next(iter(step), "")) if isinstance(step, Mapping) else step for step in settings.steps or ()}


def _skull_strip(settings: PreprocessingConfig) -> list[dict[str, Any]]:
    return [{"skull_strip": {"method": settings.skull_strip}}] if settings.skull_strip else []


def _median_spacing(facts: Sequence[CaseFacts]) -> tuple[float, ...] | None:
    known = [fact.upright_spacing_mm for fact in facts if fact.upright_spacing_mm is not None]
    if len(known) < len(facts):
        return None
    return tuple(round(float(step), 6) for step in np.median(known, axis=0))


def _common_spacing(facts: Sequence[CaseFacts]) -> tuple[float, ...] | None:
    """The median spacing, if volumes differ from it; None where there is nothing to resample or to go by."""
    median = _median_spacing(facts)
    if median is None:
        return None
    spacings = np.array([fact.upright_spacing_mm for fact in facts])
    return median if (np.abs(spacings / np.array(median) - 1) > _SAME).any() else None


def _declared_spacing(pipeline: Pipeline) -> tuple[float, ...] | None:
    found = [step["resample"]["spacing_mm"] for step in pipeline.declaration if "resample" in step]
    return tuple(found[-1]) if found else None


def _too_large(facts: Sequence[CaseFacts], target: Sequence[float] | None) -> list[Problem]:
    """Volumes that resampling would make larger than any file may be: mostly their unit is wrong."""
    problems = []
    for fact in facts:
        own = fact.upright_spacing_mm
        if target is None or own is None or len(target) != len(own):
            continue
        size = [max(1, round(n * old / new)) for n, old, new in zip(fact.upright_size, own, target, strict=True)]
        if math.prod(size) > max_elements():
            shapes = [" x ".join(map(str, shape)) for shape in (fact.upright_size, size)]
            steps = [" x ".join(f"{step:.4g}" for step in spacing) for spacing in (own, target)]
            what = f"is {shapes[0]} with a spacing of {steps[0]} mm, and would be {shapes[1]} at that of {steps[1]} mm"
            remedy = "Check the unit of its spacing, or give preprocessing.steps a larger resample.spacing_mm."
            problems.append(Problem(f"case {fact.name}", what, remedy, "too-large"))
    return problems


def _ratio(own: float, wanted: float) -> float:
    return own / wanted
