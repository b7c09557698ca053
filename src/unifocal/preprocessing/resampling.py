"""Sampling images and labels on another grid, and both back."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unifocal.preprocessing.sample import GeometryRecord


def resize_image(image: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Sample an image on a grid of another size over the same field of view.

    Linear interpolation, after a Gaussian blur along the axes that shrink.

    Args:
        image: (channels, *spatial).
        size: Elements along each spatial axis of the result.

    Returns:
        (channels, *size), float32; the image itself where the size is right already.
    """
    if image.shape[1:] == size:
        return image
    from skimage.transform import resize

    resized: NDArray[np.float32] = resize(
        image, (image.shape[0], *size), order=1, anti_aliasing=True, preserve_range=True
    )
    return resized.astype(np.float32, copy=False)


def resize_labels(labels: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
    """Resize labels (*spatial) so that each keeps its area: the label of the largest share wins.

    Nearest-neighbour sampling would drop lesions of an element or two; here each label's share of a target element
    is computed by the interpolation that images get, and the largest share is taken, the smaller label on a tie.

    Returns:
        (*size), of the labels' own type.
    """
    if labels.shape == size:
        return labels
    values = np.unique(labels)
    winners = np.full(size, values[0], dtype=labels.dtype)
    largest = np.zeros(size, dtype=np.float32)
    for value in values:
        _take_where_larger(labels == value, value, winners, largest)
    return winners


def _take_where_larger(
    mask: NDArray[np.bool_], value: Any, winners: NDArray[Any], largest: NDArray[np.float32]
) -> None:
    """Set `winners` to `value`, and `largest` to its share, wherever that share is the largest so far."""
    share = resize_image(mask[None].astype(np.float32), largest.shape)[0]
    won = share > largest
    winners[won] = value
    np.maximum(largest, share, out=largest)


def frame(values: NDArray[Any], start: Sequence[int], size: Sequence[int], fill: Any) -> NDArray[Any]:
    """A window of the trailing axes, which may lie partly or wholly outside the array.

    Args:
        values: (..., *spatial).
        start: Where the window's first element lies along each spatial axis.
        size: Elements of the window along each spatial axis.
        fill: What stands outside the array.

    Returns:
        (..., *size), a copy.
    """
    leading = values.shape[: values.ndim - len(size)]
    result = np.full((*leading, *size), fill, dtype=values.dtype)
    source: list[slice] = []
    target: list[slice] = []
    for first, extent, length in zip(start, size, values.shape[len(leading) :], strict=True):
        low, high = max(first, 0), min(first + extent, length)
        if high <= low:
            return result
        source.append(slice(low, high))
        target.append(slice(low - first, high - first))
    kept = [slice(None)] * len(leading)
    result[tuple(kept + target)] = values[tuple(kept + source)]
    return result


def restore(
    values: NDArray[Any],
    geometry: Sequence[GeometryRecord],
    *,
    fill: float = 0.0,
    order: Literal["linear", "nearest"] = "linear",
) -> NDArray[Any]:
    """Bring probabilities or labels from the prepared grid back to the image's own.

    Args:
        values: (*grid) or (channels, *grid), where `grid` is what the last record led to.
        geometry: `Sample.geometry` of the prepared image.
        fill: What stands where the prepared grid did not reach.
        order: `linear` for probabilities (the result is float32), `nearest` for labels (their type is kept).

    Returns:
        (*native) or (channels, *native).

    Raises:
        ValueError: If the values do not lie on the grid that the records lead to.
    """
    result = values.astype(np.float32, copy=False) if order == "linear" else values
    for record in reversed(geometry):
        axes = len(record.after)
        if result.shape[-axes:] != record.after or result.ndim not in (axes, axes + 1):
            raise ValueError(f"values of shape {result.shape} do not lie on the grid {record.after}")
        if record.kind == "orient":
            result = oriented_back(result, record)
        elif record.kind == "frame":
            result = frame(result, [-first for first in record.start], record.before, fill)
        else:
            result = _sample(result, record.before, 1 if order == "linear" else 0)
    return result


def oriented(values: NDArray[Any], order: Sequence[int], mirrored: Sequence[int]) -> NDArray[Any]:
    """The trailing axes in another order, some of them mirrored; see `GeometryRecord`. (..., *spatial), a view."""
    leading = values.ndim - len(order)
    turned = values.transpose([*range(leading), *(leading + axis for axis in order)])
    return np.asarray(np.flip(turned, tuple(leading + axis for axis in mirrored)))


def oriented_back(values: NDArray[Any], record: GeometryRecord) -> NDArray[Any]:
    """What `oriented` undone gives. (..., *spatial), a view."""
    leading = values.ndim - len(record.order)
    turned = np.asarray(np.flip(values, tuple(leading + axis for axis in record.mirrored)))
    return turned.transpose([*range(leading), *(leading + int(axis) for axis in np.argsort(record.order))])


def _sample(values: NDArray[Any], size: tuple[int, ...], order: Literal[0, 1]) -> NDArray[Any]:
    from scipy import ndimage

    kept = values.ndim - len(size)
    factors = [1.0] * kept + [to / of for to, of in zip(size, values.shape[kept:], strict=True)]
    # elements cover areas, as when the image was resized; without grid_mode the corners' centres would be matched
    sampled: NDArray[Any] = ndimage.zoom(values, factors, order=order, mode="nearest", grid_mode=True)
    return sampled
