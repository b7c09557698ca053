"""The one formula behind every loss, to be read beside the papers.

For sample n, class c and position i of M, with p = softmax(z) and target g:

    T  = sum_i p g        FN = sum_i (1-p) g        FP = sum_i p (1-g)
    TI = (T + s) / (T + delta*FN + (1-delta)*FP + s)
    region = mean over n and c of  (1 - TI) ** rho_c
    voxel  = mean over n and i of  sum_c  alpha_c * g * (1 - p) ** phi_c * (-log p)
    loss   = region_weight * region + voxel_weight * voxel

`voxel_sums` is the only pass over the voxels; what follows works on its small results.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from unifocal.losses.dense import Dense
from unifocal.losses.options import Absent, Reduction
from unifocal.losses.parameters import Parameters, Sums

PerClassValue = Tensor | float
"""One value for all classes, or (K, C) values; see `Layout`."""

FLAT_BELOW = 1e-24
"""Where (1-TI)**rho goes over into a straight line through 0; see `bounded_power`."""


@dataclass(frozen=True)
class Terms:
    """The parameters that make the formula a certain loss, by the formula's names.

    Attributes:
        region_weight: Weight of the region term.
        voxel_weight: Weight of the voxel term.
        delta: Weight of false negatives in the Tversky index; false positives get 1 - delta.
        rho: Exponent of the region term.
        alpha: Weight of each class in the voxel term.
        phi: Exponent of the focusing factor of the voxel term.
        constant: Added in the end; moves the value and leaves the gradient.
    """

    region_weight: float = 0.0
    voxel_weight: float = 0.0
    delta: PerClassValue = 0.5
    rho: PerClassValue = 1.0
    alpha: PerClassValue = 1.0
    phi: PerClassValue = 0.0
    constant: float = 0.0


def log_probabilities(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithms of p and of 1-p for every class, both with all their digits.

    1-p is never a subtraction from a p near 1, it is the probability of the other classes: p is the
    sigmoid, and 1-p that of the negative, of d = z_c - log sum_{j != c} exp(z_j). With more than two
    classes that is needed for the likeliest one only, as p is at most 1/2 for the rest.

    Args:
        logits: (N, K, C, M); with C = 1 the two classes have the logits 0 and z.

    Returns:
        Two tensors (N, K, C, M), with C at least 2.
    """
    if logits.shape[2] <= 2:
        d = logits if logits.shape[2] == 1 else logits[:, :, 1:] - logits[:, :, :1]
        log_p = torch.cat([F.logsigmoid(-d), F.logsigmoid(d)], dim=2)
        return log_p, log_p.flip(2)
    top = logits.argmax(dim=2, keepdim=True)
    d = logits.gather(2, top) - logits.scatter(2, top, -torch.inf).logsumexp(dim=2, keepdim=True)
    log_p = F.log_softmax(logits, dim=2)
    log_q = torch.log1p(-log_p.exp().scatter(2, top, 0.0))
    return log_p.scatter(2, top, F.logsigmoid(d)), log_q.scatter(2, top, F.logsigmoid(-d))


def voxel_sums(voxels: Dense, parameters: Parameters) -> Sums:
    """The sums of the formula over all positions.

    (1-p)**phi is exp(phi*log(1-p)), whose slope in the logits is finite for every phi >= 0.
    """
    alpha, phi = parameters.alpha, parameters.phi
    log_p, log_q = log_probabilities(voxels.logits)
    g = voxels.labels
    wg = g if voxels.weight is None else g * voxels.weight
    w_not_g = 1 - g if voxels.weight is None else (1 - g) * voxels.weight
    p, q = log_p.exp(), log_q.exp()
    focus = torch.exp(_column(phi, log_q) * log_q)
    voxel = wg * _column(alpha, log_p) * focus * -log_p
    problems, positions = g.shape[1], g.shape[3]
    if voxels.weight is None:
        total = g.new_full((g.shape[0],), problems * positions)
    else:
        total = voxels.weight.expand(-1, problems, -1, -1).sum(dim=(1, 2, 3))
    return Sums(
        true=(p * wg).sum(dim=3),
        missed=(q * wg).sum(dim=3),
        false=(p * w_not_g).sum(dim=3),
        voxel=voxel.sum(dim=(1, 2, 3)),
        positions=total,
    )


