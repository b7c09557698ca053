"""A volume segmented: windows, probabilities, and back to its own grid, with little more memory than one result."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unifocal.inference.predict import ready
from unifocal.inference.windows import Windows, longest_axis, window_logits
from unifocal.preprocessing.resampling import restore
from unifocal.preprocessing.sample import GeometryRecord

_PIECE = 1 << 24
"""So many elements are turned into probabilities at once."""


def predict_volume(
    network: nn.Module,
    image: NDArray[np.float32],
    geometry: Sequence[GeometryRecord],
    windows: Windows,
    outputs: int,
    *,
    are_regions: bool = False,
) -> NDArray[np.float32]:
    """Probabilities of a prepared volume at its own size.

    They are brought to that size by linear interpolation. What preparing cut away is background.

    Args:
        network: Maps (N, channels, *windows.size) to logits (N, outputs, *windows.size); one output means foreground
            against background (sigmoid), more mean one class each (softmax). Left as `ready` leaves it.
        image: (channels, *spatial).
        geometry: What preparing it did to its grid.
        windows: How it is covered.
        outputs: The network's outputs.
        are_regions: Whether every output is a region of its own (sigmoid), which may overlap others.

    Returns:
        (outputs, *native), each in [0, 1]; the background's first where there are several.
    """
    probabilities = _on_grid(network, image, windows, outputs, are_regions=are_regions)
    if not geometry:
        return probabilities
    native = geometry[0].before
    result = np.empty((outputs, *native), np.float32)
    for channel in range(outputs):
        result[channel] = restore_channel(
            probabilities, channel, geometry, has_background=not are_regions and outputs > 1
        )
    return result


def predict_volume_indices(
    network: nn.Module,
    image: NDArray[np.float32],
    geometry: Sequence[GeometryRecord],
    windows: Windows,
    outputs: int,
) -> NDArray[np.uint8]:
    """The most probable class (*native) of every element, without all probabilities at once; see `predict_volume`."""
    probabilities = _on_grid(network, image, windows, outputs, are_regions=False)
    if outputs == 1:
        return np.asarray(restore_channel(probabilities, 0, geometry, has_background=False) > 0.5, dtype=np.uint8)
    best = restore_channel(probabilities, 0, geometry, has_background=True)
    chosen = np.zeros(best.shape, np.uint8)
    for channel in range(1, outputs):
        other = restore_channel(probabilities, channel, geometry, has_background=True)
        # Of equals the first, as argmax has it.
        chosen[other > best] = channel
        np.maximum(best, other, out=best)
    return chosen


def _on_grid(
    network: nn.Module, image: NDArray[np.float32], windows: Windows, outputs: int, *, are_regions: bool
) -> NDArray[np.float32]:
    ready(network, image.ndim - 1)
    logits = window_logits(network, image, windows, outputs)
    axis = 1 + longest_axis(logits.shape[1:])
    planes = max(1, _PIECE * logits.shape[axis] // logits.size)
    for start in range(0, logits.shape[axis], planes):
        piece = torch.from_numpy(logits).narrow(axis, start, min(planes, logits.shape[axis] - start))
        piece.copy_(piece.sigmoid() if are_regions or outputs == 1 else piece.softmax(dim=0))
    return logits


def restore_channel(
    probabilities: NDArray[np.float32], channel: int, geometry: Sequence[GeometryRecord], *, has_background: bool
) -> NDArray[np.float32]:
    """One channel of probabilities (outputs, *prepared) at the volume's own size (*native); may share their memory."""
    restored = restore(probabilities[channel], geometry, fill=1.0 if has_background and channel == 0 else 0.0)
    restored = np.asarray(restored, dtype=np.float32)
    # Interpolation may step over the edges by a rounding error. In place: a large volume's copy is felt.
    return np.clip(restored, 0, 1, out=restored)
