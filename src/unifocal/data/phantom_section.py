"""The large surfaces of a head, on which everything in it hangs."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unifocal.data.phantom_anatomy import Anatomy
from unifocal.data.phantom_shapes import (
    Ellipsoid,
    Field,
    Shape,
    Tube,
    intersection,
    mirrored,
    union,
)

VAULT = Ellipsoid((0, -4, 8), (67, 86, 66))
TEMPORAL_FOSSA = Ellipsoid((36, 6, -15), (26, 41, 25))
POSTERIOR_FOSSA = Ellipsoid((0, -50, -28), (53, 37, 36))
PREPONTINE_SPACE = Ellipsoid((0, -10, -26), (21, 22, 26))
SPINAL_CANAL = Tube(((0, -22, -48, 15), (0, -26, -68, 10), (0, -34, -110, 9), (0, -28, -200, 9)))
FRONTAL_FLOOR_MM = -9.0
CALLOSAL_CORE = Ellipsoid((0, -6, 2), (200, 39, 24))
CISTERNS = Ellipsoid((0, 2, -21), (15, 22, 17))

FACE: tuple[tuple[Shape, float], ...] = (  # with the width in mm over which each melts in
    (Ellipsoid((0, 44, -40), (60, 49, 42)), 18),
    (Ellipsoid((0, 40, -82), (50, 49, 44)), 14),
    (Ellipsoid((0, 78, -106), (22, 19, 17)), 12),
    (Ellipsoid((0, 84, -82), (20, 15, 12)), 9),
    (Tube(((0, 86, -18, 6), (0, 103, -52, 9))), 9),
    (Ellipsoid((8, 96, -55), (8, 9, 7)), 7),
    (Ellipsoid((77, -24, -34), (5, 13, 22)), 5),
    (Tube(((0, -24, -30, 60), (0, -24, -130, 55), (0, -22, -210, 60))), 16),
)


def cavity(points: Field) -> Field:
    """Signed distance of the intracranial space and the spinal canal, in atlas coordinates."""
    folded = mirrored(points)
    floor = FRONTAL_FLOOR_MM - points[2]
    inside = intersection(VAULT.distance(points), floor, 16)
    inside = union(inside, TEMPORAL_FOSSA.distance(folded), 6)
    inside = union(inside, POSTERIOR_FOSSA.distance(points), 10)
    inside = union(inside, PREPONTINE_SPACE.distance(points), 8)
    return union(inside, SPINAL_CANAL.distance(points), 8)


class Section:
    """Some points of a head, and how far they are from its surfaces.

    Surfaces are signed distances in mm, negative inside, worked out when first asked for.

    Args:
        points: Atlas coordinates (3, ...) in mm.
        anatomy: The person.
    """

    def __init__(self, points: Field, anatomy: Anatomy) -> None:
        self.points = points
        self.folded = mirrored(points)
        self.anatomy = anatomy

    def part(self, where: NDArray[np.bool_]) -> "Section":
        """The points at which `where` holds, in a row."""
        return Section(self.points[:, where], self.anatomy)

    @cached_property
    def coarse(self) -> Field:
        """Texture of about 40 mm."""
        return self.anatomy.coarse(self.points)

    @cached_property
    def fine(self) -> Field:
        """Texture of about 9 mm."""
        return self.anatomy.fine(self.points)

    @cached_property
    def cavity(self) -> Field:
        """Inner surface of the skull and of the spinal canal."""
        return cavity(self.points)

    @cached_property
    def skin(self) -> Field:
        """Outer surface of the head."""
        # the scalp follows the skull, not the spinal canal
        skin: Field = np.maximum(self.cavity, -62 - self.points[2])
        skin = skin - np.float32(self.anatomy.bone_mm + self.anatomy.scalp_mm)
        for shape, blend_mm in FACE:
            skin = union(skin, shape.distance(self.folded), blend_mm)
        return skin

    @cached_property
    def below_tentorium(self) -> Field:
        """The space under the tentorium and behind the petrous bones, without its floor."""
        x, y, z = self.folded
        tentorium = z - (6 - 0.3 * x + 0.25 * (y + 25))
        return intersection(0.93 * tentorium, 0.9 * (y + 14 + 0.45 * x), 18)

    @cached_property
    def cerebrum(self) -> Field:
        """Surface of the cerebral hemispheres, with the fissure between them."""
        atrophy = self.anatomy.atrophy
        half_fissure = self.folded[0] - 0.6 - 0.9 * atrophy
        fissure = np.maximum(half_fissure, -CALLOSAL_CORE.distance(self.points))
        limits = (
            self.cavity + 1.0 + 2.5 * atrophy,
            1.2 - self.below_tentorium,
            -CISTERNS.distance(self.points),
            -fissure,
            -52 - self.points[2],
        )
        return np.asarray(np.maximum.reduce(limits), dtype=np.float32)

    @cached_property
    def cerebellum(self) -> Field:
        """Surface of the cerebellum."""
        hull = intersection(self.cavity + 2.5, self.below_tentorium + 2.0, 6)
        return np.asarray(np.maximum(hull, -62 - self.points[2]), dtype=np.float32)
