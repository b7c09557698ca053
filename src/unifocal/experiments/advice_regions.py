"""What follows from lesions, empty masks and spacing, above all for region terms."""

import math

from unifocal.data.profile.result import SPECK, Advice, LossCall, Profile, TargetProfile
from unifocal.experiments.advice_words import digits, listed, percent, shared

MANY_EMPTY = 0.1
TINY = 10
FEW_LEFT = 0.02
BATCH = 8


def background_term(profile: Profile) -> Advice | None:
    """The background's own Dice is near 1 whatever the network does."""
    share = profile.foreground.pooled_share
    if not 0 < share < 0.25:
        return None
    of_nothing = 2 * (1 - share) / (2 - share)
    return Advice(
        "background-term",
        "Region term without the background",
        f"A network that marks nothing already has a Dice of {of_nothing:.3f} for the background. "
        "include_background=False leaves it out of the region term.",
        "The region term is a mean over the classes, background included, so that part of it hardly moves. It does "
        "guard against false alarms, so compare both.",
        "arithmetic",
        "docs/losses.md, Parameters that all losses share",
        (LossCall("dice_cross_entropy", {"include_background": False, **shared(profile)}),),
    )


def overlap(profile: Profile) -> Advice | None:
    """Regions share voxels."""
    if not profile.overlapping:
        return None
    return Advice(
        "overlap",
        "Regions that overlap",
        f"{listed([t.name for t in profile.targets])} may share voxels: every loss needs activation='sigmoid', which "
        "makes each a two-class problem of its own.",
        "A softmax gives each voxel to one class alone.",
        "arithmetic",
        "docs/using-the-losses.md, Targets",
        (LossCall("unified_focal", {"activation": "sigmoid"}),),
    )


def pooling(profile: Profile) -> Advice | None:
    """A Dice per image means little where images are empty, or hold a few pixels."""
    worst = max(profile.targets, key=lambda target: target.empty)
    empty = worst.empty / profile.masks
    tiny = _tiny(profile.foreground)
    if empty < MANY_EMPTY and not tiny:
        return None
    says = []
    if empty >= MANY_EMPTY:
        says.append(
            f"{percent(empty)} of the masks hold no {_named(worst)}; of batches of {BATCH} drawn at random, "
            f"{percent(empty**BATCH)} hold none at all."
        )
    if tiny:
        says.append(
            f"{tiny[0]:,} of {tiny[1]:,} lesions would have fewer than {TINY} elements at the training size: one "
            "element more or less moves their Dice by 5 % and more."
        )
    return Advice(
        "pooling",
        "Pool the region term over the batch",
        f"{' '.join(says)} Try batch=True; or absent='skip', which leaves an absent class out of the mean.",
        "Dice of one image is 0/0 where truth and prediction are empty; where only the truth is, any false positive "
        "costs the whole term and hardly a gradient is left. batch=True counts over the whole batch first.",
        "rule of thumb",
        "docs/losses.md, What happens at the edges",
        tuple(
            LossCall(name, {"batch": True, **shared(profile)})
            for name in ("dice", "dice_cross_entropy", "unified_focal")
        ),
    )


def _tiny(target: TargetProfile) -> tuple[int, int] | None:
    """Lesions that are tiny at the training size, but no specks, and all lesions that are none."""
    resized, lesions = target.lesions.resized, target.lesions
    if resized is None or lesions.are_pieces:
        return None
    few, whole = resized.smaller_than[TINY] - lesions.specks, lesions.count - lesions.specks
    return (few, whole) if few >= max(1, MANY_EMPTY * whole) else None


def smooth(profile: Profile) -> Advice | None:
    """What `smooth` gives away on small lesions."""
    foreground = profile.foreground
    share = foreground.share_where_present
    if share is None:
        return None
    size, what = profile.training_size, "the training size"
    elements = math.prod(size) if size is not None and len(size) == profile.geometry.axes else 0
    if not elements:
        lengths = [length.median for length in profile.geometry.lengths if length is not None]
        elements, what = round(math.prod(lengths)), "the images' own size"
    smallest, middle = share.minimum * elements, share.median * elements
    return Advice(
        "smooth",
        "smooth against the size of the lesions",
        f"At {what} a case that has foreground has {middle:,.0f} elements of it in the median, {_least(smallest)} in "
        f"the least. smooth = 1 would credit a prediction of nothing with a Dice of {_credit(middle)} "
        f"in the median case and of {_credit(smallest)} in the least; the default 1e-6 credits it with none. "
        + (
            "Keep the default."
            if foreground.empty < MANY_EMPTY * profile.masks
            else "Masks are empty, though, and smooth = 1 gives their false positives a gradient: compare both."
        ),
        "smooth is added to both sides of the index, (T + s) / (T + FN/2 + FP/2 + s); it must be small beside the "
        "voxels of a lesion. Other codes' defaults (1, or 1e-5 on means instead of sums) are not comparable.",
        "arithmetic",
        "the formula of the family, docs/losses.md",
        (LossCall("dice", {"smooth": 1.0, **shared(profile)}),)
        if foreground.empty >= MANY_EMPTY * profile.masks
        else (),
    )


