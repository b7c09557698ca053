"""What a reader returns: an array with its place in space."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.problems import Problem


@dataclass(frozen=True)
class Scan:
    """An image or a mask as its files hold it.

    Spatial axes are (rows, columns), or (slices, rows, columns): the axis that varies fastest in the file comes last,
    as in DICOM and SimpleITK, and reversed from nibabel.

    Attributes:
        array: An image is float32 (channels, *spatial) in the file's own units (Hounsfield units for CT); a mask is
            integers (*spatial).
        spacing_mm: Distance between the centres of neighbouring elements along each spatial axis; None where the
            files do not say, as with most pictures.
        affine: (4, axes + 1) float64: maps (index along each spatial axis, 1) to (x, y, z, 1) in mm, x to the
            patient's left-to-right, y posterior-to-anterior, z inferior-to-superior (RAS, as NIfTI); None where the
            files do not say.
        patient: Whose scan it is, as a one-way hash of what the header says; "" where it says nothing.
        notes: What the reader noticed that does not stop it from reading: warnings, and errors of content.
    """

    array: NDArray[Any]
    spacing_mm: tuple[float, ...] | None = None
    affine: NDArray[np.float64] | None = None
    patient: str = ""
    notes: tuple[Problem, ...] = ()
