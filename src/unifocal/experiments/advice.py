"""What follows from a data set's profile for the parameters of the losses: starting points, each with its reason."""

import math
from collections.abc import Sequence

from unifocal.data.profile.result import Advice, LossCall, Profile, TargetProfile
from unifocal.experiments import advice_regions as regions
from unifocal.experiments.advice_words import digits, listed, percent, ratio, shared

_FOCAL = "Lin et al. 2017, 10.1109/ICCV.2017.324"
_UNIFIED = "Yeung et al. 2022, 10.1016/j.compmedimag.2021.102026"
_MEDIAN = "Eigen and Fergus 2015, 10.1109/ICCV.2015.304"
RARE = 0.25
"""Foreground of a smaller share than this is called rare; the Unified Focal paper's data have 0.2 to 9.3 %."""


def advise(profile: Profile) -> tuple[Advice, ...]:
    """What follows for losses, most general first. Without any foreground, nothing follows."""
    if not profile.foreground.cases:
        return ()
    makers = (
        _imbalance,
        _initial_bias,
        _class_weights,
        _focal_alpha,
        _delta,
        _delta_per_class,
        regions.background_term,
        regions.overlap,
        regions.pooling,
        regions.smooth,
        regions.resizing,
        regions.specks,
        regions.boundary_tolerance,
    )
    return tuple(advice for make in makers if (advice := make(profile)) is not None)


def losses_to_compare(profile: Profile, advice: Sequence[Advice]) -> tuple[LossCall, ...]:
    """Baselines, and what the advice names first on each of the family's own parameters."""
    found = [LossCall(name, shared(profile)) for name in ("cross_entropy", "dice_cross_entropy")]
    for topic in ("focal-alpha", "delta-per-class", "delta"):
        found += [each.losses[0] for each in advice if each.topic == topic and each.losses]
    return tuple({str(loss): loss for loss in found}.values())


def start_ratio(
    background_share: float, *, alpha: tuple[float, float] = (1.0, 1.0), phi: tuple[float, float] = (0.0, 0.0)
) -> float:
    """Background's over foreground's gradient of the voxel term (two classes), where every probability is 0.5.

    The gradient of alpha * (1-p)**phi * (-log p) with respect to the logit is, at p = 1/2, alpha * 0.5**(phi + 1) *
    (1 + phi * log 2) in size.

    Args:
        background_share: Of the elements, between 0 and 1.
        alpha: Class weights of background and foreground.
        phi: Exponents of background and foreground.
    """
    background, foreground = (
        weight * math.pow(0.5, power + 1) * (1 + power * math.log(2)) for weight, power in zip(alpha, phi, strict=True)
    )
    return background_share / (1 - background_share) * background / foreground


def _imbalance(profile: Profile) -> Advice | None:
    share = profile.foreground.pooled_share
    if share >= 1:
        return None
    plain, unified = start_ratio(1 - share), start_ratio(1 - share, alpha=(0.4, 0.6), phi=(0.5, 0.0))
    per_target = ""
    if len(profile.targets) > 1:
        others = [(t.name, (1 - t.pooled_share) / t.pooled_share) for t in profile.targets if t.pooled_share > 0]
        per_target = f" By target: {listed([f'{name} {ratio(value)}' for name, value in others])}."
    return Advice(
        "gradient-balance",
        "Background against foreground",
        f"Foreground fills {percent(share)} of all elements. At the start of training, when nothing is known (p = "
        f"0.5), background outweighs foreground {ratio(plain)} in the gradient of cross entropy, and just as much in "
        f"that of the Focal loss, whose focusing has nothing to go by yet. In the voxel term of the Unified Focal loss "
        f"with its defaults it is {ratio(unified)}; a region term (Dice, Tversky) does not count easy background at "
        f"all.{per_target}",
        "Cross entropy sums over voxels, so every voxel pulls alike; weights change this ratio by a constant factor, "
        "region terms change what is counted.",
        "arithmetic",
        "the formula of the family, docs/losses.md",
        (LossCall("cross_entropy", shared(profile)), LossCall("unified_focal", shared(profile))),
    )


def _initial_bias(profile: Profile) -> Advice | None:
    share = profile.foreground.pooled_share
    if not 0 < share < 0.5:
        return None
    if profile.overlapping or len(profile.targets) == 1:
        biases = [(t.name, math.log(t.pooled_share / (1 - t.pooled_share))) for t in profile.targets if t.pooled_share]
        told = f"log(f / (1 - f)) = {digits(biases[0][1])}" if len(biases) == 1 else _numbers(biases)
    else:
        named = [("background", 1 - share), *((t.name, t.pooled_share) for t in profile.targets if t.pooled_share)]
        told = f"log f for each class: {_numbers([(name, math.log(value)) for name, value in named])}"
    start, after = math.log(2), -(share * math.log(share) + (1 - share) * math.log(1 - share))
    return Advice(
        "initial-bias",
        "Initial bias of the last layer",
        f"In a training loop of your own, set the last layer's bias to {told}. Cross entropy of foreground against "
        f"background then begins at {digits(after)} instead of {digits(start)}, and both pull alike.",
        "The network then starts by predicting the prior f, and the first steps are not spent on learning that most is "
        "background. unifocal's own networks start with a bias of 0.",
        "published",
        f"{_FOCAL}, section 3.3",
    )


