"""The inside of the phantom's skull: meninges, fluid, cortex, ventricles, brainstem, vessels."""

import numpy as np
from numpy.typing import NDArray

from unifocal.data.phantom_section import CALLOSAL_CORE, Section
from unifocal.data.phantom_shapes import (
    Canvas,
    Ellipsoid,
    Field,
    Shape,
    Tube,
    column,
    mirrored,
    norm,
    ramp,
    union,
)

CORTEX_MM = 3.0
HEART_OF_BRAIN = (0.0, -8.0, 4.0)
DEEP_GREY = (
    Ellipsoid((10, -12, 5), (8, 14, 9)),  # thalamus
    Ellipsoid((26, 5, 3), (5, 17, 9)),  # lentiform nucleus
    Ellipsoid((13, 22, 9), (5, 9, 8)),  # head of the caudate nucleus
)
# From the frontal horn over the body to the atrium, then the occipital and the temporal horn.
LATERAL_VENTRICLE = Tube(
    ((9, 33, 7, 3.4), (8, 22, 12, 4.6), (9, 5, 17, 4.2), (13, -18, 18, 4.2), (24, -36, 8, 6.0),
     (26, -60, 5, 1.8))
)  # fmt: skip
TEMPORAL_HORN = Tube(((24, -36, 8, 4.0), (33, -25, -10, 1.4), (31, 0, -18, 1.4)))
THIRD_VENTRICLE = Ellipsoid((0, -3, 1), (1.6, 13, 10))
FOURTH_VENTRICLE = Ellipsoid((0, -31, -30), (6, 4.5, 9))
CHOROID_PLEXUS = Tube(((6, 0, 17, 0.6), (12, -20, 17, 1.2), (23, -36, 6, 2.4), (31, -26, -9, 0.8)))
DENTATE = Ellipsoid((17, -38, -30), (17, 10, 8))
BRAINSTEM: tuple[Shape, ...] = (
    Tube(((0, -13, -2, 13), (0, -16, -18, 12), (0, -20, -42, 10), (0, -24, -64, 6.5))),
    Ellipsoid((0, -10, -29), (15, 12, 13)),  # pons
    Tube(((0, -24, -60, 6.5), (0, -34, -110, 5), (0, -28, -200, 5))),  # spinal cord
    Tube(((4, -12, -5, 7), (14, -2, 0, 7))),  # cerebral peduncle
)
ARTERIES: tuple[Shape, ...] = (
    Tube(((0, 5, -40, 1.7), (0, 6, -22, 1.7), (0, 2, -15, 1.6))),  # basilar
    Tube(((1, 3, -15, 1.2), (12, -4, -14, 1.1), (20, -24, -8, 0.9))),  # posterior cerebral
    Tube(((12, 10, -14, 1.8), (22, 9, -11, 1.6), (36, 8, -8, 1.5), (44, -10, 2, 1.1))),  # middle
    Tube(((12, 10, -14, 1.6), (1.5, 18, -10, 1.3), (1.5, 36, 4, 1.2), (1.5, 30, 22, 1.1),
          (1.5, 0, 31, 1.0), (1.5, -30, 26, 0.8))),  # anterior cerebral
)  # fmt: skip
DEEP_VEINS: tuple[Shape, ...] = (
    Tube(((1.5, 6, 12, 0.9), (1.5, -25, 11, 1.2), (0, -38, 10, 2.0))),  # internal cerebral, Galen
    Tube(((0, -38, 10, 1.9), (0, -82, -8, 2.4))),  # straight sinus
    Ellipsoid((0, -32, 5), (3, 4, 3)),  # pineal gland
)
SIGMOID_SINUS = Tube(((6, -88, -10, 3.4), (30, -78, -13, 3.2), (52, -48, -16, 3.2),
                      (46, -34, -36, 3.4), (30, -28, -50, 3.6)))  # fmt: skip
CLIVUS = Tube(((0, 13, -33, 8), (0, -1, -62, 6)))
SPHENOID = Ellipsoid((0, 27, -33), (17, 15, 12))
SPHENOID_SINUS = Ellipsoid((0, 31, -34), (13, 11, 9))
PITUITARY = Ellipsoid((0, 19, -20), (6.5, 5, 4))
PITUITARY_STALK = Tube(((0, 18, -17, 1.3), (0, 13, -7, 1.2)))
CAVERNOUS_CAROTID = Tube(((13, 12, -30, 2.6), (12, 24, -22, 2.6), (12, 14, -17, 2.4)))
PETROUS_BONE = Tube(((19, -15, -33, 5), (38, -25, -35, 8), (56, -36, -40, 10)))


FORAMEN_MAGNUM_MM = -62.0
FLUID_MM = (1.0, 2.5)  # between skull and brain: of the young, and what age adds


