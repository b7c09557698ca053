"""Source B's augmentation, with the library it was made with (batchgeneratorsv2)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from torch import Tensor

PROBABILITY = 0.15
"""Of each transform, for each sample."""
ROTATION = (-np.pi / 12, np.pi / 12)
SCALING = (1 / 1.25, 1 / 0.85)
"""Of the grid that samples the image: below 1 enlarges."""
BLUR = (9 / 128, 13 / 128)
"""What the displacements of an elastic deformation are smoothed with, in lengths of the axis that they go along."""
REACH = (0.0, 0.05)
"""The largest of these displacements, in lengths of the shortest axis."""
BRIGHTNESS = (0.5, 2.0)

Augmentation = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]


def standard(size: tuple[int, ...]) -> Augmentation:
    """Each with probability 0.15: scaling 0.85-1.25, rotation, elastic deformation, mirroring, brightness.

    The ranges are source B's (Yeung et al. 2022). Rotation is -15 to 15 degrees; mirroring takes each axis with
    probability one half; brightness multiplies by 0.5 to 2 the grey values above the image's minimum.
    The elastic deformation differs in its parameters: batchgeneratorsv2 sets the largest displacement, not the
    strength before smoothing. Here it is up to 5 % of the shorter edge, smoothed over 9 to 13 of 128 pixels.

    Args:
        size: (rows, columns) of the images, or (slices, rows, columns).

    Returns:
        A function of an image (channels, *size), labels (1, *size) and a seed, that returns the transformed
        pair. The same seed gives the same pair; the global random state is left as it was.
    """
    spatial = SpatialTransform(
        patch_size=size,
        patch_center_dist_from_border=0,
        random_crop=False,
        p_elastic_deform=PROBABILITY,
        elastic_deform_scale=BLUR,
        elastic_deform_magnitude=(REACH[0] * min(size), REACH[1] * min(size)),
        p_rotation=PROBABILITY,
        rotation=ROTATION,
        p_scaling=PROBABILITY,
        scaling=SCALING,
        p_synchronize_scaling_across_axes=1,
        padding_mode_image="border",
    )
    transforms = ComposeTransforms(
        [
            spatial,
            RandomTransform(MirrorTransform(allowed_axes=tuple(range(len(size)))), apply_probability=PROBABILITY),
        ]
    )
    brightness = RandomTransform(
        MultiplicativeBrightnessTransform(BRIGHTNESS, synchronize_channels=True),
        apply_probability=PROBABILITY,
    )
    return _Standard(transforms, brightness)


@dataclass(frozen=True)
class _Standard:
    """No closure, so that it can be sent to the processes of a loader."""

    transforms: ComposeTransforms
    brightness: RandomTransform

    def __call__(self, image: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        state = np.random.get_state()  # noqa: NPY002 - the library draws from the global generators
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would also reach for the GPU, slowly
            np.random.seed(seed)  # noqa: NPY002
            moved = self.transforms(image=image, segmentation=labels)
            # A z-scored image has its mean at 0: its darkest value must stay where it is, as in the raw image.
            floor = moved["image"].min()
            brightened = self.brightness(image=moved["image"] - floor)["image"] + floor
        np.random.set_state(state)  # noqa: NPY002
        return brightened, moved["segmentation"]
