"""The keywords that all losses share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from unifocal.losses.values import NON_NEGATIVE, POSITIVE, choice, number, per_class

Absent = Literal["penalise", "skip"]
Activation = Literal["softmax", "sigmoid"]
Implementation = Literal["fused", "formula"]
Reduction = Literal["none", "mean", "sum"]


class SharedKeywords(TypedDict, total=False):
    """The keywords of `Options`, for signatures that pass them on."""

    class_weights: Sequence[float] | None
    include_background: bool
    ignore_index: int | None
    batch: bool
    reduction: Reduction
    activation: Activation
    smooth: float
    absent: Absent
    implementation: Implementation


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every loss can be told; `SegmentationLoss` describes each in full.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If a value is not among the valid ones.
    """

    class_weights: Sequence[float] | None = None
    include_background: bool = True
    ignore_index: int | None = None
    batch: bool = False
    reduction: Reduction = "mean"
    activation: Activation = "softmax"
    smooth: float = 1e-6
    absent: Absent = "penalise"
    implementation: Implementation = "fused"

    def __post_init__(self) -> None:
        choice("reduction", self.reduction, ("none", "mean", "sum"))
        choice("activation", self.activation, ("softmax", "sigmoid"))
        choice("absent", self.absent, ("penalise", "skip"))
        choice("implementation", self.implementation, ("fused", "formula"))
        number("smooth", self.smooth, POSITIVE)
        for name in ("include_background", "batch"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if self.ignore_index is not None and (
            isinstance(self.ignore_index, bool) or not isinstance(self.ignore_index, int)
        ):
            raise TypeError(f"ignore_index must be an integer, got {self.ignore_index!r}")
        if self.class_weights is not None:
            weights = per_class("class_weights", self.class_weights, NON_NEGATIVE)
            if isinstance(weights, float):
                raise TypeError(f"class_weights needs one number per class, got {weights!r}")
            object.__setattr__(self, "class_weights", weights)
