"""What the values in the masks mean, decided over the whole data set."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from unifocal.problems import Problem

MAX_LABELS = 32
"""More different values than this are a blurred mask, or numbered objects, rather than labels."""

_WHITE = frozenset({255, 65535})
_LOSSY_EXTENSIONS = frozenset({".jpg", ".jpeg"})
_CLOSEST_GREYS = 10
_VALUES = "mask-values"


@dataclass(frozen=True)
class MaskCoding:
    """How stored values become labels.

    Attributes:
        threshold: Values from here on are label 1, all others 0; None where values are read one by one.
        is_black_and_white: Whether full white (255, or 65535 at 16 bits) stands for label 1.
        keep: The values that are labels, all others being background; None where all are.
    """

    threshold: int | None = None
    is_black_and_white: bool = False
    keep: tuple[int, ...] | None = None

    def label(self, value: int) -> int:
        """The label that one stored value stands for."""
        if self.threshold is not None:
            return int(value >= self.threshold)
        if self.is_black_and_white:
            return int(value != 0)
        return value if self.keep is None or value in self.keep else 0


def label_values(
    mask: np.ndarray[Any, np.dtype[np.integer[Any]]], coding: MaskCoding
) -> np.ndarray[Any, np.dtype[np.integer[Any]]]:
    """The labels of a mask.

    Args:
        mask: Stored values, any shape.
        coding: What they mean, from `decide_coding`.

    Returns:
        Labels of the same shape; 0 is background. uint8 unless the stored values are labels already.
    """
    if coding.threshold is not None:
        return (mask >= coding.threshold).astype(np.uint8)
    if coding.is_black_and_white:
        white: np.ndarray[Any, np.dtype[np.uint8]] = (mask != 0).astype(np.uint8)
        return white
    if coding.keep is None:
        return mask
    kept = mask.copy()
    kept[~np.isin(mask, coding.keep)] = 0
    return kept


def decide_coding(
    values: Mapping[Path, Collection[int]],
    *,
    threshold: int | None = None,
    declared: Collection[int] = (),
    keep: Collection[int] | None = None,
) -> tuple[MaskCoding, list[Problem]]:
    """Decide what the masks' values mean: 0/1, black and white (0/255), or whole numbers as labels.

    Black and white is a property of the data set: no mask of it holds anything but 0 and full white. A mask that holds
    only 0 fits every coding. Labels are at most `MAX_LABELS` different values; where 255 is one of them, all
    greys must lie well apart (0, 128, 255), because values beside 0 and 255 are what lossy compression leaves.
    None of this is guessed where the data set declares its labels, or the user names those to keep; only for a single
    label 1, which leaves nothing to confuse, black and white will do as well.

    Args:
        values: The different values of each mask.
        threshold: If given, every value from here on is foreground, whatever the masks hold.
        declared: The labels that the data set says it has; empty where it says nothing.
        keep: The values that count as foreground, each a label of its own, all others becoming background.

    Returns:
        The coding that most masks follow, and one problem for each mask that does not, or for a
        threshold that would make the background foreground.
    """
    if threshold is not None:
        return _thresholded(threshold, keep)
    foreground = {path: frozenset(found) - {0} for path, found in values.items()}
    may_be_white = set(declared) == {1} and keep is None and all(found <= _WHITE for found in foreground.values())
    if keep is not None or (declared and not may_be_white):
        return _as_declared(foreground, declared, keep)
    faults = {path: fault for path, found in foreground.items() if (fault := _fault(path, found))}
    sound = {path: found for path, found in foreground.items() if found and path not in faults}
    white = [path for path, found in sound.items() if found <= _WHITE]
    other = [path for path, found in sound.items() if not found <= _WHITE]
    is_black_and_white = len(white) >= max(len(other), 1)
    # Where full white is one label among several, some mask shows it beside another.
    white_is_a_label = not is_black_and_white and any(sound[path] & _WHITE for path in other)
    if white and other and not white_is_a_label:
        odd, usual = (other, white) if is_black_and_white else (white, other)
        faults |= {path: _mixed(sound[path], sound[usual[0]]) for path in odd}
    problems = [Problem(str(path), *faults[path]) for path in values if path in faults]
    labels = frozenset(chain.from_iterable(found for path, found in sound.items() if path not in faults))
    if len(labels) > MAX_LABELS:
        problems.append(_too_many(next(iter(sound)).parent, labels))
    return MaskCoding(is_black_and_white=is_black_and_white), problems


def _thresholded(threshold: int, keep: Collection[int] | None) -> tuple[MaskCoding, list[Problem]]:
    where, kind = "--mask-threshold", "mask-threshold"
    if threshold < 1:
        what = f"is {threshold}, so that 0 would be foreground"
        return MaskCoding(), [Problem(where, what, "Give at least 1.", kind)]
    if keep is not None:
        what = "makes one label of all values, but some are to be kept as labels of their own"
        return MaskCoding(), [Problem(where, what, "Give a threshold, or labels or regions, but not both.", kind)]
    return MaskCoding(threshold=threshold), []


def _as_declared(
    foreground: Mapping[Path, frozenset[int]], declared: Collection[int], keep: Collection[int] | None
) -> tuple[MaskCoding, list[Problem]]:
    """Values are labels. Without a declaration, those that are not kept may be anything but a blur."""
    problems = []
    known = set(declared) | set(keep or ())
    for path, found in foreground.items():
        unknown = found - known if declared else frozenset()
        fault = _fault(path, found) if len(found - known) > MAX_LABELS or _is_smeared(path, sorted(found)) else None
        if fault is not None and (unknown or not declared):
            problems.append(Problem(str(path), *fault))
        elif unknown:
            shown = ", ".join(map(str, sorted(known)))
            what = f"has the values {_listed(sorted(unknown))}, but the data set declares only the labels {shown}"
            remedy = "Mend the mask or the declaration, or give --mask-threshold 1 if everything above 0 is foreground."
            problems.append(Problem(str(path), what, remedy, "class-undeclared"))
    return MaskCoding(keep=None if keep is None else tuple(sorted(set(keep) - {0}))), problems


def _fault(path: Path, found: frozenset[int]) -> tuple[str, str, str] | None:
    """What speaks against a mask's values (without 0) by themselves, with its remedy and kind."""
    ordered = sorted(found)
    shown = f"{len(found) + 1} different values ({_listed([0, *ordered])})"
    if ordered and ordered[0] < 0:
        what = f"has values below 0 ({_listed(ordered)})"
        return what, "Use 0 for background and 1, 2, ... for the labels.", _VALUES
    if len(found) > MAX_LABELS and ordered == list(range(1, len(found) + 1)):
        return (
            f"has {shown}; it looks as if every object had a number of its own",
            "If all objects are foreground, give --mask-threshold 1.",
            _VALUES,
        )
    if len(found) > MAX_LABELS or _is_smeared(path, ordered):
        return (
            f"has {shown}; it looks like a blurred (JPEG or resized) black and white mask",
            f"Save it as PNG with 0 and 255 only, or give --mask-threshold {halfway(ordered[-1])}.",
            "mask-blurred",
        )
    if found & _WHITE and len(found) > 1 and not _are_greys(ordered):
        return (
            f"has {shown}: full white beside label numbers, which often marks pixels to ignore",
            "Give these pixels a label of their own or 0.",
            _VALUES,
        )
    return None


