"""Steps that change grey values and leave the grid alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from unifocal.preprocessing.field_of_view import find_field_of_view
from unifocal.preprocessing.intensity import unit_range, z_score
from unifocal.preprocessing.sample import Sample
from unifocal.preprocessing.step import Step, choice, number, switch, whole
from unifocal.problems import bad_input

_REGIONS = ("image", "nonzero", "field_of_view", "mask")
_INSIDE = (
    "what counts: the whole image, what is not 0, the field of view (given or found), or the mask that the data set "
    "or an earlier step gives"
)
_PER_CHANNEL = "whether each channel counts for itself"


@dataclass(frozen=True)
class ZScore(Step):
    """Mean 0 and standard deviation 1; what lies outside the region becomes 0."""

    title = "subtract the mean, divide by the standard deviation"
    source = "Yeung et al. 2022 (whole image); Isensee et al. 2021 (inside a mask)"

    inside: str = choice(*_REGIONS, meaning=_INSIDE, default="image")
    per_channel: bool = switch(meaning=_PER_CHANNEL, default=False)

    def apply(self, sample: Sample) -> Sample:
        """The sample with its image scored; a constant image becomes zeros."""
        return _by_group(sample, self.inside, z_score, per_channel=self.per_channel)


@dataclass(frozen=True)
class MinMax(Step):
    """The region's smallest value to 0, its largest to 1."""

    title = "scale from the smallest and largest value to [0, 1]"

    inside: str = choice(*_REGIONS, meaning=_INSIDE, default="image")
    per_channel: bool = switch(meaning=_PER_CHANNEL, default=False)

    def apply(self, sample: Sample) -> Sample:
        """The sample with its image scaled; a constant image becomes zeros."""
        scale = partial(_between, low=0, high=100)
        return _by_group(sample, self.inside, scale, per_channel=self.per_channel)


@dataclass(frozen=True)
class Percentile(Step):
    """Clip to two percentiles of the region and scale to [0, 1]."""

    title = "clip to two percentiles, scale to [0, 1]"
    source = "Isensee et al. 2021 (0.5 and 99.5)"

    low: float = number(meaning="lower percentile", default=0.5, low=0, high=100)
    high: float = number(meaning="upper percentile", default=99.5, low=0, high=100)
    inside: str = choice(*_REGIONS, meaning=_INSIDE, default="image")
    per_channel: bool = switch(meaning=_PER_CHANNEL, default=False)

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError("low: Give a low percentile below the high one")

    def apply(self, sample: Sample) -> Sample:
        """The sample with its image clipped and scaled; a constant image becomes zeros."""
        scale = partial(_between, low=self.low, high=self.high)
        return _by_group(sample, self.inside, scale, per_channel=self.per_channel)


@dataclass(frozen=True)
class Unit(Step):
    """Divide by what the bit depth can hold."""

    title = "divide by 255, or by 65535 where larger values occur"
    source = "the brain tumour study's notebook (source A)"

    def apply(self, sample: Sample) -> Sample:
        """The sample with its image between 0 and 1."""
        return replace(sample, image=unit_range(sample.image))


@dataclass(frozen=True)
class Window(Step):
    """Clip Hounsfield units to a window."""

    title = "clip CT to a window in Hounsfield units"
    source = "Yeung et al. 2022: [-79, 304] for KiTS19"

    low: float = number(meaning="lower end in Hounsfield units")
    high: float = number(meaning="upper end in Hounsfield units")
    scale: bool = switch(meaning="whether the window becomes [0, 1]", default=True)

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError("low: Give a low end below the high one")

    def apply(self, sample: Sample) -> Sample:
        """The sample with its image clipped.

        Raises:
            InputError: If the values cannot be Hounsfield units.
        """
        image = sample.image
        if image.min() >= 0 and image.max() <= 255 and np.array_equal(image, np.rint(image)):
            raise bad_input(
                "",
                "holds whole numbers from 0 to 255, as pictures do, and no Hounsfield units (air would be -1000)",
                "Take the CT from its DICOM, NIfTI, NRRD or MetaImage files, or leave the window out.",
                kind="not-hounsfield",
            )
        clipped = np.clip(image, np.float32(self.low), np.float32(self.high))
        if self.scale:
            clipped -= np.float32(self.low)
            clipped /= np.float32(self.high - self.low)
        return replace(sample, image=clipped)


