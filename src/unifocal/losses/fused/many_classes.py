"""The formula for three and more classes and hard labels, a piece at a time, its gradient worked out by hand.

With y the true class of a voxel, p = p_y and q the sum of the other classes' probabilities (never 1-p),
the forward pass leaves every p_c, but -q for y where p is above 1/2: whichever has all its digits;
for the cross entropy alone, where h is constant, always -q, which is its gradient but for h.
With r_c the loss' gradient in FP_c, a_c that in T_c less that in FN_c, v that in the voxel term's sum:

    h = v * alpha_y * q**phi_y * (1 + phi_y * p/q * -log p)
    s = sum_{j != y} p_j r_j + p a_y
    dz_c = p_c * (h + r_c - s) for c != y        dz_y = p * (a_y - s) - q h

Where a wrong class is nearly certain, its dz_c is the difference of nearly equal numbers; it is worked
out from the others, as all of a voxel's sum to 0.

A piece's labels become 0 and 1 per class: that is faster than gathering, and exact.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unifocal.losses.fused.pieces import Piece, PieceSums, sums_of_products

LEAST = 1e-30
"""Probabilities are not taken for smaller than this where something is divided by them, or their sign is needed."""


class ManyClasses:
    """The formula with certain parameters.

    Args:
        alpha: Weight of each class in the voxel term.
        phi: Its focusing exponent.
        region: Whether there is a region term.
        voxel: Whether there is a voxel term.
    """

    rereads = fills = True

    def __init__(
        self, alpha: Sequence[float], phi: Sequence[float], channels: int, *, region: bool, voxel: bool
    ) -> None:
        self.alpha, self.phi = alpha, phi
        self.region, self.voxel = region, voxel
        self.constant = not region and len(set(alpha)) == 1 and not any(phi)
        self.parts, self.slots = channels, 8 + 2 * channels
        self.numbers = torch.arange(channels, device="cpu").unsqueeze(1)

    def forward(self, piece: Piece, slots: Tensor, work: Tensor, *, filled: bool) -> PieceSums:
        """The sums of a piece.

        Args:
            piece: Logits and weights.
            slots: (R, slots, m), memory to use, with the labels in the first.
            work: (R, C, m), where what the backward pass needs goes.
            filled: Whether the probabilities are there already.
        """
        z, weight = piece.logits, piece.weight
        chosen, product, both, _, value, spare = self._split(slots)
        p, q = both.split(1, dim=1)
        b = work if filled else work.copy_(z.softmax(dim=1))
        torch.sum(torch.mul(b, chosen, out=product), dim=1, keepdim=True, out=p)
        torch.sum(b.sub_(product), dim=1, keepdim=True, out=q)
        region = voxel = None
        if self.region:
            region = _region_sums(b, both, chosen, weight, product)
        if self.voxel:
            _cost(z, p, q, chosen, value).mul_(self._focus(q, chosen))
            voxel = (value if weight is None else value.mul_(weight.unsqueeze(1))).sum(dim=(1, 2))
        likely = torch.gt(p, -1 if self.constant else 0.5, out=spare)
        b.addcmul_(chosen, torch.lerp(p, q.clamp_min_(LEAST).neg_(), likely, out=value))
        return PieceSums(region, voxel)

    def _split(self, slots: Tensor) -> tuple[Tensor, ...]:
        """The parts of the memory, the first filled: 1 for the true class, 0 for the others."""
        labels, both, top, value, spare, chosen, product, _ = slots.split([1, 2, 1, 1, 1, self.parts, self.parts, 2], 1)
        torch.eq(labels, self.numbers.to(labels.dtype), out=chosen)
        return chosen, product, both, top, value, spare

    def _focus(self, q: Tensor, chosen: Tensor) -> Tensor:
        """The factor alpha * q**phi of every position, (R, 1, m)."""
        return self._chosen_of({phi: q.pow(phi) for phi in set(self.phi) - {0}}, chosen)

    def _chosen_of(self, factors: dict[float, Tensor], chosen: Tensor) -> Tensor:
        """Each position's alpha times the factor of its exponent, (R, 1, m); 0's factor is 1."""
        pairs = list(zip(self.alpha, self.phi, strict=True))
        values = {(a, phi): factors[phi] * a if phi else chosen.new_full((1, 1, 1), a) for a, phi in set(pairs)}
        usual = max(values, key=pairs.count)
        total = values[usual]
        for c, pair in enumerate(pairs):
            if pair != usual:
                total = torch.lerp(total, values[pair], chosen[:, c : c + 1])
        return total

    @staticmethod
    def region_sums(found: Tensor) -> Tensor:
        """T, FN and FP, (3, R, C), from the sums of all pieces."""
        return found.movedim(2, 0)

    @staticmethod
    def coefficients(region: Tensor, voxel: Tensor) -> Tensor:
        """What `backward` multiplies with, (R, 3, C).

        Args:
            region: The loss' gradient in T, FN and FP, (3, R, C).
            voxel: The loss' gradient in the voxel term's sum, (R,).
        """
        true, missed, false = region
        return torch.stack([true - missed, false, voxel[:, None].expand_as(false)], dim=1)

    def backward(self, slots: Tensor, work: Tensor, weight: Tensor | None, coefficients: Tensor) -> None:
        """Turn what `forward` left into the gradient in the logits.

        Args:
            slots: (R, slots, m), memory to use, with the labels in the first.
            work: (R, C, m), what `forward` left; then the gradient.
            weight: The weights, (R, m).
            coefficients: Those of these samples.
        """
        voxel = coefficients[:, 2:, :1]
        if self.constant:
            work *= voxel * self.alpha[0]
        else:
            chosen, own, both, left, h, spare = self._split(slots)
            p, q = both.split(1, dim=1)
            torch.mul(work, chosen, out=own)
            work -= own
            torch.sum(own, dim=1, keepdim=True, out=left)
            likely = torch.lt(left, 0, out=spare)
            torch.add(likely, left, out=p)
            torch.ge(left, 0, out=q).sub_(left)
            h.copy_(self._slope(p, q, chosen)).mul_(voxel) if self.voxel else h.zero_()
            if self.region:
                _add_region(work, own, chosen, left, likely, p, q.mul_(h), h, coefficients)
            else:
                work.mul_(h).addcmul_(chosen, q.mul_(h), value=-1)
        if weight is not None:
            work *= weight.unsqueeze(1)

    def _slope(self, p: Tensor, q: Tensor, chosen: Tensor) -> Tensor:
        """The factor h/v of every position, (R, 1, m)."""
        factors = {}
        if any(self.phi):
            p, q = p.clamp_min(LEAST), q.clamp_min(LEAST)
            growth = (q / p).log1p_().mul_(p).div_(q)
            factors = {phi: (growth * phi).add_(1).mul_(q.pow(phi)) for phi in set(self.phi) - {0}}
        return self._chosen_of(factors, chosen)


def _region_sums(b: Tensor, both: Tensor, chosen: Tensor, weight: Tensor | None, spare: Tensor) -> Tensor:
    """T, FN and FP, (R, C, 3), from b with 0 for the true class, and both p and q."""
    if weight is not None:
        weights = weight.unsqueeze(1)
        chosen, false = torch.mul(chosen, weights, out=spare), (b * weights).sum(dim=2, keepdim=True)
    else:
        false = b.sum(dim=2, keepdim=True)
    return torch.cat([sums_of_products(chosen, both), false], dim=2)


def _add_region(
    work: Tensor,
    room: Tensor,
    chosen: Tensor,
    left: Tensor,
    likely: Tensor,
    p: Tensor,
    qh: Tensor,
    h: Tensor,
    coefficients: Tensor,
) -> None:
    """Turn the probabilities of the wrong classes, in `work`, into the gradient of both terms."""
    a, r = coefficients[:, :2].split(1, dim=1)
    a = torch.bmm(a, chosen)
    # Less a_y where y is likely, so that nothing nearly equal is subtracted.
    s = torch.bmm(r, work).addcmul_(left, a)
    of_likely = likely.mul_(a)
    dz_y = a.sub_(of_likely).sub_(s).mul_(p).sub_(qh)
    certain = torch.gt(work, 0.5, out=room)
    work *= h.sub_(s).sub_(of_likely) + r.transpose(1, 2)
    work.addcmul_(chosen, dz_y).addcmul_(certain, work.sum(dim=1, keepdim=True), value=-1)


def _cost(z: Tensor, p: Tensor, q: Tensor, chosen: Tensor, out: Tensor) -> Tensor:
    """-log p of every position, (R, 1, m)."""
    torch.div(q, p, out=out).log1p_()
    if not out.sum().isfinite().item():
        beyond = z.logsumexp(dim=1, keepdim=True) - torch.where(chosen > 0, z, 0).sum(dim=1, keepdim=True)
        out.copy_(torch.where(p > LEAST, out, beyond))
    return out
