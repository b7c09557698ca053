"""Which mask belongs to which image, by their file names."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from unifocal.data.read import stem_of
from unifocal.problems import Problem

PairBy = Literal["stem", "suffix", "number", "order"]
Pair = tuple[Path, Path]
Key = TypeVar("Key", bound=Hashable)

_DIGITS = re.compile(r"\d+")


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key by which `2.png` comes before `10.png`; the name as written breaks ties such as `02` and `2`."""
    parts = re.split(r"(\d+)", path.name.lower())
    numbers = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)
    return (*numbers, (2, 0, path.name))


def one_spelling(name: str) -> str:
    """A name as all of its spellings in Unicode compare: macOS may store "ü" as "u" and two dots (NFD)."""
    return unicodedata.normalize("NFC", name)


def pair_files(
    images: Sequence[Path], masks: Sequence[Path], *, by: PairBy = "stem", mask_suffix: str = "_mask"
) -> tuple[list[Pair], list[Problem]]:
    """Pair images with masks.

    Args:
        images: Image files in natural order, at least one.
        masks: Mask files in natural order, at least one.
        by: `stem`: same name but for the extension. `suffix`: the mask's stem is the image's and
            `mask_suffix`. `number`: the first number in both stems is the same (`21_training` and `21_manual1`).
            `order`: first with first, second with second.
        mask_suffix: See `suffix`.

    Returns:
        (image, mask) pairs in the order of the images, and one problem for each file or group of
        files that could not be paired.
    """
    if by == "order":
        return _pair_by_order(images, masks)
    key = _first_number if by == "number" else _stem
    mask_key = _stem_without(mask_suffix) if by == "suffix" else key
    return _pair_by_key(_grouped(images, key), _grouped(masks, mask_key), by)


def _stem(path: Path) -> str:
    return one_spelling(stem_of(path))


def _first_number(path: Path) -> str | None:
    digits = _DIGITS.search(stem_of(path))
    return str(int(digits[0])) if digits else None


def _stem_without(suffix: str) -> Callable[[Path], str | None]:
    suffix = one_spelling(suffix)
    return lambda path: _stem(path).removesuffix(suffix) if _stem(path).endswith(suffix) else None


def _grouped(paths: Sequence[Path], key: Callable[[Path], Key]) -> dict[Key, list[Path]]:
    groups: dict[Key, list[Path]] = defaultdict(list)
    for path in paths:
        groups[key(path)].append(path)
    return groups


def _pair_by_order(images: Sequence[Path], masks: Sequence[Path]) -> tuple[list[Pair], list[Problem]]:
    if len(images) == len(masks):
        return list(zip(images, masks, strict=True)), []
    what = f"{len(images)} images but {len(masks)} masks, so that the order does not say which belong together"
    remedy = "Remove what is too many, or pair them by name: --pair-by stem."
    return [], [Problem(str(masks[0].parent), what, remedy, "pairs-differ")]


def _pair_by_key(
    images: Mapping[str | None, list[Path]], masks: Mapping[str | None, list[Path]], by: PairBy
) -> tuple[list[Pair], list[Problem]]:
    shared = [key for key in images if key in masks and key is not None]
    if not shared:
        return [], [_nothing_pairs(images, masks, by)]
    problems = []
    for kind, groups, partners, missing in (("image", images, masks, "mask"), ("mask", masks, images, "image")):
        for key, group in groups.items():
            if key is not None and len(group) > 1:
                problems.append(_ambiguous(kind, group, by))
            elif key is not None and key not in partners:
                problems.append(_alone(kind, group[0], missing, next(iter(partners.values()))[0].parent))
    problems += [_without_key(path, by) for groups in (images, masks) for path in groups.get(None, [])]
    pairs = [(images[key][0], masks[key][0]) for key in shared if len(images[key]) == len(masks[key]) == 1]
    return pairs, problems


def _nothing_pairs(
    images: Mapping[str | None, list[Path]], masks: Mapping[str | None, list[Path]], by: PairBy
) -> Problem:
    image_files = [path for group in images.values() for path in group]
    mask_files = [path for group in masks.values() for path in group]
    what = (
        f"no mask belongs to any of the {len(image_files)} images when paired by {by} "
        f"(the first image is {image_files[0].name}, the first mask {mask_files[0].name})"
    )
    others = [other for other in ("stem", "suffix", "number", "order") if other != by]
    return Problem(str(mask_files[0].parent), what, f"Give another --pair-by: {', '.join(others)}.", "pairs-none")


def _ambiguous(kind: str, group: Sequence[Path], by: PairBy) -> Problem:
    names = " and ".join(path.name for path in group)
    shared = "number" if by == "number" else "name but for the extension"
    what = f"the {kind}s {names} have the same {shared}"
    return Problem(str(group[0].parent), what, "Keep one of them, or rename.", f"{kind}-ambiguous")


def _alone(kind: str, path: Path, missing: str, folder: Path) -> Problem:
    what = f"no {missing} in {folder} belongs to this {kind}"
    return Problem(str(path), what, f"Add the {missing}, or remove the {kind}.", f"{missing}-missing")


def _without_key(path: Path, by: PairBy) -> Problem:
    if by == "number":
        what, remedy = "has no number in its name", "Rename or remove it, or give another --pair-by."
    else:
        what, remedy = "its name does not end as the masks' names do", "Rename or remove it, or give --mask-suffix."
    return Problem(str(path), what, remedy, "pairs-none")
