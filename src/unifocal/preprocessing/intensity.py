"""Grey values to the range that a network likes."""

import numpy as np
from numpy.typing import NDArray


def z_score(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract the image's mean and divide by its standard deviation, over all channels together (source B).

    A constant image becomes zeros.
    """
    wide = image.astype(np.float64)
    deviation = wide.std()
    if deviation == 0:
        return np.zeros_like(image)
    # in place: a volume at float64 is large
    wide -= wide.mean()
    wide /= deviation
    return wide.astype(np.float32)


def unit_range(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide by the largest value that the image's bit depth can hold (source A: grey values / 255).

    Values up to 1 stay as they are, up to 255 are divided by 255, above that by 65535; negative values are
    shifted to 0 first.
    """
    shifted = image - min(float(image.min()), 0.0)
    peak = float(shifted.max())
    ceiling = next((limit for limit in (1.0, 255.0, 65535.0) if peak <= limit), peak)
    return (shifted / ceiling).astype(np.float32)