def _class_weights(profile: Profile) -> Advice | None:
    if profile.overlapping or any(not t.pooled_share for t in profile.targets):
        return None
    shares = [1 - profile.foreground.pooled_share, *(t.pooled_share for t in profile.targets)]
    present = [shares[0], *(t.frequency_where_present or 0.0 for t in profile.targets)]
    if not min(shares) > 0:
        return None
    middle = sorted(present)
    median = (middle[(len(middle) - 1) // 2] + middle[len(middle) // 2]) / 2
    inverse = _mean_one([1 / share for share in shares])
    frequency = [median / share for share in present]
    rooted = _mean_one([1 / math.sqrt(share) for share in shares])
    steep = max(shares) / min(shares) > 100
    caution = (
        f" Weights so steep often bring false positives; their square roots, {_row(rooted)}, are a milder start."
        if steep
        else ""
    )
    return Advice(
        "class-weights",
        "Class weights",
        f"Background first: inverse frequency (mean 1) gives {_row(inverse)}; median frequency gives {_row(frequency)}."
        + caution,
        "Inverse frequency makes the classes pull alike in the voxel term; median frequency does it with each class' "
        "frequency taken where it occurs, so that a class is not weighted up only because few cases have it.",
        "rule of thumb" if steep else "arithmetic",
        _MEDIAN,
        tuple(
            LossCall("cross_entropy", {"class_weights": [_short(weight) for weight in weights]})
            for weights in ((rooted,) if steep else (inverse, frequency))
        ),
    )


def _focal_alpha(profile: Profile) -> Advice | None:
    share = profile.foreground.pooled_share
    if share >= RARE:
        return None
    return Advice(
        "focal-alpha",
        "Focal loss: alpha and gamma",
        f"alpha = {1 - share:.3f} would balance the classes at the start, but with gamma = 2 lower values often do "
        "better: try none, 0.25, 0.5 and 0.75.",
        "alpha weighs the rare class, 1 - alpha the rest. Lin et al. found alpha = 0.25 best with gamma = 2 in object "
        "detection: focusing soon silences the easy background, and a high alpha then overshoots. They tuned alpha and "
        "gamma together; so should you.",
        "published",
        f"{_FOCAL}, table 1b",
        (
            LossCall("focal", {"gamma": 2.0, **shared(profile)}),
            LossCall("focal", {"alpha": 0.25, "gamma": 2.0, **shared(profile)}),
            LossCall("focal", {"alpha": 0.75, "gamma": 2.0, **shared(profile)}),
        ),
    )


def _delta(profile: Profile) -> Advice | None:
    share = profile.foreground.pooled_share
    if share >= RARE:
        says = (
            f"Foreground fills {percent(share)}: it is not rare. Start with delta = 0.5, which treats misses and false "
            "alarms alike."
        )
        values = [0.5]
    else:
        says = (
            f"Foreground fills {percent(share)}. Start with the paper's delta = 0.6, then try up to 0.8 if validation "
            "shows more precision than recall, 0.5 if it shows less; gamma from 0.1 to 0.9."
        )
        values = [0.6, 0.75]
    return Advice(
        "delta",
        "Unified Focal and Tversky: delta",
        says,
        "delta weighs false negatives, 1 - delta false positives: above 0.5, what is missed costs more. No formula "
        "gives it from the share; the paper chose 0.6 for shares of 0.2 to 9.3 %, where gamma = 0.5 was a good middle.",
        "published",
        _UNIFIED,
        tuple(LossCall("unified_focal", {"delta": value, **shared(profile)}) for value in values),
    )


def _delta_per_class(profile: Profile) -> Advice | None:
    found = [t for t in profile.targets if t.pooled_share > 0]
    if profile.overlapping or len(found) < len(profile.targets) or len(found) < 2:
        return None
    shares = [t.pooled_share for t in found]
    spread = max(shares) / min(shares)
    common = [index for index, share in enumerate(shares, start=1) if share >= RARE]
    if spread < 3 and not common:
        return None
    deltas = [0.6, *(_delta_of(share, max(shares), spread) for share in shares)]
    parameters: dict[str, object] = {"delta": deltas}
    if common and len(common) < len(shares):
        parameters["rare_classes"] = [index for index in range(1, len(shares) + 1) if index not in common]
    return Advice(
        "delta-per-class",
        "A delta for each class",
        f"The classes' shares differ by a factor of {spread:.0f} ({_shares(found)}). Instead of one delta, try "
        f"{_row(deltas)}, background first: 0.6 for background and the most frequent class, 0.75 for the rarest."
        + (f" {listed([found[i - 1].name for i in common])} need not count as rare." if common else ""),
        "One delta treats a miss in every class alike, though a rare class has fewer voxels that pull. The numbers are "
        "spaced by the logarithm of the shares; begin with one delta, and compare.",
        "rule of thumb",
        "docs/losses.md, Several classes",
        (LossCall("unified_focal", parameters),),
    )  # fmt: skip


def _delta_of(share: float, most: float, spread: float) -> float:
    return round(0.6 + 0.15 * (math.log(most / share) / math.log(spread) if spread > 1 else 0.0), 2)


def _mean_one(weights: Sequence[float]) -> list[float]:
    mean = sum(weights) / len(weights)
    return [weight / mean for weight in weights]


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _row(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{_short(value):g}' for value in values)}]"


def _numbers(named: Sequence[tuple[str, float]]) -> str:
    return listed([f"{name} {digits(value)}" for name, value in named])


def _shares(targets: Sequence[TargetProfile]) -> str:
    return listed([f"{t.name} {percent(t.pooled_share)}" for t in targets])
