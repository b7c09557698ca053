"""The losses: each is a choice of the formula's parameters; see `SegmentationLoss` for the rest."""

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor

from unifocal.losses.base import SegmentationLoss
from unifocal.losses.formula import Terms
from unifocal.losses.layout import Layout
from unifocal.losses.options import SharedKeywords
from unifocal.losses.values import (
    FRACTION,
    FRACTION_BELOW_ONE,
    NON_NEGATIVE,
    POSITIVE,
    PerClass,
    number,
    per_class,
)


class CrossEntropyLoss(SegmentationLoss):
    """Cross entropy: the mean over the voxels of -log p of the true class.

    With one channel, or `activation="sigmoid"`, it is the binary cross entropy.
    """

    def terms(self, layout: Layout) -> Terms:  # noqa: ARG002
        """Only the voxel term, all classes alike and no focusing."""
        return Terms(voxel_weight=1)


class FocalLoss(SegmentationLoss):
    """Focal loss: alpha_c * (1-p)**gamma * (-log p), which lets easy voxels count less.

    Lin et al. 2017, Eq. 5. With gamma = 0 and no alpha it is the cross entropy.

    Args:
        alpha: None: 1 for every class. One number: the paper's alpha_t, alpha for the rare classes
            and 1 - alpha for the others (the Unified Focal loss' authors' code multiplies all classes by
            it instead). A sequence: the weight of each class; under `sigmoid` one alpha_t per channel.
        gamma: How strongly easy voxels are left out; 0 means not at all. Also one per class.
        rare_classes: The classes that a single alpha is meant for; None for all but class 0.
        **shared: See `SegmentationLoss`.
    """

    def __init__(
        self,
        alpha: PerClass | None = None,
        gamma: PerClass = 2.0,
        *,
        rare_classes: Sequence[int] | None = None,
        **shared: Unpack[SharedKeywords],
    ) -> None:
        super().__init__(**shared)
        self.alpha = _alpha(alpha, self)
        self.gamma = per_class("gamma", gamma, NON_NEGATIVE)
        self.rare_classes = _rare_classes(rare_classes, self)

    def terms(self, layout: Layout) -> Terms:
        """Only the voxel term."""
        return Terms(
            voxel_weight=1,
            alpha=_class_weights(self.alpha, self.rare_classes, layout),
            phi=layout.spread("gamma", self.gamma),
        )


class DiceLoss(SegmentationLoss):
    """Dice loss: 1 - 2T / (2T + FN + FP), soft, the mean over samples and classes.

    Milletari et al. 2016, without the squares of its denominator.
    """

    def terms(self, layout: Layout) -> Terms:  # noqa: ARG002
        """Only the region term, misses and false alarms alike."""
        return Terms(region_weight=1)


class TverskyLoss(SegmentationLoss):
    """Tversky loss: 1 - TI, with a weight for false negatives against false positives.

    Salehi et al. 2017, Eq. 3. With delta = 0.5 it is the Dice loss.

    Args:
        delta: Weight of false negatives (the paper's beta); false positives get 1 - delta. Also one
            per class.
        **shared: See `SegmentationLoss`.
    """

    def __init__(self, delta: PerClass = 0.7, **shared: Unpack[SharedKeywords]) -> None:
        super().__init__(**shared)
        self.delta = per_class("delta", delta, FRACTION)

    def terms(self, layout: Layout) -> Terms:
        """Only the region term."""
        return Terms(region_weight=1, delta=layout.spread("delta", self.delta))


class FocalTverskyLoss(SegmentationLoss):
    """Focal Tversky loss: (1 - TI)**gamma.

    Abraham and Khan 2019, Eq. 4. With gamma = 1 it is the Tversky loss.

    Args:
        delta: Weight of false negatives; false positives get 1 - delta. Also one per class.
        gamma: The exponent itself (the paper writes 1/gamma, with gamma = 4/3). Below 1 it raises
            the loss of well segmented classes. Also one per class.
        **shared: See `SegmentationLoss`.
    """

    def __init__(self, delta: PerClass = 0.7, gamma: PerClass = 0.75, **shared: Unpack[SharedKeywords]) -> None:
        super().__init__(**shared)
        self.delta = per_class("delta", delta, FRACTION)
        self.gamma = per_class("gamma", gamma, POSITIVE)

    def terms(self, layout: Layout) -> Terms:
        """Only the region term."""
        return Terms(
            region_weight=1,
            delta=layout.spread("delta", self.delta),
            rho=layout.spread("gamma", self.gamma),
        )