def inside_meninges(section: Section) -> NDArray[np.bool_]:
    """Where the brain is, with the fluid and the vessels between its parts.

    That is the inside of the skull down to the foramen magnum, without the fluid that covers the brain and without
    the bones of the base; tumours are not part of it.

    Args:
        section: Some points of a head.

    Returns:
        (...), one value per point.
    """
    covered_mm = FLUID_MM[0] + FLUID_MM[1] * section.anatomy.atrophy
    bones = [bone.distance(section.folded) < 0 for bone in (PETROUS_BONE, CLIVUS, SPHENOID)]
    above = section.points[2] > FORAMEN_MAGNUM_MM
    return np.asarray((section.cavity < -covered_mm) & above & ~np.logical_or.reduce(bones))


def paint_brain(canvas: Canvas, section: Section, pushed: Field) -> None:
    """Paint skull and contents.

    Args:
        canvas: Where to; the face is on it.
        section: Its pixels.
        pushed: Atlas coordinates (3, ...) of its pixels in mm, displaced by whatever presses on
            the brain.
    """
    offset = pushed - column(HEART_OF_BRAIN, pushed)
    shrink = (55 / np.maximum(norm(offset), 8)) ** 0.55
    # seen so, the sulci stand upright on the surface
    radial = np.asarray(offset * shrink, dtype=np.float32)
    sulci = section.anatomy.gyri.sheet_distance(radial)
    _paint_skull(canvas, section)
    _paint_cortex(canvas, section, pushed, sulci)
    _paint_cerebellum(canvas, section, pushed)
    _paint_deep(canvas, section, pushed)
    _paint_skull_base(canvas, section)
    _paint_meninges(canvas, section)
    _paint_arteries(canvas, section, pushed)
    vessels = np.hypot(sulci, section.anatomy.crossing.sheet_distance(radial))
    filled = ramp(section.coarse, -0.6, 0.8)  # not every sulcus holds a vessel that shows
    vessels -= (0.3 + 0.8 * filled) * ramp(section.cerebrum, -24, -3)
    inside = np.maximum(section.cavity + 1.5, section.cerebrum - 3)
    canvas.paint(np.maximum(vessels, inside), section.anatomy.tissues.vessel, 0.25 + 0.65 * filled)


def _paint_skull(canvas: Canvas, section: Section) -> None:
    """Two dark tables of bone with marrow between them; inside, dura and fluid."""
    tissues, inner, z = section.anatomy.tissues, section.cavity, section.points[2]
    full_mm = section.anatomy.bone_mm
    bone_mm = 1.5 + (full_mm - 1.5) * ramp(z, -72, -54)
    canvas.paint(inner - bone_mm, tissues.bone)
    marrow = np.abs(inner - full_mm / 2) - (full_mm / 2 - 1.7 + 0.9 * section.coarse)
    canvas.paint(np.maximum(marrow, -20 - z), tissues.marrow, 0.75)
    canvas.paint(inner - 0.6, 0.8 * tissues.white)
    canvas.paint(inner + 0.6, tissues.csf)


def _paint_cortex(canvas: Canvas, section: Section, pushed: Field, sulci: Field) -> None:
    """White matter under a ribbon of cortex, which follows the sulci down."""
    tissues, atrophy = section.anatomy.tissues, section.anatomy.atrophy
    depth, (x, y, z) = -section.cerebrum, mirrored(pushed)
    reach_mm = 13 + 3 * section.coarse
    half_width = (0.35 + 1.3 * atrophy) * np.clip(1.3 - depth / reach_mm, 0, 1)
    sulcus = np.hypot(sulci, np.maximum(depth - reach_mm, 0)) - half_width
    sylvian = np.abs(z + 4 + 0.22 * y + 2 * section.coarse) - 1.0 - atrophy
    sylvian = np.maximum(sylvian, np.maximum(30 - x, np.abs(y - 4) - 27))
    insula = np.maximum(np.abs(x - 34) - 0.8, np.hypot(y - 2, z) - 16)
    nearest = np.minimum.reduce((depth, sulcus, sylvian, insula))
    pial = np.asarray(nearest, dtype=np.float32)

    white = tissues.white * (1 + 0.015 * section.fine + 0.02 * section.coarse)
    to_white = ramp(pial, CORTEX_MM - 1.2, CORTEX_MM + 1.4)
    ribbon = tissues.grey + to_white * (white - tissues.grey)
    canvas.paint(-pial, np.asarray(ribbon, dtype=np.float32))


