"""The built-in data set: made-up contrast-enhanced T1 heads with tumours, written as files."""

import csv
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unifocal.data.phantom_anatomy import Anatomy
from unifocal.data.phantom_scan import LAYOUT, PLANES, Plane, Scan, head_masks, take_slice, tumour_mask
from unifocal.data.phantom_tumour import KINDS, Kind, Tumour
from unifocal.problems import Problem, bad_input, raise_if_any

SMALLEST_SIZE = 32
SLICES_PER_PATIENT = (2, 3, 3, 4)
SMALLEST_SECTION_MM2 = 100.0
COLUMNS = ("case", "patient", "class", "plane")


@dataclass(frozen=True)
class PhantomSlice:
    """One slice of the phantom.

    Attributes:
        case: Its name.
        patient: Whose head it is.
        kind: The patient's tumour.
        plane: Its orientation.
        image: (size, size), grey values.
        mask: (size, size), True in the tumour.
        brain: (size, size), True in the brain, its fluid and its tumour; None unless asked for.
        head: (size, size), True inside the skin; None unless asked for.
    """

    case: str
    patient: str
    kind: Kind
    plane: Plane
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    brain: NDArray[np.bool_] | None = None
    head: NDArray[np.bool_] | None = None


def phantom_slices(*, patients: int, seed: int, size: int, with_brain: bool = False) -> Iterator[PhantomSlice]:
    """The slices of the phantom, patient by patient.

    A patient depends on the seed and on his or her number alone: fewer patients are the first of
    more, and `size` changes the pixels but not the anatomy.

    Args:
        patients: How many heads. Every three in a row hold one tumour of each kind.
        seed: Of everything random.
        size: Rows and columns of the pictures.
        with_brain: Whether to say where brain and head are.

    Yields:
        Two to four slices per patient, in the three planes by turns, all through the tumour.
    """
    for index in range(patients):
        rng = np.random.default_rng([seed, 0, index])
        order = np.random.default_rng([seed, 1, index // len(KINDS)]).permutation(len(KINDS))
        kind = KINDS[order[index % len(KINDS)]]
        anatomy = Anatomy.draw(rng)
        tumour = Tumour.draw(rng, kind, anatomy)
        patient = f"P{index + 1:03d}"
        planes = rng.permutation(len(PLANES))
        for number in range(rng.choice(SLICES_PER_PATIENT)):
            scan = _scan_through(rng, PLANES[planes[number % len(PLANES)]], anatomy, tumour)
            image, mask = take_slice(scan, anatomy, tumour, size)
            case = f"{patient}-{number + 1}"
            brain, head = head_masks(scan, anatomy, tumour, size) if with_brain else (None, None)
            yield PhantomSlice(case, patient, kind, scan.plane, image, mask, brain, head)


def _scan_through(rng: np.random.Generator, plane: Plane, anatomy: Anatomy, tumour: Tumour) -> Scan:
    """A scan that cuts the tumour off centre, as far as it leaves a section worth seeing."""
    centre = anatomy.to_scanner(np.array(tumour.body.centre))[LAYOUT[plane][0]]
    off_centre = 0.7 * tumour.radius_mm * rng.uniform(-1, 1)
    scan = Scan.draw(rng, plane, float(centre))
    for share in (1.0, 0.5):
        aside = scan.moved(off_centre * share)
        section = tumour_mask(aside, anatomy, tumour, 64).mean() * scan.width_mm**2
        if section >= SMALLEST_SECTION_MM2:
            return aside
    return scan


def write_phantom(folder: Path, *, patients: int = 24, seed: int = 0, size: int = 128) -> None:
    """Write the built-in data set: `images/`, `masks/` (0/255) and `cases.csv`.

    The same arguments give the same bytes. Nothing is left behind when writing fails.

    Args:
        folder: Where to; made if it does not exist.
        patients: How many heads, at least 1.
        seed: Of everything random, at least 0.
        size: Rows and columns of the pictures, at least 32.

    Raises:
        InputError: If `folder` holds something already or an argument is out of range.
    """
    _check(patients, seed, size)
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise bad_input(str(folder), "it exists and is not an empty folder", "Name a new folder, or empty it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".phantom-") as workplace:
        draft = Path(workplace) / folder.name
        _write(draft, phantom_slices(patients=patients, seed=seed, size=size))
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)


def _check(patients: int, seed: int, size: int) -> None:
    limits = {
        "patients": (patients, 1),
        "seed": (seed, 0),
        "size": (size, SMALLEST_SIZE),
    }
    raise_if_any(
        [
            Problem(name, f"{value} is too small", f"Give {least} or more")
            for name, (value, least) in limits.items()
            if value < least
        ]
    )


def _write(folder: Path, slices: Iterator[PhantomSlice]) -> None:
    images, masks = folder / "images", folder / "masks"
    images.mkdir(parents=True)
    masks.mkdir()
    with (folder / "cases.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for one in slices:
            Image.fromarray(one.image).save(images / f"{one.case}.png")
            mask = np.where(one.mask, 255, 0).astype(np.uint8)
            Image.fromarray(mask).save(masks / f"{one.case}.png")
            table.writerow((one.case, one.patient, one.kind, one.plane))
