"""How one case is prepared: plain values that any process can work from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unifocal.data.case import Case, Source
from unifocal.data.coding import MaskCoding, label_values
from unifocal.data.read import digest, is_placed_by_image, read_image, read_mask
from unifocal.data.scan import Scan
from unifocal.preprocessing.cache import Cache, CachedCase, PreparedCase
from unifocal.preprocessing.pipeline import Pipeline
from unifocal.preprocessing.sample import GeometryRecord, Sample
from unifocal.problems import bad_input


@dataclass(frozen=True)
class Recipe:
    """One case, and all that its prepared arrays depend on.

    Attributes:
        case: The case.
        pipeline: The steps.
        labels: The labels of the data set, ascending, without background; class index k + 1 is `labels[k]`.
        coding: What the masks' stored values mean.
    """

    case: Case
    pipeline: Pipeline
    labels: tuple[int, ...]
    coding: MaskCoding

    def key(self) -> str:
        """The name under which a cache keeps the case: of the files' content and of all settings, not of paths."""
        sources = [
            source for source in (self.case.image, self.case.mask, self.case.field_of_view) if source is not None
        ]
        told = repr((len(sources), self.case.field_of_view is None, self.case.spacing_mm, self.labels, self.coding))
        digests = [digest(source) for source in sources]
        # Earlier versions did not put these where they lie in the image.
        placed = any(is_placed_by_image(source) for source in sources[1:])
        return Cache.key(told, *digests, *(["placed"] if placed else []), pipeline=self.pipeline.identity)

    def prepare(self) -> PreparedCase:
        """The case as the network takes it, with class indices where it has a mask.

        Raises:
            InputError: If a file cannot be read, a mask and the image differ in size, or the case lacks what a step
                needs.
        """
        case = self.case
        scan = read_image(case.image)
        view = None if case.field_of_view is None else self._beside(scan, case.field_of_view, "field of view") > 0
        sample = Sample(
            image=scan.array,
            labels=None if case.mask is None else class_indices(self._labels(scan, case.mask), self.labels),
            spacing_mm=case.spacing_mm or scan.spacing_mm,
            inside=view,
            affine=scan.affine,
        )
        prepared = self.pipeline.apply(sample, where=str(case.image))
        return PreparedCase(
            np.ascontiguousarray(prepared.image, np.float32),
            None if prepared.labels is None else prepared.labels.astype(np.uint8),
            {"geometry": [record.to_plain() for record in prepared.geometry]},
        )

    def truth(self) -> NDArray[np.integer]:
        """The case's labels (*spatial) on its own grid, from its mask file."""
        mask = self.case.mask
        assert mask is not None
        if is_placed_by_image(mask):
            return self._labels(read_image(self.case.image), mask)
        return label_values(read_mask(mask).array, self.coding)

    def _labels(self, scan: Scan, mask: Source) -> NDArray[np.integer]:
        return label_values(self._beside(scan, mask, "mask"), self.coding)

    def _beside(self, scan: Scan, source: Source, role: str) -> NDArray[np.integer]:
        """A mask's values, which must have the image's size: steps would stretch it over the image in silence."""
        array = read_mask(source, like=scan).array
        if array.shape != scan.array.shape[1:]:
            own, other = (" x ".join(map(str, shape)) for shape in (array.shape, scan.array.shape[1:]))
            what = f"its {role} {source.path.name} has {own} elements, and the image has {other}"
            remedy = "Export both at the same size, and check that they belong together."
            raise bad_input(str(self.case.image), what, remedy, kind="size-differs")
        return array


def class_indices(labels: NDArray[np.integer], known: tuple[int, ...]) -> NDArray[np.uint8]:
    """Class indices for labels."""
    return np.searchsorted(np.array([0, *known]), labels).astype(np.uint8)


def geometry_of(case: CachedCase) -> tuple[GeometryRecord, ...]:
    """What preparing the case did to its grid, in order."""
    return tuple(GeometryRecord.from_plain(record) for record in case.facts["geometry"])


def keep(work: tuple[Recipe, Cache]) -> tuple[str, tuple[int, ...]]:
    """Prepare a case into the cache, unless it is there; its key, and the shape (channels, *spatial) of its image."""
    recipe, cache = work
    key = recipe.key()
    return key, cache.fetch(key, recipe.prepare).image.shape
