"""The formula for two classes and hard labels, a piece at a time, its gradient worked out by hand.

Only the difference d of the two logits matters. With side = -1 for the foreground's voxels and 1 for
the background's, q = sigmoid(side*d) is the probability of the wrong class and p that of the right one;
FN of one class is the FP of the other. With f = -log p:

    dq/dd = side * q * p
    d(alpha * q**phi * f)/dd = side * alpha * q**phi * (q + phi*p*f)
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from unifocal.losses.fused.pieces import Piece, PieceSums, sums_of_products

LEAST_SHARE = 1e-20
"""What the background's share takes the place of 0 with, as a share of the foreground's, to divide by it."""


class TwoClasses:
    """The formula with certain parameters.

    The forward pass leaves what the backward pass turns into the gradient: the voxel term's slope in d,
    if there is one, then dq/dd, if there is a region term. The sign of that tells the classes apart: not
    negative for the background's voxels, not positive for the foreground's.

    Args:
        alpha: Weight of each class in the voxel term.
        phi: Its focusing exponent.
        channels: 2, or 1 where one logit decides.
        region: Whether there is a region term.
        voxel: Whether there is a voxel term.
    """

    rereads = fills = False

    def __init__(
        self, alpha: Sequence[float], phi: Sequence[float], channels: int, *, region: bool, voxel: bool
    ) -> None:
        self.alpha, self.phi = alpha, phi
        self.region, self.voxel = region, voxel
        self.parts = int(region) + int(voxel)
        self.slots = 5 if channels == 2 else 7

    def forward(self, piece: Piece, slots: Tensor, work: Tensor, *, filled: bool) -> PieceSums:  # noqa: ARG002
        """The sums of a piece.

        Args:
            piece: Logits and weights.
            slots: (R, slots, m), memory to use, with the labels in the first.
            work: (R, channels, m), with at least as many channels as there are parts; what the backward
                pass needs goes into the last ones.
            filled: Not asked for here.
        """
        z, weight = piece.logits, piece.weight
        chosen, both = slots[:, :2], work[:, :2] if work.shape[1] > 1 else slots[:, 5:]
        foreground, background, f, slope, side = slots[:, :5].unbind(dim=1)
        p, q = both.unbind(dim=1)
        one = _one(z.dtype)
        torch.add(one, foreground, alpha=-2, out=side)
        _steep(z, side, f)
        torch.sigmoid(f, out=q)
        torch.sigmoid(f.neg_(), out=p)
        voxel = region = None
        if self.voxel:
            torch.div(q, p, out=f).log1p_()
            if not f.sum().isfinite().item():
                # Where p is 0 to rounding, -log p is side*d.
                f.copy_(torch.where(f.isinf(), _steep(z, side, torch.empty_like(f)), f))
            voxel = self._voxel_term(p, q, f, foreground, slope, (background, side), weight)
        torch.sub(one, foreground, out=background)
        torch.sub(background, foreground, out=side)
        if weight is not None:
            chosen *= weight.unsqueeze(1)
            side *= weight
        if self.region:
            region = sums_of_products(chosen, both)
            torch.mul(q, p, out=work[:, -1]).mul_(side)
        if self.voxel:
            torch.mul(slope, side, out=work[:, -self.parts])
        return PieceSums(region, voxel)

    @staticmethod
    def region_sums(found: Tensor) -> Tensor:
        """T, FN and FP, (3, R, 2), from the sums of all pieces."""
        true, missed = found.flip(1).unbind(dim=2)
        return torch.stack([true, missed, missed.flip(1)])

    @staticmethod
    def coefficients(region: Tensor, voxel: Tensor) -> Tensor:
        """What `backward` multiplies with, (R, 3, 1).

        Args:
            region: The loss' gradient in T, FN and FP, (3, R, 2).
            voxel: The loss' gradient in the voxel term's sum, (R,).
        """
        # q adds to its own class' FN, takes from its T, and adds to the other class' FP.
        true, missed, false = region
        of_background, of_foreground = (missed - true + false.flip(1)).unbind(dim=1)
        least = of_foreground.abs() * LEAST_SHARE
        scale = torch.where(of_background.abs() < least, least, of_background)
        ratio = torch.where(scale == 0, 0, of_foreground / scale)
        return torch.stack([scale, ratio, voxel], dim=1).unsqueeze(2)

    def _voxel_term(
        self,
        p: Tensor,
        q: Tensor,
        f: Tensor,
        foreground: Tensor,
        slope: Tensor,
        room: tuple[Tensor, Tensor],
        weight: Tensor | None,
    ) -> Tensor:
        """The voxel term's sum (R,), and into `slope` its derivative in side*d."""
        focus, spare = room
        if not any(self.phi):
            of_each = _of_class(self.alpha, foreground, focus)
            torch.mul(q, of_each, out=slope)
            if weight is not None:
                f *= weight
            return f.sum(dim=1).mul_(of_each) if isinstance(of_each, float) else f.mul_(of_each).sum(dim=1)
        torch.mul(p, f, out=slope).mul_(_of_class(self.phi, foreground, spare)).add_(q)
        if self.phi[0] == self.phi[1]:
            torch.pow(q, self.phi[0], out=focus).mul_(_of_class(self.alpha, foreground, spare))
        else:
            of_background, of_foreground = (
                torch.pow(q, phi, out=out).mul_(a) if phi else out.fill_(a)
                for a, phi, out in zip(self.alpha, self.phi, room, strict=True)
            )
            torch.lerp(of_background, of_foreground, foreground, out=focus)
        slope *= focus
        f *= focus
        return (f if weight is None else f.mul_(weight)).sum(dim=1)

    def backward(self, slots: Tensor, work: Tensor, weight: Tensor | None, coefficients: Tensor) -> None:  # noqa: ARG002
        """Turn what `forward` left into the gradient in the logits.

        Args:
            slots: (R, slots, m), memory to use.
            work: (R, max(parts, channels), m), its last channels what `forward` left; then the gradient.
            weight: The weights; not needed, as `work` holds what comes of them.
            coefficients: Those of these samples.
        """
        slope = work[:, -1]
        scale, ratio, voxel = coefficients.unbind(dim=1)
        if self.region:
            torch.mul(torch.prelu(slope.unsqueeze(0), ratio[:, 0]).squeeze(0), scale, out=slope)
            if self.voxel:
                slope.addcmul_(work[:, -2], voxel)
        else:
            slope.mul_(voxel)
        if work.shape[1] == 2:
            torch.neg(slope, out=work[:, 0])


@cache
def _one(dtype: torch.dtype) -> Tensor:
    return torch.ones((), dtype=dtype, device="cpu")


def _steep(z: Tensor, side: Tensor, out: Tensor) -> Tensor:
    """The wrong class' logit less the right one's: side*d."""
    return torch.mul(z[:, 0], side, out=out) if z.shape[1] == 1 else torch.sub(z[:, 1], z[:, 0], out=out).mul_(side)


def _of_class(values: Sequence[float], foreground: Tensor, out: Tensor) -> Tensor | float:
    """The value of every position's class."""
    of_background, of_foreground = values
    if of_background == of_foreground:
        return of_background
    return torch.mul(foreground, of_foreground - of_background, out=out).add_(of_background)
