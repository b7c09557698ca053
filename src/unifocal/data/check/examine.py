"""One case, read once: what it holds and what is wrong with it. Runs in a process of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from unifocal.data.case import Case, Source
from unifocal.data.check.fingerprint import fingerprint
from unifocal.data.formats.geometry import is_singular, largest_shift, upright
from unifocal.data.read import digest, read_image, read_mask
from unifocal.data.scan import Scan
from unifocal.problems import InputError, Problem, bad_input

T = TypeVar("T")

MAX_SHIFT = 0.5
"""Image and mask may lie this far apart, in parts of the smallest spacing, before a label is on the wrong element."""
MAX_SHIFT_UNNOTICED = 0.05
SPACING_TOLERANCE = 0.01

_BLOCK = 1 << 20
_FEW_VALUES = 12
_MOST_VALUES = 5000
_MATCH = "Export image and mask from the same scan, and check that they belong together."


@dataclass
class Findings:
    """What reading a case's files gave; None is what could not be read.

    Attributes:
        problems: Errors and warnings.
        size: Of the image, without channels.
        channels: As stored.
        is_grey: One channel, or three equal ones.
        spacing_mm: As the files say.
        order: Of a volume whose place is known: see `upright`.
        patient: As the header says, hashed.
        counts: How often each stored value stands in the mask; at most the lowest 5,000 and the highest.
        digests: SHA-256 of every source, in order.
        image_digest: Of the image alone.
        print: See `fingerprint`; None for an image that shows nothing.
    """

    problems: list[Problem] = field(default_factory=list)
    size: tuple[int, ...] | None = None
    channels: int = 1
    is_grey: bool = True
    spacing_mm: tuple[float, ...] | None = None
    order: tuple[int, ...] = ()
    patient: str = ""
    counts: dict[int, int] | None = None
    digests: bytes = b""
    image_digest: bytes = b""
    print: NDArray[np.int8] | None = None


def examine(case: Case) -> Findings:
    """Read a case's files and look at their content; what cannot be read becomes a problem."""
    findings = Findings()
    scan = _attempt(findings, read_image, case.image)
    read_beside = partial(read_mask, like=scan)
    if scan is not None:
        findings.image_digest = findings.digests
        _look_at_image(scan, case, findings)
    mask = None if case.mask is None else _attempt(findings, read_beside, case.mask)
    if mask is not None:
        assert case.mask is not None
        findings.counts = count_values(mask.array)
        findings.spacing_mm = findings.spacing_mm or mask.spacing_mm
        _compare(case.mask, mask, case.image, scan, findings)
        # One MATLAB file may hold both.
        if findings.image_digest == findings.digests[32:] != b"" and case.mask.path.suffix.lower() != ".mat":
            what, remedy = f"is the same file as its image {case.image.path.name}", "Give the masks' folder as masks."
            findings.problems.append(Problem(str(case.mask), what, remedy, "mask-is-image"))
    for source in (case.field_of_view, *case.other_masks.values()):
        beside = None if source is None else _attempt(findings, read_beside, source)
        if beside is not None:
            assert source is not None
            _compare(source, beside, case.image, scan, findings)
    return findings


def count_values(mask: NDArray[np.integer[Any]]) -> dict[int, int]:
    """How often each value stands in a mask, ascending; of more than 5,000 values the lowest, and the highest."""
    low, high = int(mask.min()), int(mask.max())
    # A comparison per value is several times as fast as a histogram, and most masks hold few values, or two far apart.
    few = range(low, high + 1) if high - low < _FEW_VALUES else (low, high)
    found = {value: number for value in few if (number := int(np.count_nonzero(mask == value)))}
    if sum(found.values()) == mask.size:
        return found
    if high - low < 1 << 16:
        counts = np.zeros(high - low + 1, np.int64)
        flat = mask.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            block = flat[start : start + _BLOCK]
            counts += np.bincount(block if low == 0 else block.astype(np.int64) - low, minlength=counts.size)
        present = np.flatnonzero(counts)
        values, numbers = present + low, counts[present]
    else:
        values, numbers = np.unique(mask, return_counts=True)
    if len(values) > _MOST_VALUES:
        values, numbers = (np.append(each[: _MOST_VALUES - 1], each[-1]) for each in (values, numbers))
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def size_text(shape: Sequence[int]) -> str:
    """`512 x 512`."""
    return " x ".join(str(length) for length in shape)


def _attempt(findings: Findings, read: Callable[[Source], Scan], source: Source) -> Scan | None:
    try:
        scan = read(source)
        if scan.array.size == 0:
            what = f"holds nothing: {size_text(scan.array.shape)} elements"
            raise bad_input(str(source), what, "Export it again.", kind="no-elements")
        findings.digests += digest(source)
    except InputError as error:
        findings.problems += error.problems
        return None
    findings.problems += scan.notes
    return scan


