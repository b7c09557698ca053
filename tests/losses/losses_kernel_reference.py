"""Input for the checks of the GPU kernels, and a reference in float64."""

import math
import os

import torch
from torch import Tensor

from unifocal.losses.fused import kernels
from unifocal.losses.targets import Voxels

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
VALUES = 1e-6
SLOPES = 1e-5
SUMS = ("true", "missed", "false", "voxel")
# The interpreter computes with NumPy, which warns of what a GPU does silently.
PHI = (0.0, 0.5, 2.0, 0.0, 1.0, 3.5)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
LABEL_DTYPES = (torch.bool, *INTEGERS, torch.float16, torch.bfloat16, torch.float32, torch.float64)


def voxels(
    channels: int = 3,
    positions: int = 300,
    *,
    samples: int = 2,
    problems: int = 1,
    dtype: torch.dtype = torch.float32,
    labels: torch.dtype = torch.int64,
    scale: float = 3.0,
    seed: int = 0,
) -> Voxels:
    """Random logits and labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(samples, problems, channels, positions, generator=generator)
    target = torch.randint(0, max(2, channels), (samples, problems, positions), generator=generator)
    return Voxels(logits.to(dtype).to(DEVICE), target.to(labels).to(DEVICE), None, None)


def parameters(of: Voxels) -> tuple[Tensor, Tensor]:
    """Some alpha and phi, different for every class."""
    shape = of.logits.shape[1], of.classes
    alpha = torch.linspace(0.3, 1.7, shape[0] * shape[1], dtype=torch.float64).reshape(shape)
    phi = torch.tensor([PHI[i % len(PHI)] for i in range(shape[0] * shape[1])], dtype=torch.float64).reshape(shape)
    return alpha, phi


def upstream_of(of: Voxels, seed: int = 1) -> kernels.Upstream:
    """Some gradient in the sums, positive and negative."""
    generator = torch.Generator().manual_seed(seed)
    samples, problems = of.logits.shape[:2]
    region = torch.randn(3, samples, problems, of.classes, generator=generator)
    voxel = torch.randn(samples, generator=generator)
    return kernels.Upstream(*(part.to(DEVICE) for part in (*region, voxel)))


def reference(of: Voxels, alpha: Tensor, phi: Tensor, upstream: kernels.Upstream) -> tuple[dict[str, Tensor], Tensor]:
    """The sums and the gradient in the logits, in float64 by autograd, one sample and problem at a time."""
    logits = of.logits.cpu().double().requires_grad_()
    samples, problems, channels, _ = logits.shape
    weight = None if of.weight is None else of.weight.cpu().double().expand(samples, problems, -1)
    rows = [
        [
            _row(
                logits[n, k],
                of.labels[n, k].cpu().long(),
                None if weight is None else weight[n, k],
                of.ignore_index,
                alpha[k],
                phi[k],
            )
            for k in range(problems)
        ]
        for n in range(samples)
    ]
    region = torch.stack([torch.stack([row[0] for row in sample]) for sample in rows])
    others = torch.stack([torch.stack([row[1] for row in sample]) for sample in rows]).sum(dim=1)
    sums = dict(zip((*SUMS, "positions"), (*region.unbind(2), *others.unbind(1)), strict=True))
    loss = sum(
        (
            (sums[name] * part.cpu().double()).sum()
            for name, part in zip(SUMS, upstream, strict=True)
            if part is not None
        ),
        start=torch.zeros((), dtype=torch.float64),
    )
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.shape[2] == channels
    return {name: part.detach() for name, part in sums.items()}, gradient


def _row(
    z: Tensor, y: Tensor, weight: Tensor | None, ignored: int | None, alpha: Tensor, phi: Tensor
) -> tuple[Tensor, Tensor]:
    """T, FN and FP (3, C); the voxel term's sum and the positions' (2,)."""
    if z.shape[0] == 1:
        z = torch.cat([torch.zeros_like(z), z])
    keep = torch.ones_like(y, dtype=torch.bool) if ignored is None else y != ignored
    if weight is not None:
        keep &= weight != 0
    z, y = z[:, keep], y[keep]
    z = z - z.detach().amax(dim=0)
    w = torch.ones_like(y, dtype=torch.float64) if weight is None else weight[keep]
    own = torch.arange(z.shape[0])[:, None] == y
    whole = z.logsumexp(dim=0)
    log_q = z.masked_fill(own, -math.inf).logsumexp(dim=0) - whole
    # The sum of the others and their share: -log p keeps its digits where p is near 1.
    cost = torch.nn.functional.softplus(log_q - (z - whole)[own.long().argmax(dim=0), torch.arange(y.numel())])
    p = (z - whole).exp()
    missed = torch.where(own, log_q.exp(), 0.0)
    focus = torch.where(phi[y] == 0, torch.ones_like(cost), (phi[y] * log_q).exp())
    region = torch.stack([(part * w).sum(dim=1) for part in (own * p, missed, ~own * p)])
    return region, torch.stack([(w * alpha[y] * focus * cost).sum(), w.sum()])


def run(of: Voxels, alpha: Tensor, phi: Tensor, upstream: kernels.Upstream) -> tuple[kernels.Counts, Tensor]:
    """What the kernels make of it."""
    region, voxel = upstream.true is not None, upstream.voxel is not None
    counts = kernels.sums(of, alpha, phi, region=region, voxel=voxel)
    return counts, kernels.gradient(of, alpha, phi, upstream)


def check(of: Voxels, *, values: float = VALUES, slopes: float = SLOPES) -> tuple[kernels.Counts, Tensor]:
    """Compare sums and gradient with the reference."""
    alpha, phi = parameters(of)
    upstream = upstream_of(of)
    counts, gradient = run(of, alpha, phi, upstream)
    sums, expected = reference(of, alpha, phi, upstream)
    for name, value in sums.items():
        found = getattr(counts, name)
        assert found.dtype == of.dtype
        torch.testing.assert_close(
            found.cpu().double(), value, rtol=values, atol=0.0, msg=lambda m, n=name: f"{n}: {m}"
        )
    assert gradient.dtype == of.logits.dtype
    assert gradient.shape == of.logits.shape
    # One addend of a gradient may cancel another: what is left has the error of the larger ones.
    atol = slopes / 10 * float(expected.abs().amax())
    torch.testing.assert_close(gradient.cpu().double(), expected, rtol=slopes, atol=atol)
    return counts, gradient
