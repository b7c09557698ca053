"""One case written anew, in a format that loses nothing. Runs in a process of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.data.case import Case
from unifocal.data.coding import MaskCoding, label_values
from unifocal.data.read import read_image, read_mask
from unifocal.data.scan import Scan
from unifocal.problems import InputError

EXTENSIONS = (".png", ".tif", ".nii.gz")
"""Of what `rewrite` writes."""

_LARGEST_WHOLE_FLOAT32 = 2**24


@dataclass(frozen=True)
class Rewriting:
    """What to write where.

    Attributes:
        case: What to read.
        images: The folder for the image.
        masks: The folder for the mask.
        coding: What the mask's values mean.
        in_colour: Whether pictures of one channel get three.
        binary: Whether all that is not 0 in this mask is foreground, whatever `coding` says.
    """

    case: Case
    images: Path
    masks: Path
    coding: MaskCoding
    in_colour: bool
    binary: bool


def rewrite(task: Rewriting) -> str:
    """Write a case's image and mask.

    Returns:
        Why it cannot be written; "" where it is.
    """
    case = task.case
    try:
        image = read_image(case.image)
        mask = None if case.mask is None else read_mask(case.mask, like=image)
    except InputError as error:
        return error.problems[0].what
    channels, is_volume = len(image.array), image.array.ndim == 4
    if channels != 1 and (is_volume or channels != 3):
        return f"it has {channels} channels, for which two folders have no place"
    if is_volume:
        _write_volume(task.images / f"{case.name}.nii.gz", image.array[0], image, case)
    else:
        _write_picture(task.images, case.name, np.moveaxis(image.array, 0, -1), in_colour=task.in_colour)
    if mask is None:
        return ""
    labels = _labels(mask.array, task, white=1 if is_volume else 255)
    if is_volume:
        _write_volume(task.masks / f"{case.name}.nii.gz", labels, image, case)
    elif labels.max() <= 65535 and labels.min() >= 0:
        _write_png(task.masks / f"{case.name}.png", labels)
    else:
        return f"its mask has the value {max(labels.max(), -labels.min())}, which no PNG holds"
    return ""


def _labels(mask: NDArray[Any], task: Rewriting, *, white: int) -> NDArray[Any]:
    """Binary masks get the same two values; label numbers stay, also those that are not to be kept."""
    is_white = task.coding.threshold is not None or task.coding.is_black_and_white
    if task.binary or is_white:
        foreground = mask != 0 if task.binary else label_values(mask, task.coding) != 0
        values: NDArray[np.uint8] = np.where(foreground, white if is_white else 1, 0).astype(np.uint8)
        return values
    return mask


def _write_picture(folder: Path, name: str, pixels: NDArray[np.float32], *, in_colour: bool) -> None:
    if in_colour and pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    largest = 255 if pixels.ndim == 3 else 65535
    if pixels.min() >= 0 and pixels.max() <= largest and np.array_equal(pixels, np.floor(pixels)):
        _write_png(folder / f"{name}.png", pixels)
        return
    import tifffile

    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(folder / f"{name}.tif", pixels, photometric=photometric, compression=None)


def _write_png(path: Path, pixels: NDArray[Any]) -> None:
    from PIL import Image

    Image.fromarray(pixels.astype(np.uint8 if pixels.max() <= 255 else np.uint16)).save(path)


def _write_volume(path: Path, array: NDArray[Any], place: Scan, case: Case) -> None:
    """As NIfTI, where the image lies; the axes are reversed into nibabel's order."""
    import nibabel as nib

    affine = None
    if place.affine is not None:
        affine = np.column_stack((place.affine[:, 2::-1], place.affine[:, 3]))
    volume = nib.Nifti1Image(_smallest(array).T, affine)  # type: ignore[no-untyped-call]
    if affine is None:
        volume.header.set_zooms((case.spacing_mm or place.spacing_mm or (1.0, 1.0, 1.0))[::-1])  # type: ignore[no-untyped-call]
    volume.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    nib.save(volume, path)


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    """The array in a type that NIfTI readers know and that keeps every value."""
    low, high = array.min(), array.max()
    is_whole = array.dtype.kind in "iu" or bool((array == np.floor(array)).all())
    for kind in (np.uint8, np.int16, np.int32):
        limits = np.iinfo(kind)
        if is_whole and limits.min <= low and high <= limits.max and abs(high) <= _LARGEST_WHOLE_FLOAT32:
            return array.astype(kind)
    return array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int32)