def _look_at_image(scan: Scan, case: Case, findings: Findings) -> None:
    image, where = scan.array, str(case.image)
    findings.size, findings.channels = image.shape[1:], len(image)
    findings.spacing_mm, findings.patient = scan.spacing_mm, scan.patient
    if scan.affine is not None and scan.affine.shape == (4, 4) and not is_singular(scan.affine):
        findings.order = upright(scan.affine)[0]
    findings.problems += _against_the_table(scan, case)
    ranges = [(float(channel.min()), float(channel.max())) for channel in image]
    if not np.isfinite(ranges).all():
        count = sum(channel.size - int(np.count_nonzero(np.isfinite(channel))) for channel in image)
        what = f"has values that are not finite (NaN or infinite): {count} of {image.size}"
        findings.problems.append(Problem(where, what, "Replace them, or export the image again.", "not-finite"))
        return
    flat = [channel for channel, (low, high) in enumerate(ranges) if low == high]
    if len(flat) == len(image):
        what = f"shows nothing: every {_element(findings.size)} has the value {ranges[0][0]:g}"
        remedy = "Export it again, or remove it with its mask."
        findings.problems.append(Problem(where, what, remedy, "constant-image"))
        return
    if flat and image.ndim == 4:
        what = f"has one value throughout in channel {', '.join(map(str, flat))} (counted from 0)"
        remedy = "Check whether that channel is missing, and export it again."
        findings.problems.append(Problem(where, what, remedy, "constant-channel", is_warning=True))
    findings.is_grey = len(image) == 1 or (
        len(image) == 3 and np.array_equal(image[0], image[1]) and np.array_equal(image[0], image[2])
    )
    findings.print = fingerprint(image)


def _against_the_table(scan: Scan, case: Case) -> list[Problem]:
    """The spacing that the table or the user gives goes before the file's; here is where they cannot both be right."""
    said, found = case.spacing_mm, scan.spacing_mm
    axes = scan.array.ndim - 1
    if said is None:
        return []
    if len(said) != axes:
        what = f"has {axes} axes, but {len(said)} distances are given as its spacing ({_distances(said)})"
        remedy = f"Give {axes} numbers, or leave the spacing to the files."
        return [Problem(str(case.image), what, remedy, "spacing-axes")]
    if found is not None and not np.allclose(said, found, rtol=SPACING_TOLERANCE, atol=0):
        what = f"says that its spacing is {_distances(found)}, but {_distances(said)} is given, and counts"
        remedy = "Check the table or --spacing."
        return [Problem(str(case.image), what, remedy, "spacing-differs", is_warning=True)]
    return []


def _compare(source: Source, mask: Scan, image: Source, scan: Scan | None, findings: Findings) -> None:
    if scan is None:
        return
    size, other = mask.array.shape, scan.array.shape[1:]
    if size != other:
        unit = "pixels" if len(size) == len(other) == 2 else "elements"
        what = f"has {size_text(size)} {unit}, but its image {image.path.name} has {size_text(other)}"
        remedy = "Export image and mask at the same size, and check that they belong together."
        findings.problems.append(Problem(str(source), what, remedy, "size-differs"))
        return
    spacings = mask.spacing_mm, scan.spacing_mm
    if spacings[0] and spacings[1] and not np.allclose(spacings[0], spacings[1], rtol=SPACING_TOLERANCE, atol=0):
        what = (
            f"has a spacing of {_distances(spacings[0])}, but its image {image.path.name} of {_distances(spacings[1])}"
        )
        findings.problems.append(Problem(str(source), what, _MATCH, "spacing-differs"))
    elif mask.affine is not None and scan.affine is not None and mask.affine.shape == scan.affine.shape:
        shift = largest_shift(mask.affine, scan.affine, size)
        parts = shift / min(scan.spacing_mm or (1.0,))
        # Not `parts <= ...`: a shift that is not a number is an error too.
        if parts <= MAX_SHIFT_UNNOTICED:
            return
        what = (
            f"lies elsewhere in space than its image {image.path.name}: the same corner is up to {shift:.3g} mm apart, "
            f"{parts:.2g} of an element (up to {MAX_SHIFT_UNNOTICED:g} is let pass, {MAX_SHIFT:g} is a warning)"
        )
        is_small = parts <= MAX_SHIFT
        findings.problems.append(Problem(str(source), what, _MATCH, "affine-differs", is_warning=is_small))


def _distances(spacing: Sequence[float]) -> str:
    return " x ".join(f"{distance:.4g}" for distance in spacing) + " mm"


def _element(size: Sequence[int]) -> str:
    return "pixel" if len(size) == 2 else "voxel"
