"""The family as data: every loss with its formula, its parameters, what it becomes, and where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from unifocal.losses import members, papers
from unifocal.losses.base import SegmentationLoss
from unifocal.losses.papers import Paper

Kind = Literal["distribution-based", "region-based", "compound"]

SYMBOLS = (
    "p: probability of a class;  g: its target, 0 to 1",
    "mean: over voxels, or over samples and classes",
    "T = Σ p·g;  FN = Σ (1-p)·g;  FP = Σ p·(1-g)",
    "TI = (T+s) / (T + δ·FN + (1-δ)·FP + s);  DSC: TI with δ = 1/2",
)
"""What the letters in the formulas stand for, besides those of the parameters."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a loss.

    Attributes:
        name: The keyword.
        meaning: What it does.
        default: Its value when it is not given.
        sensible: The lowest and highest value worth trying; None where it is not a number.
        symbol: Its letter in the formulas; empty for none.
        choices: All its values, where they are few.
        per_class: Whether a sequence with one value per class (under `sigmoid`, per channel) is taken too.
        logarithmic: Whether it is better searched by factors than by steps.
    """

    name: str
    meaning: str
    default: object
    sensible: tuple[float, float] | None = None
    symbol: str = ""
    choices: tuple[object, ...] = ()
    per_class: bool = False
    logarithmic: bool = False


@dataclass(frozen=True)
class Reduction:
    """What a loss becomes for certain parameters: `scale` times another loss, plus `offset`, exactly.

    In `takes` and `offset`, a text stands for the value of one of the loss' own parameters: "delta", or
    "1-gamma" for what is missing to 1.

    Attributes:
        to: The other loss' name.
        when: The loss' own parameters that make it so; empty for always.
        takes: The other loss' parameters. Those of the same name on both sides carry over by themselves.
        scale: The factor.
        offset: What is added.
    """

    to: str
    when: Mapping[str, object] = field(default_factory=dict)
    takes: Mapping[str, object] = field(default_factory=dict)
    scale: float = 1.0
    offset: float | str = 0.0

    def other_side(self, own: Mapping[str, object]) -> tuple[dict[str, object], float]:
        """The other loss' parameters, and the offset, when the loss' own parameters are `own`."""
        known = {**own, **self.when}
        taken = {p.name for member in MEMBERS if member.name == self.to for p in member.parameters}
        same = {name: value for name, value in known.items() if name in taken}
        given = {name: _value(expression, known) for name, expression in self.takes.items()}
        return same | given, float(_value(self.offset, known))  # type: ignore[arg-type]

    def __str__(self) -> str:
        factor = "" if self.scale == 1 else f"{_fraction(self.scale)}·"
        sign = "-" if isinstance(self.offset, float) and self.offset < 0 else "+"
        added = f" {sign} {_fraction(self.offset)}" if self.offset else ""
        return f"{factor}{self.to}{_listed(self.takes, '({})')}{added}{_listed(self.when, ' when {}')}"


@dataclass(frozen=True)
class Member:
    """One loss of the family.

    Attributes:
        name: The name for `create`, in snake case.
        title: The name for people.
        loss: The class.
        kind: Whether it sums over voxels, compares regions, or does both.
        formula: Its formula; see `SYMBOLS`, and `unifocal.losses.formula` for the names in full.
        paper: Where it comes from.
        aliases: Other names for `create`.
        parameters: Its own parameters; those in `SHARED_PARAMETERS` come on top.
        reduces_to: What it becomes for certain parameters.
        preset: Parameters that the name fixes.
    """

    name: str
    title: str
    loss: type[SegmentationLoss]
    kind: Kind
    formula: str
    paper: Paper
    aliases: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    reduces_to: tuple[Reduction, ...] = ()
    preset: Mapping[str, object] = field(default_factory=dict)

    @property
    def example(self) -> str:
        """The Python that makes the loss, with its numbers at their defaults."""
        values = {p.name: p.default for p in self.parameters if p.sensible and p.default is not None}
        values |= self.preset
        return f"{self.loss.__name__}{_listed(values, '({})') or '()'}"


def _value(expression: object, own: Mapping[str, object]) -> object:
    """What a text of `Reduction` stands for; anything else stands for itself."""
    if not isinstance(expression, str):
        return expression
    name = expression.removeprefix("1-")
    return own[name] if name == expression else 1 - own[name]  # type: ignore[operator]


def _fraction(value: float | str) -> str:
    """The size of a number as people write it: 1/2 for 0.5."""
    return value if isinstance(value, str) else str(abs(Fraction(value).limit_denominator(100)))


def _listed(values: Mapping[str, object], around: str) -> str:
    return around.format(", ".join(f"{name}={value}" for name, value in values.items())) if values else ""


def _delta(default: float) -> Parameter:
    meaning = "weight of false negatives; false positives get 1-delta"
    return Parameter("delta", meaning, default, (0.3, 0.9), "δ", per_class=True)


def _exponent(name: str, meaning: str, default: float, sensible: tuple[float, float], symbol: str) -> Parameter:
    return Parameter(name, meaning, default, sensible, symbol, per_class=True)


def _region_weight(rest: str) -> Parameter:
    meaning = f"weight of the region term; the {rest} gets 1-region_weight"
    return Parameter("region_weight", meaning, 0.5, (0.0, 1.0), "w")


_RARE = Parameter("rare_classes", "the classes that count as rare; all but class 0 unless named", None)
_ALPHA = Parameter(
    "alpha",
    "weight of the rare classes, the others get 1-alpha; None: 1 for all",
    None,
    (0.25, 0.95),
    "α",
    per_class=True,
)
_UNIFIED = (
    Parameter(
        "delta",
        "weight of false negatives against false positives, and of rare classes against the others",
        0.6,
        (0.4, 0.9),
        "δ",
        per_class=True,
    ),
    _exponent("gamma", "focusing: 0 for none, below 1", 0.5, (0.1, 0.9), "γ"),
    _region_weight("voxel term"),
)
_UNIFIED_REDUCES = (
    Reduction("dice", {"gamma": 0, "delta": 0.5, "region_weight": 1}),
    Reduction("cross_entropy", {"gamma": 0, "delta": 0.5, "region_weight": 0}, scale=0.5),
    Reduction("tversky", {"gamma": 0, "region_weight": 1}),
    Reduction(
        "combo",
        {"gamma": 0, "delta": 0.5},
        {"alpha": "1-region_weight", "beta": "delta"},
        offset="region_weight",
    ),
)

SHARED_PARAMETERS: tuple[Parameter, ...] = (
    Parameter("class_weights", "one weight per class, in both terms; None: 1 for all", None),
    Parameter(
        "include_background", "whether the region term averages over class 0 too", default=True, choices=(True, False)
    ),
    Parameter("ignore_index", "target value that counts as if it were not there", None),
    Parameter("batch", "whether the whole batch counts as one sample", default=False, choices=(False, True)),
    Parameter("reduction", "mean, sum, or none: one loss per sample", "mean", choices=("mean", "sum", "none")),
    Parameter("activation", "softmax, or sigmoid for labels that overlap", "softmax", choices=("softmax", "sigmoid")),
    Parameter("smooth", "added to both sides of the Tversky index", 1e-6, (1e-6, 1.0), "s", logarithmic=True),
    Parameter(
        "absent",
        "a class without voxels in a sample: penalise its false positives, or skip it",
        "penalise",
        choices=("penalise", "skip"),
    ),
    Parameter(
        "implementation",
        "fused, or formula: the plain one, the same to rounding",
        "fused",
        choices=("fused", "formula"),
    ),
)

MEMBERS: tuple[Member, ...] = (
    Member(
        name="cross_entropy",
        title="Cross entropy",
        loss=members.CrossEntropyLoss,
        kind="distribution-based",
        aliases=("bce", "ce"),
        formula="mean Σ_c g·(-log p)",
        paper=papers.UNET,
    ),
    Member(
        name="focal",
        title="Focal",
        loss=members.FocalLoss,
        kind="distribution-based",
        formula="mean Σ_c α_c·g·(1-p)^γ·(-log p);  rare: α_c = α;  others: α_c = 1-α",
        parameters=(
            _ALPHA,
            _exponent("gamma", "how much less easy voxels count; 0 for none", 2.0, (0.5, 5.0), "γ"),
            _RARE,
        ),
        reduces_to=(
            Reduction("cross_entropy", {"gamma": 0, "alpha": None}),
            Reduction("cross_entropy", {"gamma": 0, "alpha": 0.5}, scale=0.5),
        ),
        paper=papers.FOCAL,
    ),
    Member(
        name="dice",
        title="Dice",
        loss=members.DiceLoss,
        kind="region-based",
        formula="1 - mean (T+s) / (T + FN/2 + FP/2 + s)",
        paper=papers.VNET,
    ),
    Member(
        name="tversky",
        title="Tversky",
        loss=members.TverskyLoss,
        kind="region-based",
        formula="mean (1 - TI)",
        parameters=(_delta(0.7),),
        reduces_to=(Reduction("dice", {"delta": 0.5}),),
        paper=papers.TVERSKY,
    ),
    Member(
        name="focal_tversky",
        title="Focal Tversky",
        loss=members.FocalTverskyLoss,
        kind="region-based",
        formula="mean (1 - TI)^γ",
        parameters=(
            _delta(0.7),
            _exponent("gamma", "exponent; below 1 raises the loss near the end", 0.75, (0.5, 1.5), "γ"),
        ),
        reduces_to=(Reduction("tversky", {"gamma": 1}), Reduction("dice", {"gamma": 1, "delta": 0.5})),
        paper=papers.FOCAL_TVERSKY,
    ),
    Member(
        name="combo",
        title="Combo",
        loss=members.ComboLoss,
        kind="compound",
        formula="α·mean Σ_c β_c·g·(-log p) - (1-α)·mean DSC;  rare: β_c = β;  others: β_c = 1-β",
        parameters=(
            Parameter("alpha", "weight of the cross entropy; the Dice term gets 1-alpha", 0.5, (0.1, 0.9), "α"),
            Parameter(
                "beta",
                "weight of the rare classes in the cross entropy, the others get 1-beta; None: 1 for all",
                None,
                (0.3, 0.9),
                "β",
            ),
            _RARE,
        ),
        reduces_to=(
            Reduction("cross_entropy", {"alpha": 1, "beta": None}),
            Reduction("dice", {"alpha": 0}, offset=-1.0),
            Reduction("dice_cross_entropy", {"alpha": 0.5, "beta": None}, scale=0.5, offset=-0.5),
        ),
        paper=papers.COMBO,
    ),
    Member(
        name="dice_cross_entropy",
        title="Dice + cross entropy",
        loss=members.DiceCrossEntropyLoss,
        kind="compound",
        aliases=("dice_ce",),
        formula="mean (1 - DSC) + mean Σ_c g·(-log p)",
        paper=papers.NNUNET,
    ),
    Member(
        name="hybrid_focal",
        title="Hybrid Focal",
        loss=members.HybridFocalLoss,
        kind="compound",
        aliases=("mixed_focal",),
        formula=("w·mean (1 - TI)^γ_t + (1-w)·mean Σ_c α_c·g·(1-p)^γ_f·(-log p);  rare: α_c = α;  others: α_c = 1-α"),
        parameters=(
            _region_weight("Focal loss"),
            _delta(0.7),
            _exponent("tversky_gamma", "exponent of the region term", 0.75, (0.5, 1.5), "γ_t"),
            _exponent("focal_gamma", "exponent of the voxel term", 2.0, (0.5, 5.0), "γ_f"),
            _ALPHA,
            _RARE,
        ),
        reduces_to=(
            Reduction("focal_tversky", {"region_weight": 1}, {"gamma": "tversky_gamma"}),
            Reduction("focal", {"region_weight": 0}, {"gamma": "focal_gamma"}),
            Reduction(
                "combo",
                {"delta": 0.5, "tversky_gamma": 1, "focal_gamma": 0},
                {"alpha": "1-region_weight", "beta": "alpha"},
                offset="region_weight",
            ),
            Reduction(
                "dice_cross_entropy",
                {"region_weight": 0.5, "delta": 0.5, "tversky_gamma": 1, "focal_gamma": 0, "alpha": None},
                scale=0.5,
            ),
        ),
        paper=papers.HYBRID_FOCAL,
    ),
    Member(
        name="unified_focal",
        title="Unified Focal (asymmetric)",
        loss=members.UnifiedFocalLoss,
        kind="compound",
        aliases=("unified_focal_asymmetric",),
        formula=(
            "w·mean (1 - TI)^ρ_c + (1-w)·mean Σ_c α_c·g·(1-p)^φ_c·(-log p);  "
            "rare: ρ_c = 1-γ, α_c = δ, φ_c = 0;  others: ρ_c = 1, α_c = 1-δ, φ_c = γ"
        ),
        parameters=(
            *_UNIFIED,
            Parameter(
                "symmetric",
                "whether gamma acts on all classes in both terms",
                default=False,
                choices=(False, True),
            ),
            _RARE,
        ),
        reduces_to=(
            Reduction("unified_focal_symmetric", {"symmetric": True}),
            Reduction("unified_focal_symmetric", {"gamma": 0}),
            *_UNIFIED_REDUCES,
        ),
        paper=papers.UNIFIED_FOCAL,
    ),
    Member(
        name="unified_focal_symmetric",
        title="Unified Focal (symmetric)",
        loss=members.UnifiedFocalLoss,
        kind="compound",
        formula=("w·mean (1 - TI)^(1-γ) + (1-w)·mean Σ_c α_c·g·(1-p)^γ·(-log p);  rare: α_c = δ;  others: α_c = 1-δ"),
        parameters=(*_UNIFIED, _RARE),
        reduces_to=(
            Reduction("hybrid_focal", takes={"tversky_gamma": "1-gamma", "focal_gamma": "gamma", "alpha": "delta"}),
            Reduction("focal_tversky", {"region_weight": 1}, {"gamma": "1-gamma"}),
            Reduction("focal", {"region_weight": 0}, {"alpha": "delta"}),
            *_UNIFIED_REDUCES,
        ),
        preset={"symmetric": True},
        paper=papers.UNIFIED_FOCAL,
    ),
)
