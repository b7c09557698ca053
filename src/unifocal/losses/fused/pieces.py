"""The walk over the voxels in pieces that fit the cache."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from unifocal.losses.dense import check_labels, checked_weight
from unifocal.losses.targets import Voxels

MOST = 1 << 17
"""Positions of a piece: with more, its tensors leave the cache."""

FEWEST = 1 << 13
"""Positions of a piece: with fewer, the calls cost more than the work."""

SHARE = 0.21
"""The size of a piece's temporary tensors, as a share of the logits."""

SMALL = 230_000
"""Elements that a piece's temporary tensors may always have: 1 MB is nothing, and few pieces take few calls."""

RUN = 1 << 13
"""Positions that are added up in one go."""


class Piece(NamedTuple):
    """Some samples' voxels of one problem, as they are.

    Attributes:
        samples: Which samples.
        logits: (R, C or 1, m).
        labels: (R, m), the class of every position.
        weight: (R, m); None where all positions count as one.
        gradient: (R, C or 1, m), where the gradient goes; None where there is no room for it yet.
    """

    samples: slice
    logits: Tensor
    labels: Tensor
    weight: Tensor | None
    gradient: Tensor | None


class PieceSums(NamedTuple):
    """Sums over a piece's positions; None where the loss has no such term.

    Attributes:
        region: What `region_sums` makes T, FN and FP of, (R, ...).
        voxel: The voxel term's sum, (R,).
    """

    region: Tensor | None
    voxel: Tensor | None


def size(voxels: Voxels, slots: int) -> tuple[int, int]:
    """The samples and the positions of a piece.

    Args:
        voxels: What is to be walked over.
        slots: How many numbers per position the work on a piece holds at a time.
    """
    samples, _, channels, positions = voxels.logits.shape
    affordable = int(max(SHARE * voxels.logits.numel(), SMALL) / slots)
    most = min(max(affordable, FEWEST), MOST * 4 // (channels + 2))
    if most >= positions:
        return min(samples, most // positions), positions
    # Pieces of equal length, as a short one at the end costs as many calls; whole runs, see `sums_of_products`.
    length = -(-positions // -(-positions // most))
    return 1, length // RUN * RUN if length > RUN else length


def pieces(voxels: Voxels, problem: int, gradient: Tensor | None, rows: int, length: int) -> Iterator[Piece]:
    """The pieces of a problem, in a fixed order."""
    weight = None if voxels.weight is None else voxels.weight[:, min(problem, voxels.weight.shape[1] - 1)]
    whole = (
        voxels.logits[:, problem],
        voxels.labels[:, problem],
        weight,
        None if gradient is None else gradient[:, problem],
    )
    count = -(-voxels.logits.shape[3] // length)
    for first in range(0, len(voxels.logits), rows):
        samples = slice(first, first + rows)
        parts = [[None] * count if x is None else x[samples].split(length, dim=-1) for x in whole]
        for logits, labels, weights, target in zip(*parts, strict=True):
            yield Piece(samples, logits, labels, weights, target)


def read(voxels: Voxels, piece: Piece, labels: Tensor) -> Piece:
    """The piece with its logits and weights ready to compute with, and its values checked.

    Args:
        voxels: What it is a piece of.
        piece: As it is.
        labels: (R, m), where the labels go, as numbers of the dtype to compute in.

    Raises:
        ValueError: If a label or a weight does not fit.
    """
    weight = reread(voxels, piece, labels)
    if piece.weight is not None:
        checked_weight(piece.weight)
    if not _fit(labels, voxels):
        check_labels(voxels)
    logits = piece.logits if piece.logits.dtype == labels.dtype else piece.logits.to(labels.dtype)
    logits = logits if logits.stride(2) == 1 else logits.contiguous()
    if weight is not None and not logits.sum().isfinite().item():
        logits = logits.masked_fill((weight == 0).unsqueeze(1), 0)
    return piece._replace(logits=logits, weight=weight)


def reread(voxels: Voxels, piece: Piece, labels: Tensor) -> Tensor | None:
    """Put the labels, which have been checked before, into `labels`, 0 where the weight is 0; the weights (R, m)."""
    if voxels.ignore_index is None:
        labels.copy_(piece.labels)
        counted = None
    else:
        counted = piece.labels != voxels.ignore_index
        labels.copy_(piece.labels * counted)
    if piece.weight is None:
        return None if counted is None else counted.to(labels.dtype)
    labels.masked_fill_(piece.weight == 0, 0)
    weight = piece.weight.to(labels.dtype)
    return weight if counted is None else weight * counted


def _fit(labels: Tensor, voxels: Voxels) -> bool:
    """Whether all labels are classes."""
    if voxels.labels.dtype == torch.bool:
        return True
    low, high = labels.aminmax()
    if not 0 <= low.item() <= high.item() < voxels.classes:
        return False
    return not voxels.labels.is_floating_point() or bool((labels == labels.round()).all())


def sums_of_products(a: Tensor, b: Tensor) -> Tensor:
    """The sums over m of the products of a (R, A, m) and b (R, B, m), as (R, A, B).

    Added up in short runs first, so that float32 loses nothing that matters.
    """
    runs, rest = divmod(a.shape[2], RUN)
    if not runs or (rest and runs == 1):
        return torch.bmm(a, b.transpose(1, 2))
    if rest:
        head, tail = zip(*(x.split([runs * RUN, rest], dim=2) for x in (a, b)), strict=True)
        return sums_of_products(*head) + sums_of_products(*tail)
    a, b = (x.unflatten(2, (runs, RUN)).transpose(1, 2) for x in (a, b))
    return (a @ b.transpose(2, 3)).sum(dim=1)
