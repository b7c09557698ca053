"""Probabilities and class indices for prepared images, brought back to each image's own size."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unifocal.models.layout import channels_last
from unifocal.preprocessing.resampling import restore
from unifocal.preprocessing.sample import GeometryRecord

PreparedImage = tuple[NDArray[np.float32], Sequence[GeometryRecord]]
"""A prepared image (channels, rows, columns) and what preparing it did to its grid."""


@torch.inference_mode()
def predict_probabilities(
    network: nn.Module, images: Iterable[PreparedImage], *, batch_size: int, are_regions: bool = False
) -> Iterator[NDArray[np.float32]]:
    """Probabilities at each image's own size, one batch at a time, in float32.

    They are brought to that size by linear interpolation. What preparing cut away is background.

    Args:
        network: Maps (N, channels, rows, columns) to logits (N, outputs, rows, columns); one output means foreground
            against background (sigmoid), more mean one class each (softmax). Left as `ready` leaves it.
        images: What to segment.
        batch_size: Images per forward pass.
        are_regions: Whether every output is a region of its own (sigmoid), which may overlap others.

    Yields:
        Per image (outputs, rows, columns), each in [0, 1]; the background's first where there are several.
    """
    ready(network, 2)
    device = next(network.parameters()).device
    for batch in _batches(images, batch_size):
        stacked = torch.from_numpy(np.stack([image for image, _ in batch])).to(device)
        logits = network(stacked.contiguous(memory_format=channels_last(2))).float().cpu()
        probabilities = logits.sigmoid() if are_regions or logits.shape[1] == 1 else logits.softmax(dim=1)
        for one, (_, geometry) in zip(probabilities.numpy(), batch, strict=True):
            yield restore_image(one, geometry, has_background=not are_regions and len(one) > 1)


def ready(network: nn.Module, dimensions: int) -> None:
    """Put a network into evaluation mode and lay its weights with their channels last.

    Whoever predicts with the same weights gets the same numbers, whether they were just trained or read from a file.

    Args:
        network: For images (2) or volumes (3).
        dimensions: 2 or 3.
    """
    network.eval()
    with torch.inference_mode(mode=False):  # what is made inside could not be trained any more
        network.to(memory_format=channels_last(dimensions))  # type: ignore[call-overload]


def decide(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """The class of every element: above 1/2 for a single output, else the most probable.

    Args:
        probabilities: (outputs, *spatial), at the image's own size: a boundary is placed finer there than on the
            network's grid, and small objects are not lost to it.

    Returns:
        (*spatial) class indices, 0 for background.
    """
    chosen = probabilities[0] > 0.5 if len(probabilities) == 1 else probabilities.argmax(axis=0)
    return np.asarray(chosen, dtype=np.uint8)


def _batches(images: Iterable[PreparedImage], size: int) -> Iterator[list[PreparedImage]]:
    """Neighbours of one shape together, in order."""
    for _, alike in groupby(images, key=lambda pair: pair[0].shape):
        while batch := list(islice(alike, size)):
            yield batch


def restore_image(
    probabilities: NDArray[np.float32], geometry: Sequence[GeometryRecord], *, has_background: bool
) -> NDArray[np.float32]:
    """Probabilities (outputs, *prepared) at the image's own size; what preparing cut away is background."""
    if not has_background:
        restored = restore(probabilities, geometry)
    else:
        inside = restore(probabilities[1:], geometry)
        background = 1 - restore(1 - probabilities[:1], geometry)
        restored = np.concatenate([background, inside])
    # Interpolation may step over the edges by a rounding error.
    return np.clip(restored, 0, 1, out=restored)