def _credit(elements: float) -> str:
    value = 1 / (1 + elements / 2)
    return "less than 0.001" if value < 0.001 else digits(value)


def _least(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else digits(value)


def resizing(profile: Profile) -> Advice | None:
    """What resizing loses."""
    resized, lesions = profile.foreground.lesions.resized, profile.foreground.lesions
    if resized is None or profile.training_size is None or not lesions.count:
        return None
    size = " x ".join(map(str, profile.training_size))
    whole = lesions.count - lesions.specks
    vanished, few = resized.vanished - resized.vanished_specks, resized.smaller_than[TINY] - lesions.specks
    lost = vanished / whole if whole else 0.0
    says = (
        f"At {size}, {vanished:,} of {whole:,} lesions vanish ({percent(lost)}; not counting specks of fewer than "
        f"{SPECK} elements), {resized.emptied} cases lose all they have, and {max(few, 0):,} lesions have fewer "
        f"than {TINY} elements. "
    )
    if lesions.are_pieces:
        assert profile.foreground.share is not None
        assert resized.share is not None
        before, after = profile.foreground.share.mean, resized.share.mean
        says = (
            f"Most of the {lesions.count:,} components are pieces of thin or ragged structures that touch at corners "
            f"({lesions.joined:,} if those count as joined). Resizing to {size} takes the foreground's share from "
            f"{percent(before)} to {percent(after)}; {resized.vanished:,} pieces vanish. "
        )
        says += (
            "Much is lost: give a larger --size." if after < 0.9 * before else "Fine detail gains from a larger --size."
        )
    elif lost > FEW_LEFT or resized.emptied:
        says += "No loss can learn what is gone before training: give a larger --size."
    elif few > MANY_EMPTY * whole:
        says += "Little is lost, but many lesions are left with a few elements: compare at a larger --size too."
    else:
        says += "Resizing does no harm to speak of."
    return Advice(
        "resizing",
        "What resizing does to the lesions",
        says,
        "Labels are resized so that the largest share wins, which keeps more than nearest neighbour; the scores are "
        "taken at the images' own size, where a vanished lesion counts as missed.",
        "arithmetic",
        "the masks, resized as for training",
    )


def specks(profile: Profile) -> Advice | None:
    """Components of a few elements are more often slips than lesions."""
    lesions = profile.foreground.lesions
    if not lesions.specks or lesions.are_pieces:
        return None
    return Advice(
        "specks",
        "Specks in the masks",
        f"{lesions.specks:,} of {lesions.count:,} components have fewer than {SPECK} elements in the masks as they "
        "are. Look at some of them (`cases.csv`, smallest_lesion) before training.",
        "Stray elements of an annotation weigh nothing in Dice, but all in the Hausdorff distance and in counts of "
        "lesions, and no loss should learn them. Where they are true lesions, resizing is what loses them first.",
        "rule of thumb",
        "the masks' connected components",
    )


def boundary_tolerance(profile: Profile) -> Advice | None:
    """A surface tolerance below one element counts every shift as an error."""
    spacing = [each for each in profile.geometry.spacing_mm if each is not None]
    if not spacing or profile.geometry.spacing_known < profile.cases:
        says = (
            "The spacing is unknown for some or all cases, so distances are in elements: NSD's default tolerance of 2 "
            "means 2 pixels. Give --spacing, if it is known, to have mm."
        )
    else:
        coarse = max(each.maximum for each in spacing)
        enough = coarse <= 2.0
        says = (
            f"Elements lie up to {coarse:.3g} mm apart. The default tolerance of 2 mm is "
            + ("no less than that." if enough else "less than that: a shift by one element there counts as an error. "
               f"Take at least {math.ceil(10 * coarse) / 10:g} mm (`score_case(..., tolerance=...)`).")
        )  # fmt: skip
    return Advice(
        "surface-tolerance",
        "Tolerance of the surface Dice (NSD)",
        says,
        "Nothing finer than the grid can be told from a mask; what observers disagree by is the better measure, where "
        "it is known.",
        "rule of thumb",
        "Nikolov et al. 2021, 10.2196/26151",
    )


def _named(target: TargetProfile) -> str:
    return f"'{target.name}'" if target.name != "1" else "foreground"
