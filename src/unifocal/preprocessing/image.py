"""From a file's pixels to the network's input, the same for training and for prediction."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from unifocal.preprocessing.intensity import unit_range, z_score
from unifocal.preprocessing.skull import strip_skull

Intensity = Literal["z_score", "unit"]


def prepare_image(
    image: NDArray[np.float32],
    *,
    channels: int,
    size: tuple[int, int],
    intensity: Intensity,
    skull_strip: bool,
) -> NDArray[np.float32]:
    """Prepare one image: skull stripping if asked, resizing, intensity.

    Args:
        image: (channels, rows, columns), values as stored in the file.
        channels: What the network takes: 1 averages colours, 3 repeats grey.
        size: (rows, columns) of the result. The aspect ratio is not kept, as in the sources.
        intensity: `z_score` (source B) or `unit` (source A: values to [0, 1]).
        skull_strip: Whether to set everything but the head's inside to 0 first (source A).

    Returns:
        (channels, *size), float32.
    """
    if channels == 1 and image.shape[0] == 3:
        image = image.mean(axis=0, keepdims=True, dtype=np.float32)
    elif channels == 3 and image.shape[0] == 1:
        image = np.repeat(image, 3, axis=0)
    if skull_strip:
        image = strip_skull(image)
    if image.shape[1:] != tuple(size):
        image = resize(image, (image.shape[0], *size), order=1, anti_aliasing=True, preserve_range=True)
    scaled = z_score(image) if intensity == "z_score" else unit_range(image)
    return scaled.astype(np.float32)


def prepare_labels(labels: NDArray[Any], *, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a label mask (rows, columns) so that each label keeps its area: the label of the largest share wins.

    Nearest-neighbour sampling would drop lesions of a pixel or two; here each label's share of a target pixel is
    computed by the interpolation that images get, and the largest share is taken.

    Returns:
        (rows, columns) of `size`, uint8.
    """
    if labels.shape == tuple(size):
        return labels.astype(np.uint8)
    values = np.unique(labels)
    shares = np.stack(
        [resize((labels == value).astype(np.float32), size, order=1, anti_aliasing=True) for value in values]
    )
    winners: NDArray[np.uint8] = values[np.argmax(shares, axis=0)].astype(np.uint8)
    return winners
