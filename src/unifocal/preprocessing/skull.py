"""Skull stripping as source A did it."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label

# OpenCV's GaussianBlur with a 5x5 kernel and sigma 0 uses this sigma; source A called it so.
_SIGMA_OF_5X5 = 0.3 * ((5 - 1) * 0.5 - 1) + 0.8


def strip_skull(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Set everything outside the largest bright region to 0 (PROTOCOLS.md, A).

    Gaussian blur (5x5), Otsu's threshold, the largest connected component with its holes filled (the inside of
    the largest contour). It is the source's method, not a good one: where scalp and brain touch, both stay.

    Args:
        image: (channels, rows, columns).

    Returns:
        The same shape. A constant image is returned unchanged.
    """
    grey = image.mean(axis=0)
    if grey.min() == grey.max():
        return image
    blurred = gaussian(grey, sigma=_SIGMA_OF_5X5, truncate=2 / _SIGMA_OF_5X5, preserve_range=True)
    regions = label(blurred > threshold_otsu(blurred))
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    inside = binary_fill_holes(regions == sizes.argmax())
    return np.where(inside, image, np.float32(0)).astype(np.float32)