class ComboLoss(SegmentationLoss):
    """Combo loss: alpha * cross entropy - (1-alpha) * Dice coefficient.

    Taghanaki et al. 2019. The value is the published one and may be negative, down to
    -(1-alpha); the gradient is that of alpha * cross entropy + (1-alpha) * Dice loss.

    Args:
        alpha: Weight of the cross entropy.
        beta: Weight of the rare classes in the cross entropy, with 1 - beta for the others: above
            0.5, misses cost more. None weighs every class with 1. (The Unified Focal loss' authors'
            code gives beta to the background.)
        rare_classes: The classes that beta is meant for; None for all but class 0.
        **shared: See `SegmentationLoss`.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float | None = None,
        *,
        rare_classes: Sequence[int] | None = None,
        **shared: Unpack[SharedKeywords],
    ) -> None:
        super().__init__(**shared)
        self.alpha = number("alpha", alpha, FRACTION)
        self.beta = None if beta is None else number("beta", beta, FRACTION)
        self.rare_classes = _rare_classes(rare_classes, self)

    def terms(self, layout: Layout) -> Terms:
        """Both terms, and the constant that turns the Dice loss into the coefficient."""
        return Terms(
            region_weight=1 - self.alpha,
            voxel_weight=self.alpha,
            alpha=_class_weights(self.beta, self.rare_classes, layout),
            constant=-(1 - self.alpha),
        )


class DiceCrossEntropyLoss(SegmentationLoss):
    """Dice loss + cross entropy: the field's default baseline.

    Isensee et al. 2021, up to the constant 1.
    """

    def terms(self, layout: Layout) -> Terms:  # noqa: ARG002
        """Both terms, in full."""
        return Terms(region_weight=1, voxel_weight=1)


class HybridFocalLoss(SegmentationLoss):
    """Hybrid Focal loss: Focal Tversky loss and Focal loss together.

    Yeung et al. 2021; first named Mixed Focal loss. Eq. 15 of the Unified Focal loss' paper, whose
    lambda is 1 - region_weight.

    Args:
        region_weight: Weight of the Focal Tversky loss; the Focal loss gets the rest.
        delta: Weight of false negatives in the Tversky index. Also one per class.
        tversky_gamma: The Focal Tversky loss' exponent. Also one per class.
        focal_gamma: The Focal loss' exponent. Also one per class.
        alpha: The Focal loss' class weights, as in `FocalLoss`.
        rare_classes: The classes that a single alpha is meant for; None for all but class 0.
        **shared: See `SegmentationLoss`.
    """

    def __init__(
        self,
        region_weight: float = 0.5,
        *,
        delta: PerClass = 0.7,
        tversky_gamma: PerClass = 0.75,
        focal_gamma: PerClass = 2.0,
        alpha: PerClass | None = None,
        rare_classes: Sequence[int] | None = None,
        **shared: Unpack[SharedKeywords],
    ) -> None:
        super().__init__(**shared)
        self.region_weight = number("region_weight", region_weight, FRACTION)
        self.delta = per_class("delta", delta, FRACTION)
        self.tversky_gamma = per_class("tversky_gamma", tversky_gamma, POSITIVE)
        self.focal_gamma = per_class("focal_gamma", focal_gamma, NON_NEGATIVE)
        self.alpha = _alpha(alpha, self)
        self.rare_classes = _rare_classes(rare_classes, self)

    def terms(self, layout: Layout) -> Terms:
        """Both terms, each with its own exponent."""
        return Terms(
            region_weight=self.region_weight,
            voxel_weight=1 - self.region_weight,
            delta=layout.spread("delta", self.delta),
            rho=layout.spread("tversky_gamma", self.tversky_gamma),
            alpha=_class_weights(self.alpha, self.rare_classes, layout),
            phi=layout.spread("focal_gamma", self.focal_gamma),
        )


class UnifiedFocalLoss(SegmentationLoss):
    """Unified Focal loss: the Hybrid Focal loss with three parameters in place of six.

    Yeung et al. 2022, Eqs. 16-22. Asymmetric by default: gamma raises the region term of the rare
    classes and suppresses the voxel term of the background, and leaves the rest alone. With
    gamma = 0 and delta = 0.5 it is the Dice loss (region_weight = 1) or half the cross entropy
    (region_weight = 0).

    Args:
        delta: Weight of false negatives in the Tversky index; in the voxel term, the weight of the
            rare classes, with 1 - delta for the others. Also one per class.
        gamma: From 0, no focusing, to below 1: the exponents are rho = 1 - gamma and phi = gamma. Also
            one per class.
        region_weight: Weight of the region term; the voxel term gets the rest.
        symmetric: Whether gamma acts on all classes in both terms.
        rare_classes: The rare classes; None for all but class 0.
        **shared: See `SegmentationLoss`.

    Examples:
        >>> import torch
        >>> logits, target = torch.zeros(1, 1, 2, 2), torch.tensor([[[0, 0], [0, 1]]])
        >>> loss = UnifiedFocalLoss(delta=0.5, gamma=0.0, region_weight=1.0)
        >>> loss(logits, target)
        tensor(0.5333)
        >>> loss
        UnifiedFocalLoss(delta=0.5, gamma=0.0, region_weight=1.0, symmetric=False, rare_classes=None)
    """

    def __init__(
        self,
        delta: PerClass = 0.6,
        gamma: PerClass = 0.5,
        region_weight: float = 0.5,
        *,
        symmetric: bool = False,
        rare_classes: Sequence[int] | None = None,
        **shared: Unpack[SharedKeywords],
    ) -> None:
        super().__init__(**shared)
        if not isinstance(symmetric, bool):
            raise TypeError(f"symmetric must be True or False, got {symmetric!r}")
        self.delta = per_class("delta", delta, FRACTION)
        self.gamma = per_class("gamma", gamma, FRACTION_BELOW_ONE)
        self.region_weight = number("region_weight", region_weight, FRACTION)
        self.symmetric = symmetric
        self.rare_classes = _rare_classes(rare_classes, self)

    def terms(self, layout: Layout) -> Terms:
        """Both terms; where gamma acts depends on the symmetry."""
        delta = layout.spread("delta", self.delta)
        gamma = layout.spread("gamma", self.gamma)
        rare = layout.rare(self.rare_classes)
        enhanced, suppressed = (1 - gamma, gamma)
        if not self.symmetric:
            enhanced = torch.where(rare, enhanced, 1.0)
            suppressed = torch.where(rare, 0.0, suppressed)
        return Terms(
            region_weight=self.region_weight,
            voxel_weight=1 - self.region_weight,
            delta=delta,
            rho=enhanced,
            alpha=_rare_and_rest(delta, rare),
            phi=suppressed,
        )


def _alpha(alpha: PerClass | None, loss: SegmentationLoss) -> float | tuple[float, ...] | None:
    """The checked alpha: only weights that are taken as they come may be above 1."""
    if alpha is None:
        return None
    as_they_come = isinstance(alpha, Sequence) and loss.options.activation == "softmax"
    return per_class("alpha", alpha, NON_NEGATIVE if as_they_come else FRACTION)


def _class_weights(
    weight: float | tuple[float, ...] | None, rare_classes: Sequence[int] | None, layout: Layout
) -> Tensor | float:
    """alpha_c of every class (K, C) from the ways of saying it; see `FocalLoss`."""
    if weight is None:
        return 1.0
    weights = layout.spread("alpha", weight)
    if isinstance(weight, tuple) and not layout.multi_label:
        return weights
    return _rare_and_rest(weights, layout.rare(rare_classes))


def _rare_and_rest(value: Tensor, rare: Tensor) -> Tensor:
    """`value` for the rare classes, 1 - value for the others (K, C)."""
    return torch.where(rare, value, 1 - value)


def _rare_classes(rare_classes: Sequence[int] | None, loss: SegmentationLoss) -> tuple[int, ...] | None:
    if rare_classes is None:
        return None
    if loss.options.activation == "sigmoid":
        raise ValueError(
            "rare_classes does not go with activation='sigmoid', where the foreground of every "
            "channel is its rare class"
        )
    if not isinstance(rare_classes, Sequence) or not all(type(c) is int for c in rare_classes):
        raise TypeError(f"rare_classes must be a sequence of integers, got {rare_classes!r}")
    if not rare_classes:
        raise ValueError("rare_classes must name at least one class, got none")
    return tuple(rare_classes)
