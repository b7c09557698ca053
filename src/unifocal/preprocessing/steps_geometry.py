"""Steps that change the grid: every one leaves a record, so that a prediction finds its way back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unifocal.data.formats.geometry import upright
from unifocal.preprocessing.resampling import frame, oriented, resize_image, resize_labels
from unifocal.preprocessing.sample import GeometryRecord, Sample
from unifocal.preprocessing.step import Step, choice, per_axis, whole
from unifocal.problems import bad_input


@dataclass(frozen=True)
class Resize(Step):
    """A grid of a given size, whatever the aspect ratio was."""

    title = "sample at a size in elements, aspect ratio not kept"
    source = "both sources (128x128, 512x512, ...)"

    size: tuple[int, ...] = per_axis(meaning="elements along each spatial axis", is_whole=True)

    def apply(self, sample: Sample) -> Sample:
        """The sample on the new grid.

        Raises:
            InputError: If the image has another number of axes.
        """
        _check_axes("size", self.size, sample)
        return _resized(sample, self.size)


@dataclass(frozen=True)
class Resample(Step):
    """A grid of a given spacing, to the nearest whole element."""

    title = "sample at a spacing in mm"
    source = "Yeung et al. 2022: 3.22 x 1.62 x 1.62 mm for KiTS19"

    spacing_mm: tuple[float, ...] = per_axis(meaning="mm between elements along each spatial axis", is_whole=False)

    def apply(self, sample: Sample) -> Sample:
        """The sample on the new grid; its spacing is the true one, which differs where the size had to be rounded.

        Raises:
            InputError: If the image's spacing is unknown or it has another number of axes.
        """
        if sample.spacing_mm is None:
            raise bad_input(
                "",
                "has no known spacing, so it cannot be resampled to one",
                "Give the spacing in the table of cases or with spacing_mm, or use resize.",
                kind="spacing-missing",
            )
        _check_axes("spacing_mm", self.spacing_mm, sample)
        triples = zip(sample.spatial, sample.spacing_mm, self.spacing_mm, strict=True)
        return _resized(sample, tuple(max(1, round(n * old / new)) for n, old, new in triples))


@dataclass(frozen=True)
class Pad(Step):
    """Enlarge the grid about its middle, without resampling; it never crops."""

    title = "pad about the middle to a size, or to multiples of a number"

    size: tuple[int, ...] | None = per_axis(
        meaning="elements along each spatial axis, at least", is_whole=True, optional=True, default=None
    )
    multiple: int = whole(meaning="the size is a multiple of this along each axis", default=1)
    fill: str = choice("zero", "minimum", meaning="the new elements: 0, or each channel's minimum", default="zero")

    def __post_init__(self) -> None:
        if self.size is None and self.multiple == 1:
            raise ValueError("size: Give a size or a multiple")

    def apply(self, sample: Sample) -> Sample:
        """The sample on the larger grid; new elements have label 0 and count as outside.

        Raises:
            InputError: If the image has another number of axes than the size.
        """
        least = sample.spatial
        if self.size is not None:
            _check_axes("size", self.size, sample)
            least = tuple(map(max, sample.spatial, self.size))
        size = tuple(-(-n // self.multiple) * self.multiple for n in least)
        start = tuple(-((to - of) // 2) for to, of in zip(size, sample.spatial, strict=True))
        return _framed(sample, start, size, minimum=self.fill == "minimum")


@dataclass(frozen=True)
class Orient(Step):
    """The same anatomical axes for every volume, however its scanner laid them down; no resampling."""

    title = (
        "turn and mirror the axes to inferior-superior, posterior-anterior, left-right, as near as their grid allows"
    )
    source = "the RAS+ convention of NIfTI"

    def apply(self, sample: Sample) -> Sample:
        """The volume in the common order; as it is where it is no volume or nothing says how it lies."""
        if sample.affine is None or len(sample.spatial) != 3:
            return sample
        if any(record.kind == "orient" for record in sample.geometry):
            return sample
        order, mirrored = upright(sample.affine)
        if order == (0, 1, 2) and not mirrored:
            return sample
        spacing = sample.spacing_mm
        record = GeometryRecord(
            "orient", sample.spatial, tuple(sample.spatial[axis] for axis in order), (), order, mirrored
        )
        return replace(
            sample,
            image=np.ascontiguousarray(oriented(sample.image, order, mirrored)),
            labels=None if sample.labels is None else oriented(sample.labels, order, mirrored),
            spacing_mm=None if spacing is None else tuple(spacing[axis] for axis in order),
            inside=None if sample.inside is None else oriented(sample.inside, order, mirrored),
            geometry=(*sample.geometry, record),
        )


@dataclass(frozen=True)
class CropForeground(Step):
    """Crop to what the image holds; the labels have no say, since at prediction there are none."""

    title = "crop to the image's nonzero elements"
    source = "Isensee et al. 2021"

    margin: int = whole(meaning="elements kept around them", default=0, low=0)

    def apply(self, sample: Sample) -> Sample:
        """The sample on the smaller grid.

        Raises:
            InputError: If the image is zero everywhere.
        """
        content = (sample.image != 0).any(axis=0)
        if not content.any():
            raise bad_input("", "is zero everywhere", "Leave the case out, or replace its image.", kind="image-empty")
        start, size = [], []
        for axis, extent in enumerate(content.shape):
            others = tuple(k for k in range(content.ndim) if k != axis)
            held = np.flatnonzero(content.any(axis=others))
            first = max(int(held[0]) - self.margin, 0)
            start.append(first)
            size.append(min(int(held[-1]) + 1 + self.margin, extent) - first)
        return _framed(sample, start, size)


def _check_axes(parameter: str, values: Sequence[float], sample: Sample) -> None:
    axes = len(sample.spatial)
    if len(values) != axes:
        raise bad_input(
            "",
            f"has {axes} spatial axes, and {parameter} {len(values)} numbers",
            f"Give {axes} numbers.",
            kind="axes-differ",
        )


def _resized(sample: Sample, size: tuple[int, ...]) -> Sample:
    before = sample.spatial
    if size == before:
        return sample
    spacing = sample.spacing_mm
    if spacing is not None:
        spacing = tuple(mm * old / new for mm, old, new in zip(spacing, before, size, strict=True))
    return replace(
        sample,
        image=resize_image(sample.image, size),
        labels=None if sample.labels is None else resize_labels(sample.labels, size),
        spacing_mm=spacing,
        inside=None if sample.inside is None else resize_labels(sample.inside, size),
        geometry=(*sample.geometry, GeometryRecord("resize", before, size)),
    )


def _framed(sample: Sample, start: Sequence[int], size: Sequence[int], *, minimum: bool = False) -> Sample:
    if tuple(size) == sample.spatial:
        return sample
    fills = sample.image.reshape(len(sample.image), -1).min(axis=1) if minimum else np.zeros(len(sample.image))
    channels = [frame(channel, start, size, fill) for channel, fill in zip(sample.image, fills, strict=True)]
    return replace(
        sample,
        image=np.stack(channels),
        labels=None if sample.labels is None else frame(sample.labels, start, size, 0),
        inside=None if sample.inside is None else frame(sample.inside, start, size, 0),
        geometry=(*sample.geometry, GeometryRecord("frame", sample.spatial, tuple(size), tuple(start))),
    )
