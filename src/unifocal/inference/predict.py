"""Class indices for prepared images, brought back to each image's own size."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unifocal.preprocessing.resampling import restore
from unifocal.preprocessing.sample import GeometryRecord


@torch.inference_mode()
def predict_indices(
    network: nn.Module, images: Iterable[tuple[NDArray[np.float32], Sequence[GeometryRecord]]], *, batch_size: int
) -> Iterator[NDArray[np.uint8]]:
    """Segment images one batch at a time, in float32.

    Probabilities, not labels, are brought to the image's own size (bilinear), and decided there: a boundary is
    placed finer than the network's grid, and small objects are not lost to it.

    Args:
        network: Maps (N, channels, rows, columns) to logits (N, outputs, rows, columns); one output means foreground
            against background (sigmoid), more mean one class each (softmax). Left in evaluation mode.
        images: Pairs of a prepared image (channels, rows, columns) and what preparing it did to its grid.
        batch_size: Images per forward pass.

    Yields:
        Per image, (rows, columns) class indices, 0 for background.
    """
    network.eval()
    device = next(network.parameters()).device
    for batch in _batches(images, batch_size):
        stacked = torch.from_numpy(np.stack([image for image, _ in batch])).to(device)
        logits = network(stacked.contiguous(memory_format=torch.channels_last)).float().cpu()
        for one, (_, geometry) in zip(logits, batch, strict=True):
            yield _decide(one, geometry)


def _batches(
    images: Iterable[tuple[NDArray[np.float32], Sequence[GeometryRecord]]], size: int
) -> Iterator[list[tuple[NDArray[np.float32], Sequence[GeometryRecord]]]]:
    """Neighbours of one shape together, in order."""
    for _, alike in groupby(images, key=lambda pair: pair[0].shape):
        while batch := list(islice(alike, size)):
            yield batch


def _decide(logits: Tensor, geometry: Sequence[GeometryRecord]) -> NDArray[np.uint8]:
    probabilities = logits.sigmoid() if len(logits) == 1 else logits.softmax(dim=0)
    restored = restore(probabilities.numpy(), geometry)
    chosen = restored[0] > 0.5 if len(restored) == 1 else restored.argmax(axis=0)
    return np.asarray(chosen, dtype=np.uint8)
