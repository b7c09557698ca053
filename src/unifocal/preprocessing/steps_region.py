"""Steps that say what of an image counts, and what the channels are."""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from unifocal.preprocessing.brain import MARGIN
from unifocal.preprocessing.field_of_view import find_field_of_view
from unifocal.preprocessing.sample import Sample
from unifocal.preprocessing.skull import Method, brain_mask
from unifocal.preprocessing.step import Step, choice, number, whole
from unifocal.problems import bad_input


@dataclass(frozen=True)
class SkullStrip(Step):
    """Set everything but the brain to 0, in the image only."""

    title = "set everything but the brain to 0"
    source = "source_a: the brain tumour study; improved: docs/results/skull_stripping.md"

    method: str = choice("source_a", "improved", meaning="which way to find the brain", default="improved")
    margin: float = number(
        meaning="improved: kept around the brain, relative to the head's inner radius; 0 gives the brain itself",
        default=MARGIN,
        low=0,
        high=1,
    )

    def apply(self, sample: Sample) -> Sample:
        """The sample with its image stripped and the brain as what is inside."""
        method = cast("Method", self.method)
        return _kept(sample, brain_mask(sample.image, method=method, spacing_mm=sample.spacing_mm, margin=self.margin))


@dataclass(frozen=True)
class FieldOfView(Step):
    """Set everything outside the field of view to 0, in the image only."""

    title = "set everything outside the field of view to 0"

    origin: str = choice(
        "auto",
        "given",
        "found",
        meaning="the data set's own mask, one found in the image, or (auto) the first where there is one",
        default="auto",
    )

    def apply(self, sample: Sample) -> Sample:
        """The sample with its image masked and the field of view as what is inside.

        Raises:
            InputError: If the data set's own mask is asked for and there is none.
        """
        if sample.inside is None and self.origin == "given":
            remedy = "Name the masks in the data set, or use origin: found."
            raise bad_input("", "has no field of view of its own", remedy, kind="mask-missing")
        if sample.inside is None or self.origin == "found":
            return _kept(sample, find_field_of_view(sample.image))
        return _kept(sample, sample.inside)


@dataclass(frozen=True)
class Channels(Step):
    """Grey to colour and back."""

    title = "as many channels as the network takes: 1 averages colours, 3 repeats grey"

    count: int = whole(meaning="channels of the result")

    def apply(self, sample: Sample) -> Sample:
        """The sample with `count` channels.

        Raises:
            InputError: If there is no way from the image's channels to that many.
        """
        held, image = len(sample.image), sample.image
        if self.count == held:
            return sample
        # Three channels of a picture are colours; those of a volume may be three scans, which no mean stands for.
        is_colour = image.ndim == 3 or (held == 3 and bool((image == image[:1]).all()))
        if (held, self.count) == (3, 1) and is_colour:
            return replace(sample, image=image.mean(axis=0, keepdims=True, dtype=np.float32))
        if held == 1:
            return replace(sample, image=np.repeat(image, self.count, axis=0))
        what = f"has {held} channels, and {self.count} are asked for"
        raise bad_input("", what, f"Give images with as many, or use count: {held}.", kind="channels-differ")


def _kept(sample: Sample, inside: NDArray[np.bool_]) -> Sample:
    return replace(sample, image=np.where(inside, sample.image, np.float32(0)), inside=inside)
