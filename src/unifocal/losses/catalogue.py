"""The family as data: every loss with its formula, its parameters and where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unifocal.losses import members, papers
from unifocal.losses.base import SegmentationLoss
from unifocal.losses.papers import Paper


@dataclass(frozen=True)
class Parameter:
    """One parameter of a loss.

    Attributes:
        name: The keyword.
        meaning: What it does.
        default: Its value when it is not given.
        sensible: The lowest and highest value worth trying; None where it is not a number.
    """

    name: str
    meaning: str
    default: object
    sensible: tuple[float, float] | None = None


@dataclass(frozen=True)
class Member:
    """One loss of the family.

    Attributes:
        name: The name for `create`, in snake case.
        title: The name for people.
        loss: The class.
        formula: Its formula, by the names of `unifocal.losses.formula`.
        paper: Where it comes from.
        aliases: Other names for `create`.
        parameters: Its own parameters; those in `SHARED_PARAMETERS` come on top.
        reduces_to: What it becomes for certain parameters.
        preset: Parameters that the name fixes.
    """

    name: str
    title: str
    loss: type[SegmentationLoss]
    formula: str
    paper: Paper
    aliases: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    reduces_to: tuple[str, ...] = ()
    preset: Mapping[str, object] = field(default_factory=dict)


def _delta(default: float) -> Parameter:
    meaning = "weight of false negatives; false positives get 1-delta; one, or one per class"
    return Parameter("delta", meaning, default, (0.3, 0.9))


def _region_weight(rest: str) -> Parameter:
    meaning = f"weight of the region term; the {rest} gets 1-region_weight"
    return Parameter("region_weight", meaning, 0.5, (0.0, 1.0))


_RARE = Parameter("rare_classes", "classes that count as rare; all but class 0 unless named", None)
_ALPHA = Parameter(
    "alpha",
    "weight of the rare classes, the others get 1-alpha; or one weight per class; none: 1",
    None,
    (0.25, 0.95),
)
_UNIFIED = (
    Parameter(
        "delta",
        "weight of false negatives against false positives, and of rare classes against the others",
        0.6,
        (0.4, 0.9),
    ),
    Parameter("gamma", "focusing, 0 for none, below 1; one, or one per class", 0.5, (0.1, 0.9)),
    _region_weight("voxel term"),
)
_UNIFIED_REDUCES = (
    "dice when gamma=0, delta=0.5, region_weight=1",
    "half of cross_entropy when gamma=0, delta=0.5, region_weight=0",
    "tversky when gamma=0, region_weight=1",
)

SHARED_PARAMETERS: tuple[Parameter, ...] = (
    Parameter("class_weights", "one weight per class, in both terms", None),
    Parameter("include_background", "whether the region term averages over class 0 too", default=True),
    Parameter("ignore_index", "target value that counts as if it were not there", None),
    Parameter("batch", "whether the whole batch counts as one sample", default=False),
    Parameter("reduction", "mean, sum, or none: one loss per sample", "mean"),
    Parameter("activation", "softmax, or sigmoid for labels that overlap", "softmax"),
    Parameter("smooth", "s of the Tversky index", 1e-6, (1e-6, 1.0)),
    Parameter("absent", "penalise false positives of an absent class, or skip it", "penalise"),
)

MEMBERS: tuple[Member, ...] = (
    Member(
        name="cross_entropy",
        title="Cross entropy",
        loss=members.CrossEntropyLoss,
        aliases=("bce", "ce"),
        formula="mean Σ_c g·(-log p)",
        paper=papers.UNET,
    ),
    Member(
        name="focal",
        title="Focal",
        loss=members.FocalLoss,
        formula="mean Σ_c α_c·g·(1-p)^γ·(-log p)",
        parameters=(
            _ALPHA,
            Parameter("gamma", "how much less easy voxels count; 0 for none", 2.0, (0.5, 5.0)),
            _RARE,
        ),
        reduces_to=("cross_entropy when gamma=0, alpha=None",),
        paper=papers.FOCAL,
    ),
    Member(
        name="dice",
        title="Dice",
        loss=members.DiceLoss,
        formula="mean 1 - (T+s) / (T + FN/2 + FP/2 + s)",
        paper=papers.VNET,
    ),
    Member(
        name="tversky",
        title="Tversky",
        loss=members.TverskyLoss,
        formula="mean 1 - TI,  TI = (T+s) / (T + δ·FN + (1-δ)·FP + s)",
        parameters=(_delta(0.7),),
        reduces_to=("dice when delta=0.5",),
        paper=papers.TVERSKY,
    ),
    Member(
        name="focal_tversky",
        title="Focal Tversky",
        loss=members.FocalTverskyLoss,
        formula="mean (1 - TI)^γ",
        parameters=(
            _delta(0.7),
            Parameter("gamma", "exponent; below 1 raises the loss near the end", 0.75, (0.5, 1.5)),
        ),
        reduces_to=("tversky when gamma=1", "dice when gamma=1, delta=0.5"),
        paper=papers.FOCAL_TVERSKY,
    ),
    Member(
        name="combo",
        title="Combo",
        loss=members.ComboLoss,
        formula="α·mean Σ_c β_c·g·(-log p) - (1-α)·mean DSC,  β_c = β rare, 1-β background",
        parameters=(
            Parameter("alpha", "weight of the cross entropy", 0.5, (0.1, 0.9)),
            Parameter(
                "beta",
                "weight of the rare classes in the cross entropy, the others get 1-beta; none: 1",
                None,
                (0.3, 0.9),
            ),
            _RARE,
        ),
        reduces_to=("cross_entropy when alpha=1, beta=None", "dice - 1 when alpha=0"),
        paper=papers.COMBO,
    ),
    Member(
        name="dice_cross_entropy",
        title="Dice + cross entropy",
        loss=members.DiceCrossEntropyLoss,
        aliases=("dice_ce",),
        formula="dice + cross_entropy",
        paper=papers.NNUNET,
    ),
    Member(
        name="hybrid_focal",
        title="Hybrid Focal",
        loss=members.HybridFocalLoss,
        aliases=("mixed_focal",),
        formula="w·mean (1 - TI)^γ_t + (1-w)·mean Σ_c α_c·g·(1-p)^γ_f·(-log p)",
        parameters=(
            _region_weight("Focal loss"),
            _delta(0.7),
            Parameter("tversky_gamma", "exponent of the region term", 0.75, (0.5, 1.5)),
            Parameter("focal_gamma", "exponent of the voxel term", 2.0, (0.5, 5.0)),
            _ALPHA,
            _RARE,
        ),
        reduces_to=(
            "focal_tversky when region_weight=1",
            "focal when region_weight=0",
            "half of dice_cross_entropy when delta=0.5, tversky_gamma=1, focal_gamma=0",
        ),
        paper=papers.HYBRID_FOCAL,
    ),
    Member(
        name="unified_focal",
        title="Unified Focal (asymmetric)",
        loss=members.UnifiedFocalLoss,
        aliases=("unified_focal_asymmetric",),
        formula=(
            "w·mean (1 - TI)^ρ_c + (1-w)·mean Σ_c α_c·g·(1-p)^φ_c·(-log p);  "
            "rare: ρ = 1-γ, α = δ, φ = 0;  background: ρ = 1, α = 1-δ, φ = γ"
        ),
        parameters=(
            *_UNIFIED,
            Parameter("symmetric", "whether gamma acts on all classes in both terms", default=False),
            _RARE,
        ),
        reduces_to=_UNIFIED_REDUCES,
        paper=papers.UNIFIED_FOCAL,
    ),
    Member(
        name="unified_focal_symmetric",
        title="Unified Focal (symmetric)",
        loss=members.UnifiedFocalLoss,
        formula=("w·mean (1 - TI)^(1-γ) + (1-w)·mean Σ_c α_c·g·(1-p)^γ·(-log p);  rare: α = δ;  background: α = 1-δ"),
        parameters=(*_UNIFIED, _RARE),
        reduces_to=_UNIFIED_REDUCES,
        preset={"symmetric": True},
        paper=papers.UNIFIED_FOCAL,
    ),
)