@dataclass(frozen=True)
class BiasCorrection(Step):
    """Divide out the coil's smooth unevenness (MRI)."""

    title = "N4 bias field correction"
    source = "Tustison et al. 2010, as in SimpleITK"

    shrink: int = whole(meaning="how much coarser the grid is on which the field is fitted", default=4)
    iterations: int = whole(meaning="at most, on each of four levels", default=50)

    def apply(self, sample: Sample) -> Sample:
        """The sample with its image divided by the field, which is fitted inside the mask or by Otsu's threshold.

        Raises:
            InputError: If a channel is constant, or too small to shrink so far.
        """
        if min(sample.spatial) < 4 * self.shrink:
            remedy = f"Give a shrink of at most {max(1, min(sample.spatial) // 4)}."
            raise bad_input("", f"is too small for shrink: {self.shrink}", remedy, kind="too-small")
        if any(channel.min() == channel.max() for channel in sample.image):
            raise bad_input("", "has a channel of one value", "Leave the bias correction out.", kind="image-constant")
        return replace(sample, image=np.stack([self._correct(channel, sample) for channel in sample.image]))

    def _correct(self, channel: NDArray[np.float32], sample: Sample) -> NDArray[np.float32]:
        import SimpleITK as sitk  # noqa: N813

        # N4 works on logarithms
        positive = channel - min(float(channel.min()), 0.0)
        whole_image = sitk.GetImageFromArray(positive)
        if sample.spacing_mm is not None:
            whole_image.SetSpacing(sample.spacing_mm[::-1])
        if sample.inside is None or not sample.inside.any():
            mask = sitk.OtsuThreshold(whole_image, 0, 1, 128)
        else:
            mask = sitk.GetImageFromArray(sample.inside.astype(np.uint8))
            mask.CopyInformation(whole_image)
        factors = [self.shrink] * channel.ndim
        fitter = sitk.N4BiasFieldCorrectionImageFilter()
        fitter.SetMaximumNumberOfIterations([self.iterations] * 4)
        # one thread: sums in another order give other digits
        fitter.SetNumberOfThreads(1)
        fitter.Execute(sitk.Shrink(whole_image, factors), sitk.Shrink(mask, factors))
        log_field = sitk.GetArrayFromImage(fitter.GetLogBiasFieldAsImage(whole_image))
        corrected: NDArray[np.float32] = (positive / np.exp(log_field)).astype(np.float32)
        return corrected


def _region(sample: Sample, inside: str) -> NDArray[np.bool_] | None:
    """The elements that count (*spatial); None for all."""
    if inside == "image":
        return None
    if inside == "nonzero":
        return np.asarray((sample.image != 0).any(axis=0))
    if sample.inside is None and inside == "mask":
        raise bad_input(
            "",
            "has no mask of what counts",
            "Put skull_strip or field_of_view first, name masks in the data set, or use inside: nonzero.",
            kind="mask-missing",
        )
    return find_field_of_view(sample.image) if sample.inside is None else sample.inside


def _by_group(
    sample: Sample,
    inside: str,
    scale: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    *,
    per_channel: bool,
) -> Sample:
    """Scale what counts, each channel for itself or all together; the rest becomes 0."""
    region = _region(sample, inside)
    if region is None and not per_channel:
        return replace(sample, image=scale(sample.image))
    image = np.zeros_like(sample.image)
    groups = [slice(k, k + 1) for k in range(len(image))] if per_channel else [slice(None)]
    for channels in groups:
        where = channels if region is None else (channels, region)
        if image[where].size:
            image[where] = scale(sample.image[where])
    return replace(sample, image=image)


def _between(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Clip to two percentiles and scale to [0, 1]; zeros where they coincide."""
    start, end = np.percentile(values, (low, high)).astype(np.float32)
    if start >= end:
        return np.zeros_like(values)
    scaled: NDArray[np.float32] = np.clip((values - start) / (end - start), 0, 1)
    return scaled