def _paint_cerebellum(canvas: Canvas, section: Section, pushed: Field) -> None:
    """Leaves of cortex around white matter."""
    tissues, depth = section.anatomy.tissues, -section.cerebellum
    heart = DENTATE.distance(mirrored(pushed))
    wobble = 1.6 * section.coarse + 1.4 * section.anatomy.fine(pushed * np.float32(0.6))
    leaves = np.sin(heart * np.float32(2 * np.pi / 7) + wobble)
    leaves *= 0.4 + 0.6 * ramp(section.fine, -1, 1)
    white = ramp(heart, 4, -1)
    grey = tissues.grey + 0.09 * tissues.white * leaves * ramp(depth, 0, 5)
    canvas.paint(section.cerebellum, grey + white * (tissues.white - grey))
    clefts = ramp(leaves, -0.55, -0.95) * ramp(depth, 16, 2) * (1 - white)
    canvas.paint(section.cerebellum, tissues.csf, 0.45 * clefts)


def _paint_deep(canvas: Canvas, section: Section, pushed: Field) -> None:
    """Deep grey matter, corpus callosum, brainstem, ventricles and choroid plexus."""
    tissues, folded = section.anatomy.tissues, mirrored(pushed)
    for nucleus in DEEP_GREY:
        distance = nucleus.distance(folded)
        canvas.paint(distance, tissues.grey * 1.06, ramp(distance, 0.5, -2))
    core = CALLOSAL_CORE.distance(pushed)
    above = 2 - pushed[2] - 0.2 * pushed[1]
    callosum = np.maximum.reduce((np.abs(core + 3.5) - 3.0, folded[0] - 16, above))
    canvas.paint(callosum, tissues.white * 1.04)

    stem = BRAINSTEM[0].distance(folded)
    for part in BRAINSTEM[1:]:
        stem = union(stem, part.distance(folded), 5)
    canvas.paint(stem, tissues.white * (0.96 + 0.02 * section.fine))

    swollen = 3.4 * section.anatomy.atrophy - 0.8
    lateral = union(LATERAL_VENTRICLE.distance(folded), TEMPORAL_HORN.distance(folded), 3)
    canvas.paint(lateral - swollen, tissues.csf)
    for middle in (THIRD_VENTRICLE, FOURTH_VENTRICLE):
        canvas.paint(middle.distance(folded) - 0.3 * swollen, tissues.csf)
    septum = np.maximum.reduce((folded[0] - 0.5, core + 6, 8 - pushed[2], -pushed[1] - 10))
    canvas.paint(septum, tissues.white, 0.8)
    canvas.paint(CHOROID_PLEXUS.distance(folded) + 0.5 * section.fine, tissues.vessel * 0.9)


def _paint_skull_base(canvas: Canvas, section: Section) -> None:
    """Petrous bones, clivus, sphenoid with its sinus, and the pituitary gland on it."""
    tissues, folded = section.anatomy.tissues, section.folded
    petrous = PETROUS_BONE.distance(folded)
    canvas.paint(petrous, tissues.bone)
    canvas.paint(petrous + 2.5, tissues.marrow, 0.4 * ramp(section.fine, 0, 1))
    for bone in (CLIVUS, SPHENOID):
        distance = bone.distance(folded)
        canvas.paint(distance, tissues.bone)
        canvas.paint(distance + 1.5, tissues.marrow * (1 + 0.1 * section.fine))
    sinus = SPHENOID_SINUS.distance(folded)
    canvas.paint(sinus - 0.8, tissues.mucosa)
    canvas.paint(sinus, tissues.air)
    gland = PITUITARY.distance(folded)
    canvas.paint(gland - 0.8, tissues.white)
    canvas.paint(gland, 0.8 * tissues.vessel)
    canvas.paint(PITUITARY_STALK.distance(folded), 0.85 * tissues.vessel)


def _paint_meninges(canvas: Canvas, section: Section) -> None:
    """The enhancing falx and the venous sinuses along the dura."""
    vessel, inner, folded = section.anatomy.tissues.vessel, section.cavity, section.folded
    above_tentorium = ramp(folded[2] - 0.25 * folded[1], -6, 6)
    lower_edge = 16 - CALLOSAL_CORE.distance(section.points)
    falx = np.maximum.reduce((folded[0] - 0.5, inner, lower_edge))
    canvas.paint(falx, vessel * 0.6, 0.8 * above_tentorium)
    # the superior sagittal sinus: where the falx meets the vault
    sagittal = np.hypot(folded[0], inner + 2.5) - 3.4
    canvas.paint(np.maximum(sagittal, inner), vessel, above_tentorium)
    canvas.paint(np.maximum(SIGMOID_SINUS.distance(folded), inner), vessel)


def _paint_arteries(canvas: Canvas, section: Section, pushed: Field) -> None:
    """Carotids, the arteries at the base of the brain, and its deep veins."""
    vessel = section.anatomy.tissues.vessel
    carotid = CAVERNOUS_CAROTID.distance(section.folded)
    canvas.paint(carotid - 2.2, 0.6 * vessel)  # the cavernous sinus around it
    canvas.paint(carotid, vessel)
    winding = mirrored(pushed + np.float32(0.9) * section.fine)
    for tube in ARTERIES + DEEP_VEINS:
        canvas.paint(tube.distance(winding), vessel)
