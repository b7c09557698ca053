"""From a head to a picture: a slice through it, as a scanner with its faults would show it."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unifocal.data.phantom_anatomy import Anatomy
from unifocal.data.phantom_brain import inside_meninges, paint_brain
from unifocal.data.phantom_face import paint_face
from unifocal.data.phantom_section import Section
from unifocal.data.phantom_shapes import Canvas, Field, Waves
from unifocal.data.phantom_tumour import Tumour

Plane = Literal["axial", "coronal", "sagittal"]
# (axis across the slice, axis and direction along columns, axis and direction down the rows):
# radiological convention, the patient's left is on the right of the picture.
LAYOUT: dict[Plane, tuple[int, tuple[int, int], tuple[int, int]]] = {
    "axial": (2, (0, 1), (1, -1)),
    "coronal": (1, (0, 1), (2, -1)),
    "sagittal": (0, (1, -1), (2, -1)),
}
# Middle of the picture in mm: the face takes up room below and in front.
MIDDLE_MM: dict[Plane, tuple[float, float, float]] = {
    "axial": (0, 5, 0),
    "coronal": (0, 0, -22),
    "sagittal": (0, 10, -24),
}
SLICE_MM = 1.8
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")


@dataclass(frozen=True)
class Scan:
    """How one slice was taken.

    Attributes:
        plane: Its orientation.
        offset_mm: Where the slice lies, along the axis across it.
        middle_mm: Middle of the picture (the value across the slice is ignored).
        width_mm: Field of view.
        blur_mm: Standard deviation of the point spread.
        noise: Standard deviation of the noise in each channel, white matter being about 0.38.
        bias: Smooth field of the coil's sensitivity.
        bias_strength: Standard deviation of its logarithm.
        brightness: Grey value that the 99.7th percentile is displayed at, 1 being white.
        noise_seed: Of the noise, which has a value per pixel.
    """

    plane: Plane
    offset_mm: float
    middle_mm: tuple[float, float, float]
    width_mm: float
    blur_mm: float
    noise: float
    bias: Waves
    bias_strength: float
    brightness: float
    noise_seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator, plane: Plane, offset_mm: float) -> "Scan":
        """A scan of a plane at a place, the rest at random."""
        shift = rng.normal(0, 4, size=3)
        x, y, z = np.add(MIDDLE_MM[plane], shift)
        return cls(
            plane=plane,
            offset_mm=offset_mm,
            middle_mm=(float(x), float(y), float(z)),
            width_mm=rng.uniform(222, 252),
            blur_mm=rng.uniform(0.5, 1.0),
            noise=float(np.exp(rng.uniform(np.log(0.006), np.log(0.03)))),
            bias=Waves.draw(rng, 260, 6),
            bias_strength=rng.uniform(0.04, 0.16),
            brightness=rng.uniform(0.8, 1.1),
            noise_seed=int(rng.integers(2**31)),
        )

    def moved(self, by_mm: float) -> "Scan":
        """The same scan of the slice `by_mm` further along."""
        return replace(self, offset_mm=self.offset_mm + by_mm)

    def points(self, size: int) -> Field:
        """Scanner coordinates (3, size, size) of the pixel centres in mm."""
        across, (right, right_sign), (down, down_sign) = LAYOUT[self.plane]
        steps = ((np.arange(size) + 0.5) / size - 0.5) * self.width_mm
        points = np.empty((3, size, size), dtype=np.float32)
        points[across] = self.offset_mm
        points[right] = self.middle_mm[right] + right_sign * steps[None, :]
        points[down] = self.middle_mm[down] + down_sign * steps[:, None]
        return points

    def expose(self, scene: Field, points: Field) -> NDArray[np.uint8]:
        """The picture of a slice: blurred, unevenly lit, noisy, and scaled to 8 bits."""
        pixel_mm = self.width_mm / scene.shape[0]
        blurred = ndimage.gaussian_filter(scene, self.blur_mm / pixel_mm)
        lit = blurred * np.exp(self.bias_strength * self.bias(points))
        rng = np.random.default_rng(self.noise_seed)
        real, imaginary = self.noise * rng.standard_normal((2, *scene.shape))
        magnitude = np.hypot(lit + real, imaginary)  # Rician
        shown = magnitude * (self.brightness / np.percentile(magnitude, 99.7))
        return np.asarray(np.rint(255 * np.clip(shown, 0, 1)), dtype=np.uint8)


def tumour_mask(scan: Scan, anatomy: Anatomy, tumour: Tumour, size: int) -> NDArray[np.bool_]:
    """The pixels (size, size) whose centres lie in the tumour."""
    return tumour.distance(Section(anatomy.to_atlas(scan.points(size)), anatomy)) < 0


def head_masks(scan: Scan, anatomy: Anatomy, tumour: Tumour, size: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Brain (with its tumour) and head, both (size, size)."""
    section = Section(anatomy.to_atlas(scan.points(size)), anatomy)
    brain = inside_meninges(section) | (tumour.distance(section) < 0)
    return brain, np.asarray(section.skin < 0)


def take_slice(scan: Scan, anatomy: Anatomy, tumour: Tumour, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The picture and the tumour's mask, both (size, size)."""
    scanner = scan.points(size)
    picture = Section(anatomy.to_atlas(scanner), anatomy)
    scene = np.zeros((size, size), dtype=np.float32)
    edge_mm = max(SLICE_MM, scan.width_mm / size)
    in_head = picture.skin < edge_mm
    head = picture.part(in_head)
    canvas = Canvas(head.cavity.shape, edge_mm)

    outside = head.cavity > -edge_mm
    face = Canvas((int(outside.sum()),), edge_mm)
    paint_face(face, head.part(outside))
    canvas.grey[outside] = face.grey
    paint_brain(canvas, head, tumour.push(head.points))
    tumour.paint(canvas, head)
    scene[in_head] = canvas.grey
    return scan.expose(scene, scanner), tumour.distance(picture) < 0
