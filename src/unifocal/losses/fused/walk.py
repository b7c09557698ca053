"""The fused way on the CPU: all voxels, a piece at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from unifocal.losses.fused import memory
from unifocal.losses.fused.many_classes import ManyClasses
from unifocal.losses.fused.pieces import pieces, read, reread, size
from unifocal.losses.fused.two_classes import TwoClasses
from unifocal.losses.parameters import Parameters, Sums, Upstream
from unifocal.losses.targets import Voxels

KEPT_MOST = 1 << 22
"""Elements of the logits, up to which what is left may have a channel more than they."""


def forward(voxels: Voxels, parameters: Parameters, *, keep: bool) -> tuple[Sums, Tensor | None]:
    """The sums, and what the backward pass needs.

    Args:
        voxels: Logits, hard labels and weights.
        parameters: What is wanted.
        keep: Whether there will be a backward pass.

    Returns:
        The sums; and a tensor of the logits' shape or, where these are few and have one channel, with a second one.
        None where what is needed would not fit.

    Raises:
        ValueError: If a label or a weight does not fit.
    """
    samples, problems, channels, positions = voxels.logits.shape
    engines = [_engine(parameters, problem, channels) for problem in range(problems)]
    fits = engines[0].parts <= channels or voxels.logits.numel() <= KEPT_MOST
    keep = keep and voxels.dtype == voxels.logits.dtype and fits
    kept = torch.Size([samples, problems, max(channels, engines[0].parts), positions])
    left = memory.empty(kept, voxels.dtype) if keep else None
    if left is not None and engines[0].fills:
        torch.softmax(voxels.logits, dim=2, out=left)
    rows, length = size(voxels, engines[0].slots)
    room = _Room(voxels, engines[0].slots, rows * length, work=not keep)
    region, voxel, counted = [], [], []
    for problem, engine in enumerate(engines):
        found, weights = [], []
        for piece in pieces(voxels, problem, left, rows, length):
            slots, work = room.of(piece.labels.shape)
            ready = read(voxels, piece, slots[:, 0])
            target = work if piece.gradient is None else piece.gradient
            filled = piece.gradient is not None and ready.logits is piece.logits
            found.append(engine.forward(ready, slots, target, filled=filled))
            weights.append(None if ready.weight is None else ready.weight.sum(dim=1))
        groups = -(-samples // rows)
        of_region, of_voxel, weight = (_total(parts, groups) for parts in (*zip(*found, strict=True), weights))
        none = torch.zeros(samples, voxels.classes, dtype=voxels.dtype, device="cpu")
        region.append(torch.stack([none] * 3) if of_region is None else engine.region_sums(of_region))
        voxel.append(none[:, 0] if of_voxel is None else of_voxel)
        counted.append(none[:, 0] + positions if weight is None else weight)
    of_samples = (torch.stack(parts).sum(dim=0) for parts in (voxel, counted))
    return Sums(*(part.to(voxels.dtype) for part in (*torch.stack(region, dim=2), *of_samples))), left


def _total(parts: Sequence[Tensor | None], groups: int) -> Tensor | None:
    """The sums (N, ...) from those of the pieces, which come one group of samples after the other."""
    some = [part for part in parts if part is not None]
    count = len(some) // groups
    if not count:
        return None
    sums = (torch.stack(some[i : i + count]).sum(dim=0, dtype=torch.float64) for i in range(0, len(some), count))
    return torch.cat(list(sums))


def backward(voxels: Voxels, parameters: Parameters, left: Tensor | None, upstream: Upstream) -> Tensor:
    """The gradient in the logits.

    Args:
        voxels: What `forward` was given.
        parameters: The same.
        left: What `forward` left, whose last channels become the gradient; None to work it out again.
        upstream: The loss' gradient in the sums.
    """
    gradient = memory.empty(voxels.logits.shape, voxels.logits.dtype) if left is None else left
    region = torch.stack(upstream[:3])
    _, problems, channels, _ = voxels.logits.shape
    engines = [_engine(parameters, problem, channels) for problem in range(problems)]
    rows, length = size(voxels, engines[0].slots)
    needed = engines[0].slots if left is None or engines[0].rereads else 0
    room = _Room(voxels, needed, rows * length, work=left is None)
    for problem, engine in enumerate(engines):
        coefficients = engine.coefficients(region[:, :, problem], upstream.voxel)
        for piece in pieces(voxels, problem, gradient, rows, length):
            slots, work = room.of(piece.labels.shape)
            target = piece.gradient
            assert target is not None
            here = coefficients[piece.samples]
            if left is not None:
                weight = reread(voxels, piece, slots[:, 0]) if engine.rereads else None
                engine.backward(slots, target, weight, here)
            else:
                ready = read(voxels, piece, slots[:, 0])
                engine.forward(ready, slots, work, filled=False)
                weight = reread(voxels, piece, slots[:, 0]) if engine.rereads else None
                engine.backward(slots, work, weight, here)
                target.copy_(work[:, -target.shape[1] :])
    return gradient[:, :, -channels:]


def _engine(parameters: Parameters, problem: int, channels: int) -> TwoClasses | ManyClasses:
    """What does the work on a piece of a problem."""
    kind = TwoClasses if channels <= 2 else ManyClasses
    alpha, phi = parameters.alpha[problem].tolist(), parameters.phi[problem].tolist()
    return kind(alpha, phi, channels, region=parameters.region, voxel=parameters.voxel)


class _Room:
    """Memory for all pieces in turn: to allocate it for each would cost as much as the arithmetic."""

    def __init__(self, voxels: Voxels, slots: int, positions: int, *, work: bool) -> None:
        self.slots = slots
        self.channels = slots + (voxels.classes if work else 0)
        self.memory = memory.empty(torch.Size([self.channels * positions]), voxels.dtype)

    def of(self, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """For a piece of (R, m) positions, slots (R, slots, m) and, if wanted, a place to work (R, C, m)."""
        rows, length = shape
        room = self.memory[: rows * self.channels * length].view(rows, self.channels, length)
        return room[:, : self.slots], room[:, self.slots :]