def halfway(white: int) -> int:
    """The threshold between black and the whitest value: where the edge of a blurred mask was.

    >>> halfway(255), halfway(254), halfway(65535)
    (128, 128, 32768)
    """
    return (white + 2) // 2


def _is_smeared(path: Path, ordered: list[int]) -> bool:
    if len(ordered) > 1 and path.suffix.lower() in _LOSSY_EXTENSIONS:
        return True
    beside_white = {255 - step for step in range(1, _CLOSEST_GREYS)}
    return 255 in ordered and not beside_white.isdisjoint(ordered)


def _are_greys(ordered: list[int]) -> bool:
    return all(second - first >= _CLOSEST_GREYS for first, second in pairwise([0, *ordered]))


def _mixed(found: frozenset[int], usual: frozenset[int]) -> tuple[str, str, str]:
    return (
        f"has the values {_listed(sorted(found | {0}))}, but other masks have {_listed(sorted(usual | {0}))}",
        "Save all masks with the same values, or give --mask-threshold 1 if everything above 0 is foreground.",
        _VALUES,
    )


def _too_many(folder: Path, labels: frozenset[int]) -> Problem:
    what = f"the masks together hold {len(labels)} different labels ({_listed(sorted(labels))})"
    return Problem(str(folder), what, f"Use at most {MAX_LABELS}, or give --mask-threshold to have one.", _VALUES)


def _listed(values: list[int]) -> str:
    shown = [str(value) for value in values]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:3], "...", *shown[-2:]])
