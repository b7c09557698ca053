"""The base of all losses: the shared keywords, and the way from logits to a number."""

import inspect
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Unpack

from torch import Tensor, nn

from unifocal.losses.dense import dense
from unifocal.losses.formula import Terms, reduced_loss, region_term, voxel_sums
from unifocal.losses.fused.sums import fused_sums
from unifocal.losses.layout import Layout
from unifocal.losses.options import Options, SharedKeywords
from unifocal.losses.parameters import Parameters
from unifocal.losses.pooling import pool
from unifocal.losses.recording import recording
from unifocal.losses.suggest import suggestion
from unifocal.losses.targets import prepare


class SegmentationLoss(nn.Module, ABC):
    """A loss of the family: the one formula of `unifocal.losses.formula` with certain parameters.

    Called as `loss(logits, target, weight=None)`:

    - `logits`: (N, C, *spatial), of any floating dtype. Logits, never probabilities: the two cannot
      be told apart safely, so probabilities pass silently and train badly. One channel means two
      classes, background and foreground, with the logits 0 and z. Class 0 is the background.
    - `target`: class indices (N, *spatial) or (N, 1, *spatial) of an integer dtype, or one-hot or
      soft labels (N, C, *spatial). For one channel, the foreground's label, 0 to 1.
    - `weight`: a map (N, *spatial) or (N, 1, *spatial) that says how much each position counts, in
      both terms; 0 means as if it were not there, whatever the target says there.
    - returns the loss in float32, or in float64 for float64 logits, whatever autocast says.

    Where the sources disagree, the family holds to this:

    - gamma = 0 means no focusing, as in the Unified Focal loss' Eqs. 20-21 and the authors' code;
      Eqs. 16-17 as printed, and geodl for R, use 1 - gamma.
    - `region_weight` weighs the region term, like `weight` in the authors' code. Lambda in the
      paper's text is 1 - region_weight; so is `weight` in MONAI, which halves the voxel term besides.
    - classes lie along the channel axis also in 3D, where the authors' Keras code, `[:, :, :, 0]`,
      picks slices.

    Powers below 1 have no bounded slope at 0: (1-TI)**rho goes over into a straight line below
    1e-24, and (1-p)**phi is computed from log(1-p). From
    finite logits (below 1e30 in size) all gradients are finite, and those of confidently wrong
    voxels are not cut off in the voxel term.

    Args:
        class_weights: One number per class; under `sigmoid`, one per channel. The region term
            becomes the weighted mean over the classes; in the voxel term they multiply alpha_c, and
            the mean still divides by the number of positions (`torch.nn.CrossEntropyLoss` divides
            by the sum of the targets' weights).
        include_background: Whether the region term averages over class 0 too (under `sigmoid`, over
            the background side of each channel). The voxel term always keeps all voxels.
        ignore_index: Target value of positions that are to count as if they were not there. Under
            `sigmoid` they are left out of their channel; a channel without any other, of its sample's mean.
        batch: Whether the whole batch (under `torch.distributed`, of all ranks, which all must make
            the call) counts as one sample. After the gradient averaging of
            `DistributedDataParallel` the result is that of one process with the whole batch.
        reduction: `mean`: the region term's mean over the samples, and the voxel term's over
            all positions of the batch. `none`: one loss per sample (N,), each as if it were the
            only one; (1,) with `batch`. `sum`: the sum of these.
        activation: `softmax`, or `sigmoid` for labels that overlap: every channel is a two-class
            problem of its own, and parameters that take one value per class take one per channel.
        smooth: s, added to the Tversky index' numerator and denominator; above 0.
        absent: What a class costs in the region term of a sample that has no voxel of it.
            `penalise`: the formula as it stands, with TI = s / ((1-delta)*FP + s): false positives
            cost up to 1, 0 without any; as soon as FP is far above s the term is nearly flat, so
            their gradient comes from the voxel term, or from a larger `smooth`. `skip`: the class
            is left out of the sample's mean, and a sample without any class out of the batch's.
        implementation: `fused`: an analytic gradient, in pieces that fit the cache or by GPU kernels;
            where these cannot do what is asked (a derivative of the gradient, several gradients at
            once, `torch.compile`, `torch.func`, a gradient in labels or weights), the plain formula
            steps in by itself.
            `formula`: always the plain formula. Both give the same to rounding.

    Raises:
        TypeError: If a keyword is unknown or a value has the wrong type.
        ValueError: If a value is out of range or, when called, shapes and values do not fit.
    """

    def __init__(self, **shared: Unpack[SharedKeywords]) -> None:
        super().__init__()
        valid = keywords(type(self))
        for name in shared:
            if name not in valid:
                raise TypeError(f"{type(self).__name__} has no parameter {name!r}. {suggestion(name, valid)}")
        self.options = Options(**shared)

    @abstractmethod
    def terms(self, layout: Layout) -> Terms:
        """The formula's parameters for the classes of `layout`."""

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss; the class describes shapes and reductions."""
        options = self.options
        voxels = prepare(
            logits,
            target,
            weight,
            activation=options.activation,
            ignore_index=options.ignore_index,
        )
        layout = Layout.of(logits.shape[1], options.activation)
        terms, region_weights = self._weighted(layout)
        parameters = Parameters(
            alpha=layout.full(terms.alpha),
            phi=layout.full(terms.phi),
            region=bool(terms.region_weight),
            voxel=bool(terms.voxel_weight),
        )
        if options.implementation == "fused":
            sums = fused_sums(voxels, parameters)
        else:
            sums = voxel_sums(dense(voxels), parameters)
        if options.batch:
            sums = pool(sums)
        region, counted = region_term(sums, terms, region_weights, smooth=options.smooth, absent=options.absent)
        return reduced_loss(sums, terms, region, counted, options.reduction)

    def _weighted(self, layout: Layout) -> tuple[Terms, Tensor]:
        """The terms with the class weights in alpha, and those of the region term (K, C)."""
        weights = layout.spread("class_weights", self.options.class_weights or 1.0)
        terms = self.terms(layout)
        if self.options.class_weights is not None:
            terms = replace(terms, alpha=terms.alpha * weights)
        region_weights = weights.clone()
        if not self.options.include_background:
            region_weights[:, 0] = 0
        if terms.region_weight and not recording() and not bool(region_weights.any()):
            raise ValueError(
                f"class_weights {self.options.class_weights} with include_background="
                f"{self.options.include_background} leave no class in the region term"
            )
        return terms, region_weights

    def extra_repr(self) -> str:
        """The loss' own parameters, where kept by name, and those shared ones that are not at their default."""
        own = [f"{name}={getattr(self, name)!r}" for name in own_keywords(type(self)) if hasattr(self, name)]
        default = Options()
        shared = [
            f"{name}={getattr(self.options, name)!r}"
            for name in SharedKeywords.__annotations__
            if getattr(self.options, name) != getattr(default, name)
        ]
        return ", ".join([*own, *shared])


def own_keywords(loss: type[nn.Module]) -> tuple[str, ...]:
    """The names of the parameters in a loss' signature."""
    parameters = inspect.signature(loss).parameters.values()
    named = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    return tuple(p.name for p in parameters if p.kind in named)


def keywords(loss: type[nn.Module]) -> tuple[str, ...]:
    """The names of a loss' parameters, its own first, then those shared by the family."""
    shared = SharedKeywords.__annotations__ if issubclass(loss, SegmentationLoss) else {}
    return (*own_keywords(loss), *shared)
