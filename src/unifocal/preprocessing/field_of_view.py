"""Where a picture shows anything at all: the disc of a fundus camera, the head in its scan."""

import numpy as np
from numpy.typing import NDArray


def find_field_of_view(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The largest region that is not background, with its holes filled.

    Otsu's threshold on square roots, which set dark content apart from black.

    Args:
        image: (channels, *spatial).

    Returns:
        (*spatial); all True where the image is constant.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    brightest = np.sqrt(image.max(axis=0) - image.min())
    if brightest.min() == brightest.max():
        return np.ones(brightest.shape, dtype=bool)
    smooth = ndimage.gaussian_filter(brightest, 1)
    return largest_region(smooth > threshold_otsu(smooth.ravel()))


def largest_region(mask: NDArray[np.bool_], touching: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """The largest region with its holes filled.

    Args:
        mask: (*spatial).
        touching: Which neighbours belong together, as in `scipy.ndimage.label`; None: those that share a face.
    """
    from scipy import ndimage

    regions, _ = ndimage.label(mask, touching)
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(regions == sizes.argmax()))
