"""Sliding windows over images that a network cannot take at once, in as much memory as is allowed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


@dataclass(frozen=True)
class Windows:
    """How an image is covered by windows.

    Attributes:
        size: Elements of a window along each spatial axis: what the network was trained on.
        overlap: The share of a window that it has in common with its neighbour, from 0 to below 1.
        weights: How much each element of a window counts where windows overlap: `gaussian`, most in the middle
            (standard deviation an eighth of the size, Isensee et al. 2021), or `constant`.
        mirror: Spatial axes along which the windows are also mirrored; the logits of all mirrorings are averaged.
        batch_size: Windows per forward pass.
        memory_bytes: What the sums over windows may take; larger images go through in slabs, with the same result.

    Raises:
        ValueError: If a number is out of range.
    """

    size: tuple[int, ...]
    overlap: float = 0.5
    weights: Literal["gaussian", "constant"] = "gaussian"
    mirror: tuple[int, ...] = ()
    batch_size: int = 1
    memory_bytes: int = 4 << 30

    def __post_init__(self) -> None:
        fits = min(self.size) >= 1 and 0 <= self.overlap < 1 and self.batch_size >= 1 and self.memory_bytes >= 1
        if not fits or any(axis not in range(len(self.size)) for axis in self.mirror):
            message = f"size, overlap, mirror, batch_size or memory_bytes is out of range: {self}"
            raise ValueError(message)


class Slab(NamedTuple):
    """Windows that go through together: elements `start` to `stop` of the axis, `first` to `last` of them final."""

    start: int
    stop: int
    first: int
    last: int


@torch.inference_mode()
def window_slabs(
    network: nn.Module, image: NDArray[np.float32], windows: Windows, outputs: int
) -> Iterator[tuple[slice, Tensor]]:
    """Logits of an image, one slab along its longest axis after the other; MONAI's sliding window does the work.

    Args:
        network: Maps (N, channels, *size) to logits (N, outputs, *size). Used as it is: set it to evaluation before.
        image: (channels, *spatial); where it is smaller than a window, zeros go around it.
        windows: How it is covered.
        outputs: The network's outputs, to know how much memory they take.

    Yields:
        Where the slab lies along the longest axis, and its logits (outputs, *slab), float32, on the CPU.
    """
    from monai.inferers.utils import sliding_window_inference

    spatial = image.shape[1:]
    axis = longest_axis(spatial)
    per_plane = 4 * (outputs + 1) * math.prod(spatial) // spatial[axis]
    planes = max(1, windows.memory_bytes // per_plane)
    device = next(network.parameters()).device
    predictor = _Mirroring(network, windows.mirror) if windows.mirror else network
    for slab in slabs_of(spatial[axis], windows.size[axis], windows.overlap, planes):
        part = torch.from_numpy(image[_along(axis, slab.start, slab.stop)])[None]
        logits = sliding_window_inference(
            part,
            windows.size,
            windows.batch_size,
            predictor,
            overlap=windows.overlap,
            mode=windows.weights,
            sw_device=device,
            device="cpu",
        )
        assert isinstance(logits, Tensor)
        yield (
            slice(slab.first, slab.last),
            logits[0][_along(axis, slab.first - slab.start, slab.last - slab.start)].float(),
        )


def window_logits(
    network: nn.Module, image: NDArray[np.float32], windows: Windows, outputs: int
) -> NDArray[np.float32]:
    """All logits of an image (outputs, *spatial), float32; see `window_slabs`."""
    result: NDArray[np.float32] | None = None
    axis = longest_axis(image.shape[1:])
    for place, logits in window_slabs(network, image, windows, outputs):
        whole = place == slice(0, image.shape[1 + axis])
        if whole:
            return logits.numpy()
        if result is None:
            result = np.empty((outputs, *image.shape[1:]), np.float32)
        result[_along(axis, place.start, place.stop)] = logits.numpy()
    assert result is not None
    return result


def longest_axis(spatial: Sequence[int]) -> int:
    """The axis that slabs are cut along; the first of several."""
    return max(range(len(spatial)), key=lambda axis: spatial[axis])


def slabs_of(extent: int, size: int, overlap: float, planes: int) -> list[Slab]:
    """Runs of windows along an axis, none longer than the memory allows where that is possible.

    A slab holds every window that touches its final planes, so that these are what all windows at once would give.

    Args:
        extent: Elements along the axis.
        size: Of a window.
        overlap: Of neighbours.
        planes: The longest slab wanted; at least the windows over one plane are taken.
    """
    starts = window_starts(extent, size, overlap)
    slabs = []
    begin, first = 0, 0
    while first < extent:
        end = next(index for index, start in enumerate(starts) if start + size > first or index == len(starts) - 1)
        # The windows over the first plane, then as many more as fit.
        while end + 1 < len(starts) and (starts[end + 1] <= first or starts[end + 1] + size - starts[begin] <= planes):
            end += 1
        last = starts[end + 1] if end + 1 < len(starts) else extent
        slabs.append(Slab(starts[begin], min(starts[end] + size, extent), first, last))
        first = last
        begin = next((index for index, start in enumerate(starts) if start + size > first), len(starts) - 1)
    return slabs


def window_starts(extent: int, size: int, overlap: float) -> list[int]:
    """Where windows begin along an axis, as MONAI lays them: evenly, the last one moved to end with the image."""
    if extent <= size:
        return [0]
    interval = max(1, int(size * (1 - overlap)))
    count = -(-(extent - size) // interval) + 1
    return [min(number * interval, extent - size) for number in range(count)]


class _Mirroring(nn.Module):
    """The mean logits over all mirrorings along some axes."""

    def __init__(self, network: nn.Module, axes: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.ways = list(chain.from_iterable(combinations(axes, count) for count in range(len(axes) + 1)))

    def forward(self, image: Tensor) -> Tensor:
        total: Tensor | None = None
        for way in self.ways:
            axes = [axis + 2 for axis in way]
            logits = self.network(image.flip(axes)).flip(axes)
            total = logits if total is None else total + logits
        assert total is not None
        return total / len(self.ways)


def _along(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    """Elements `start` to `stop` of a spatial axis of (channels, *spatial)."""
    return (*[slice(None)] * (1 + axis), slice(start, stop))