def tversky_loss(sums: Sums, delta: PerClassValue, smooth: float) -> Tensor:
    """1 - TI of every sample and class, without the subtraction: exact where TI is near 1.

    Returns:
        (N, K, C), in [0, 1).
    """
    delta = _like(delta, sums.true)
    errors = delta * sums.missed + (1 - delta) * sums.false
    return errors / (sums.true + errors + smooth)


def bounded_power(x: Tensor, rho: PerClassValue) -> Tensor:
    """x**rho for x >= 0, with a finite slope at 0 for rho below 1.

    Below `FLAT_BELOW` it is the straight line through 0 that meets the power there, so the slope is
    at most FLAT_BELOW**(rho-1), and the gradient of perfect predictions is 0, as it should be:
    the slope of 1-TI in the logits vanishes faster than the power's grows.
    """
    rho = _like(rho, x)
    return torch.where(x >= FLAT_BELOW, x.clamp(min=FLAT_BELOW) ** rho, x * FLAT_BELOW ** (rho - 1))


def region_term(
    sums: Sums, terms: Terms, class_weights: Tensor, *, smooth: float, absent: Absent
) -> tuple[Tensor, Tensor]:
    """The region term of every sample: the weighted mean over its problems and classes.

    A problem without any position that counts, such as a channel that is ignored altogether, is not there.

    Args:
        sums: The sums over the voxels.
        terms: The parameters.
        class_weights: (K, C), not negative.
        smooth: s.
        absent: `skip` leaves out the classes that have no target voxels in the sample.

    Returns:
        The term (N,), 0 where nothing counts; and whether anything counts (N,).
    """
    values = tversky_loss(sums, terms.delta, smooth)
    if not isinstance(terms.rho, float) or terms.rho != 1:
        values = bounded_power(values, terms.rho)
    counted = (sums.positions > 0)[:, None, None]
    if sums.true.shape[1] > 1:
        # Of several problems, each has its own: both labels of a position add up to its weight.
        counted = (sums.true + sums.missed).sum(dim=2, keepdim=True) > 0
    if absent == "skip":
        counted = counted & (sums.true + sums.missed > 0)
    weights = class_weights.to(values) * counted
    total = weights.sum(dim=(1, 2))
    return (values * weights).sum(dim=(1, 2)) / _or_one(total), total > 0


def reduced_loss(sums: Sums, terms: Terms, region: Tensor, counted: Tensor, reduction: Reduction) -> Tensor:
    """The loss from its two terms.

    Args:
        sums: The sums over the voxels.
        terms: The parameters.
        region: The region term of every sample (N,).
        counted: The samples that have a region term (N,).
        reduction: `none` gives every sample's loss (N,), `sum` their sum; `mean` the region term's
            mean over samples and the voxel term's mean over all positions of all samples.
    """
    if reduction == "mean":
        region = (region * counted).sum() / _or_one(counted.sum().to(region))
        voxel = sums.voxel.sum() / _or_one(sums.positions.sum())
    else:
        voxel = sums.voxel / _or_one(sums.positions)
    loss = terms.region_weight * region + terms.voxel_weight * voxel + terms.constant
    return loss.sum() if reduction == "sum" else loss


def _like(value: PerClassValue, tensor: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=tensor.dtype, device=tensor.device)


def _column(value: PerClassValue, tensor: Tensor) -> Tensor:
    """Per-class values, to multiply (N, K, C, M) with."""
    return _like(value, tensor).unsqueeze(-1)


def _or_one(total: Tensor) -> Tensor:
    """A divisor that is never 0: what it divides is 0 there."""
    return torch.where(total > 0, total, 1)
