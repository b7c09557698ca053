"""Which part of a head is brain: as source A did it, or better."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unifocal.preprocessing.brain import MARGIN, find_brain
from unifocal.preprocessing.field_of_view import largest_region

Method = Literal["source_a", "improved"]

# OpenCV's GaussianBlur with a 5x5 kernel and sigma 0 uses this sigma; source A called it so.
_SIGMA_OF_5X5 = 0.3 * ((5 - 1) * 0.5 - 1) + 0.8


def strip_skull(image: NDArray[np.float32], *, method: Method = "source_a") -> NDArray[np.float32]:
    """Set everything but the brain to 0 as source A does (Shafiei Neyestanak et al. 2025).

    Args:
        image: (channels, *spatial).
        method: As for `brain_mask`.

    Returns:
        The same shape. A constant image is returned unchanged.
    """
    return np.where(brain_mask(image, method=method), image, np.float32(0)).astype(np.float32, copy=False)


def brain_mask(
    image: NDArray[np.float32],
    *,
    method: Method = "improved",
    spacing_mm: tuple[float, ...] | None = None,
    margin: float = MARGIN,
) -> NDArray[np.bool_]:
    """The brain in a picture or volume of a head.

    Args:
        image: (channels, *spatial); two or three spatial axes, the channels are averaged.
        method: `source_a`: Gaussian blur (5x5), Otsu's threshold, the largest connected component with its holes
            filled (the inside of the largest contour). Where scalp and brain touch, both stay; where they do not, a
            tumour on the dura may go with the skull. `improved`: see `unifocal.preprocessing.brain`.
        spacing_mm: Distance between elements along each axis; None: the same along all.
        margin: Of `improved`: what is kept around the brain for the sake of tumours that grow out of it, relative
            to the radius of the largest ball inside the head (about 75 mm). 0 gives the brain itself, as its area
            wants it.

    Returns:
        (*spatial), all True where the image is constant.
    """
    grey = image.mean(axis=0)
    if grey.min() == grey.max():
        return np.ones(grey.shape, dtype=bool)
    return _source_a(grey) if method == "source_a" else find_brain(grey, spacing_mm=spacing_mm, margin=margin)


def _source_a(grey: NDArray[np.float32]) -> NDArray[np.bool_]:
    from scipy import ndimage
    from skimage.filters import gaussian, threshold_otsu

    blurred = gaussian(grey, sigma=_SIGMA_OF_5X5, truncate=2 / _SIGMA_OF_5X5, preserve_range=True)
    touching = ndimage.generate_binary_structure(grey.ndim, grey.ndim)
    return largest_region(blurred > threshold_otsu(blurred.ravel()), touching)
