"""Every case prepared once, in a cache that all runs and studies share."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.config.schema import CacheConfig
from unifocal.data.case import Case
from unifocal.data.check.limits import cases_at_once
from unifocal.data.coding import MaskCoding
from unifocal.data.regions import Regions
from unifocal.data.workers import Failed, map_isolated
from unifocal.experiments.mirror import Mirror
from unifocal.experiments.plan import Grid
from unifocal.experiments.recipe import Recipe, geometry_of, keep
from unifocal.inference import decide
from unifocal.preprocessing.cache import Cache, CachedCase, default_folder, parse_bytes
from unifocal.preprocessing.pipeline import Pipeline
from unifocal.preprocessing.sample import GeometryRecord
from unifocal.problems import InputError, Problem, raise_if_any
from unifocal.training import Patches, Samples
from unifocal.training.patches import Sliceable

_PATIENCE_S = 3600.0
_MEMORY = 1 << 45


@dataclass(frozen=True)
class Prepared:
    """The cases of a data set and how they are prepared: plain values and paths, cheap to send to another process.

    Attributes:
        cache: Holds the prepared cases.
        cases: The cases, in the order of their indices.
        keys: The name of each in the cache.
        pipeline: How each is prepared.
        grid: The network's input.
        channels: Of the prepared images.
        labels: The labels in the masks, ascending, without background; class index k + 1 is `labels[k]`.
        coding: What the masks' stored values mean.
        label_names: What labels are called, where that is declared; of regions, what they are called.
        regions: Overlapping regions that the network segments instead of the labels; None where labels do not overlap.
        mirrors: Copies of remote folders that the cases' files are in.
    """

    cache: Cache
    cases: tuple[Case, ...]
    keys: tuple[str, ...]
    pipeline: Pipeline
    grid: Grid
    channels: int
    labels: tuple[int, ...]
    coding: MaskCoding
    label_names: Mapping[int, str] = field(default_factory=dict)
    regions: Regions | None = None
    mirrors: tuple[Mirror, ...] = ()

    def fetch_data(self) -> None:
        """Copy remote data to this machine, unless they are there.

        Raises:
            OSError: If that cannot be done.
        """
        for mirror in self.mirrors:
            mirror.fetch()

    @property
    def out_channels(self) -> int:
        """Of the network: see `outputs_for`."""
        return outputs_for(len(self.labels), self.regions)

    @property
    def scored(self) -> tuple[int, ...]:
        """The labels that scores are of: those in the masks, or the regions' numbers."""
        return self.labels if self.regions is None else tuple(self.regions.names)

    @property
    def region_classes(self) -> tuple[tuple[int, ...], ...] | None:
        """Per region, the class indices that belong to it."""
        if self.regions is None:
            return None
        places = {label: index for index, label in enumerate(self.labels, start=1)}
        return tuple(tuple(places[v] for v in values if v in places) for values in self.regions.values.values())

    def decide(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.integer[Any]]:
        """The labels (*spatial) that probabilities (outputs, *spatial) mean; regions as the values that make them."""
        if self.regions is None:
            return self.labels_of(decide(probabilities))
        return self.regions.as_labels(probabilities > 0.5)

    def recipe(self, index: int) -> Recipe:
        """How one case is prepared."""
        return Recipe(self.cases[index], self.pipeline, self.labels, self.coding)

    def fetch(self, index: int) -> CachedCase:
        """One prepared case; made again should the cache have dropped it."""
        return self.cache.fetch(self.keys[index], self.recipe(index).prepare)

    def arrays(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Image (channels, rows, columns) and class indices (rows, columns) of one case."""
        case = self.fetch(index)
        assert case.classes is not None
        return case.image[...], case.classes[...]

    def stream(self, indices: Iterable[int]) -> Iterator[tuple[NDArray[np.float32], tuple[GeometryRecord, ...]]]:
        """Images one after the other, each with what preparing it did to its grid."""
        for index in indices:
            case = self.fetch(index)
            yield case.image[...], geometry_of(case)

    def samples(self, *, foreground_share: float, per_case: int) -> Samples | Patches:
        """All cases as training takes them: images whole, of volumes patches; see `Patches` for the arguments."""
        classes = 1 + len(self.labels)
        if self.grid.dimensions == 2:
            return Samples(self.arrays, (self.channels, *self.grid.size), classes)
        return Patches(self._lazily, self.grid.size, self.channels, classes, foreground_share, per_case)

    def _lazily(self, index: int) -> tuple[Sliceable, Sliceable]:
        case = self.fetch(index)
        assert case.classes is not None
        return case.image, case.classes

    @cached_property
    def _stored(self) -> NDArray[np.int64]:
        return np.array([0, *self.labels])

    def labels_of(self, indices: NDArray[np.uint8]) -> NDArray[np.integer]:
        """Labels for class indices."""
        labels = self._stored[indices]
        return labels.astype(np.uint8 if self._stored.max() <= 255 else np.uint16)


def outputs_for(labels: int, regions: Regions | None = None) -> int:
    """The network's outputs: one for foreground against background, else one per class, or one per region."""
    if regions is not None:
        return len(regions.values)
    return 1 if labels == 1 else labels + 1


def cache_of(settings: CacheConfig) -> Cache:
    """The cache that the settings name.

    Raises:
        InputError: If the limit is no size.
    """
    return Cache(settings.folder or default_folder(), parse_bytes(settings.limit))


def prepare(
    recipes: list[Recipe], cache: Cache, *, advance: Callable[[], None], is_uniform: bool = True
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Prepare every case into the cache, several at once; those that it holds already take no time.

    Args:
        recipes: What to prepare, and how.
        cache: Where to.
        advance: Called after each case.
        is_uniform: Whether all must come out alike, as training needs.

    Returns:
        The shape (channels, *spatial) of the first prepared image, and the cases' keys.

    Raises:
        InputError: With every case that cannot be prepared, or whose size differs from the others'.
    """
    problems: list[Problem] = []
    kept: list[tuple[str, tuple[int, ...]]] = []
    outcomes = map_isolated(
        keep,
        [(recipe, cache) for recipe in recipes],
        timeout_s=_PATIENCE_S,
        memory_bytes=_MEMORY,
        advance=advance,
        preload=(keep.__module__,),
        together=cases_at_once([recipe.case for recipe in recipes]),
    )
    for recipe, outcome in zip(recipes, outcomes, strict=True):
        if isinstance(outcome, Failed):
            problems += _why(recipe, outcome)
        else:
            kept.append(outcome)
    keys, shapes = tuple(key for key, _ in kept), [shape for _, shape in kept]
    if is_uniform and not problems:
        problems = _odd_shapes(recipes, shapes)
    raise_if_any(problems)
    return shapes[0], keys


def _why(recipe: Recipe, failed: Failed) -> tuple[Problem, ...]:
    if failed.reason == "error":
        # Only here, where it can be told in full, because not every error can be sent between processes.
        try:
            recipe.prepare()
        except InputError as error:
            return error.problems
        except Exception as error:  # noqa: BLE001 - a step of the user's own may raise anything
            failed = Failed("error", f"{type(error).__name__}: {error}")
    what = f"could not be prepared ({failed.reason}: {failed.detail})"
    return (Problem(str(recipe.case.image), what, "Check the file, or the steps of preprocessing.", "not-prepared"),)


def _odd_shapes(recipes: list[Recipe], shapes: list[tuple[int, ...]]) -> list[Problem]:
    usual = Counter(shapes).most_common(1)[0][0]
    return [
        Problem(
            str(recipe.case.image),
            f"is {' x '.join(map(str, shape[1:]))} after preprocessing, and others {' x '.join(map(str, usual[1:]))}",
            "Let preprocessing.steps end with resize, or with pad to a size that all fit into.",
            "size-differs",
        )
        for recipe, shape in zip(recipes, shapes, strict=True)
        if shape != usual
    ]
