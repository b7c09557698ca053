"""The fused way on the CPU: all voxels, a piece at a time."""

import torch
from torch import Tensor

from unifocal.losses.fused import memory
from unifocal.losses.fused.many_classes import ManyClasses
from unifocal.losses.fused.pieces import pieces, read, reread, size
from unifocal.losses.fused.two_classes import TwoClasses
from unifocal.losses.parameters import Parameters, Sums, Upstream
from unifocal.losses.targets import Voxels


def forward(voxels: Voxels, parameters: Parameters, *, keep: bool) -> tuple[Sums, Tensor | None]:
    """The sums, and what the backward pass needs.

    Args:
        voxels: Logits, hard labels and weights.
        parameters: What is wanted.
        keep: Whether there will be a backward pass.

    Returns:
        The sums; and a tensor of the logits' shape, or None where it would not hold what is needed.

    Raises:
        ValueError: If a label or a weight does not fit.
    """
    samples, problems, channels, positions = voxels.logits.shape
    engines = [_engine(parameters, problem, channels) for problem in range(problems)]
    keep = keep and voxels.dtype == voxels.logits.dtype and engines[0].parts <= channels
    left = memory.empty(voxels.logits, voxels.dtype) if keep else None
    region = torch.zeros(3, samples, problems, voxels.classes, dtype=torch.float64)
    voxel, counted = torch.zeros(2, samples, dtype=torch.float64)
    rows, length = size(voxels, engines[0].slots)
    room = _Room(voxels, engines[0].slots, rows * length, work=not keep)
    for problem, engine in enumerate(engines):
        for piece in pieces(voxels, problem, left, rows, length):
            slots, work = room.of(piece.labels.shape)
            ready = read(voxels, piece, slots[:, 0])
            found = engine.forward(ready, slots, work if piece.gradient is None else piece.gradient)
            if found.region is not None:
                region[:, piece.samples, problem] += found.region
            if found.voxel is not None:
                voxel[piece.samples] += found.voxel
            if ready.weight is not None:
                counted[piece.samples] += ready.weight.sum(dim=1)
    if voxels.weight is None and voxels.ignore_index is None:
        counted.fill_(problems * positions)
    return Sums(*(part.to(voxels.dtype) for part in (*region, voxel, counted))), left


def backward(voxels: Voxels, parameters: Parameters, left: Tensor | None, upstream: Upstream) -> Tensor:
    """The gradient in the logits.

    Args:
        voxels: What `forward` was given.
        parameters: The same.
        left: What `forward` left, which becomes the gradient; None to work it out again.
        upstream: The loss' gradient in the sums.
    """
    gradient = memory.empty(voxels.logits, voxels.logits.dtype) if left is None else left
    region = torch.stack(upstream[:3])
    _, problems, channels, _ = voxels.logits.shape
    engines = [_engine(parameters, problem, channels) for problem in range(problems)]
    rows, length = size(voxels, engines[0].slots)
    room = _Room(voxels, engines[0].slots, rows * length, work=left is None)
    for problem, engine in enumerate(engines):
        for piece in pieces(voxels, problem, gradient, rows, length):
            slots, work = room.of(piece.labels.shape)
            target = piece.gradient
            assert target is not None
            here = region[:, piece.samples, problem], upstream.voxel[piece.samples]
            if left is not None:
                weight = reread(voxels, piece, slots[:, 0]) if engine.rereads else None
                engine.backward(slots, target, weight, *here)
            else:
                ready = read(voxels, piece, slots[:, 0])
                engine.forward(ready, slots, work)
                weight = reread(voxels, piece, slots[:, 0]) if engine.rereads else None
                engine.backward(slots, work, weight, *here)
                target.copy_(work[:, -target.shape[1] :])
    return gradient


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
        self.memory = torch.empty(self.channels * positions, dtype=voxels.dtype)

    def of(self, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """For a piece of (R, m) positions, slots (R, slots, m) and, if wanted, a place to work (R, C, m)."""
        rows, length = shape
        room = self.memory[: rows * self.channels * length].view(rows, self.channels, length)
        return room[:, : self.slots], room[:, self.slots :]
