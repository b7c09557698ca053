"""Everything of the phantom's head outside the skull: skin, fat, muscle, orbits, airways, spine."""

import numpy as np

from unifocal.data.phantom_section import Section
from unifocal.data.phantom_shapes import Canvas, Ellipsoid, Shape, Tube, column, ramp

# Painted in this order, mirrored: an organ of a pair is given on the left.
ORGANS: tuple[tuple[Shape, str], ...] = (
    (Ellipsoid((62, 28, -12), (8, 26, 26)), "muscle"),  # temporalis
    (Tube(((60, 36, -44, 4), (52, 56, -46, 5))), "bone"),  # zygoma
    (Ellipsoid((50, 26, -78), (9, 18, 30)), "muscle"),  # masseter
    (Ellipsoid((28, 20, -62), (13, 15, 22)), "muscle"),  # pterygoids
    (Ellipsoid((58, -4, -72), (10, 14, 20)), "mucosa"),  # parotid gland
    (Tube(((12, -66, -62, 8), (15, -62, -200, 10))), "muscle"),  # neck
    (Tube(((30, -64, -64, 6), (36, -50, -200, 9))), "muscle"),
    (Tube(((24, -42, -66, 8), (22, -42, -200, 9))), "muscle"),
    (Tube(((54, -38, -48, 6), (46, -18, -110, 8), (30, 8, -200, 8))), "muscle"),
    (Tube(((38, -26, -62, 6), (30, -26, -200, 8))), "muscle"),
    (Tube(((12, -3, -62, 5), (16, -4, -200, 7))), "muscle"),
    (Tube(((26, 4, -62, 2.5), (24, 6, -200, 3.2))), "vessel"),  # carotid artery, jugular vein
    (Tube(((34, -6, -58, 3.5), (34, 0, -200, 4.5))), "vessel"),
    (Ellipsoid((0, 44, -92), (23, 34, 20)), "muscle"),  # tongue
    (Ellipsoid((0, 40, -113), (20, 26, 6)), "fat"),
    (Ellipsoid((0, 58, -45), (14, 30, 22)), "bone"),  # nasal cavity
    (Ellipsoid((0, 60, -46), (1.8, 30, 19)), "muscle"),  # septum
    (Tube(((7, 82, -56, 3), (8, 38, -54, 3.5))), "mucosa"),  # turbinates
    (Tube(((7, 74, -44, 2.2), (7, 40, -42, 2.6))), "mucosa"),
    (Tube(((6, 66, -33, 1.5), (6, 42, -32, 1.8))), "mucosa"),
    (Ellipsoid((30, 57, -52), (13, 18, 16)), "air"),  # maxillary sinus
    (Ellipsoid((9, 80, 0), (9, 5, 9)), "air"),  # frontal sinus
    (Tube(((0, 82, -68, 2.5), (0, 34, -68, 2.5))), "bone"),  # hard palate
    (Tube(((14, 78, -68, 2.5), (18, 40, -68, 2.5))), "bone"),
    (Tube(((0, 32, -69, 3.5), (0, 20, -82, 3))), "mucosa"),  # soft palate
    (Tube(((0, 17, -52, 8), (0, 9, -76, 6), (0, 6, -104, 6), (0, 12, -200, 8))), "air"),
    (Tube(((0, 86, -86, 5), (18, 76, -86, 5), (27, 48, -84, 5))), "bone"),  # teeth
    (Tube(((0, 80, -106, 8), (26, 62, -106, 7), (43, 26, -96, 7), (47, 17, -52, 6))), "bone"),
    (Tube(((0, 80, -107, 5), (26, 62, -107, 4), (43, 26, -96, 4), (47, 17, -58, 3))), "marrow"),
    (Ellipsoid((31, 54, -27), (17, 27, 15)), "fat"),  # orbit
    (Ellipsoid((33, 67, -27), (12.5, 12.5, 12.5)), "muscle"),  # eye
    (Ellipsoid((33, 67, -27), (11, 11, 11)), "csf"),
    (Ellipsoid((33, 76, -27), (4.5, 2.2, 4.5)), "muscle"),  # lens
    (Tube(((32, 55, -27, 2.2), (13, 24, -17, 2.2))), "white"),  # optic nerve
    (Tube(((21, 60, -27, 1.5), (17, 44, -25, 2.6), (15, 30, -20, 1.5))), "mucosa"),  # recti
    (Tube(((45, 60, -27, 1.5), (37, 42, -25, 2.4), (19, 28, -20, 1.5))), "mucosa"),
    (Tube(((32, 62, -15, 1.5), (26, 44, -15, 2.2), (16, 28, -18, 1.5))), "mucosa"),
    (Tube(((32, 62, -39, 1.5), (26, 44, -37, 2.2), (16, 28, -22, 1.5))), "mucosa"),
)
ETHMOID = Ellipsoid((0, 50, -24), (11, 27, 13))
VERTEBRAL_BODIES = Tube(((0, -10, -66, 6), (0, -16, -110, 8.5), (0, -10, -200, 9)))
SPINOUS_PROCESSES = Tube(((0, -47, -68, 11), (0, -56, -200, 11)))
VERTEBRA_MM = 17.0


def paint_face(canvas: Canvas, section: Section) -> None:
    """Paint the outside of the head, as far as the skull (which is painted over it)."""
    tissues, skin = section.anatomy.tissues, section.skin
    fat = tissues.fat * (1 + 0.05 * section.fine)
    canvas.paint(skin, fat * (1 - 0.35 * ramp(skin, -1.5, 0)))
    _paint_flesh(canvas, section)
    _paint_spine(canvas, section)
    inside = np.maximum(skin + 2.5, -section.cavity)
    for organ, tissue in ORGANS:
        grey = getattr(tissues, tissue) * (1 + 0.07 * section.fine)
        canvas.paint(np.maximum(organ.distance(section.folded), inside), grey)
    _paint_ethmoid(canvas, section)


def _paint_flesh(canvas: Canvas, section: Section) -> None:
    """Muscle under the fat of face and neck, its fibres upright, marbled with fat."""
    tissues, points = section.anatomy.tissues, section.points
    streaks = section.anatomy.coarse(points * column((3.2, 3.2, 0.9), points))
    marbled = 0.08 + 0.4 * ramp(streaks + 0.4 * section.fine, -0.3, 2.4)
    cover_mm = section.anatomy.scalp_mm + 1.5 * section.coarse
    flesh = np.maximum(section.skin + cover_mm, points[2] + 8)
    canvas.paint(flesh, tissues.muscle + marbled * (tissues.fat - tissues.muscle))


def _paint_spine(canvas: Canvas, section: Section) -> None:
    """Vertebral bodies with their discs in front of the spinal canal, and spinous processes."""
    tissues = section.anatomy.tissues
    _, y, z = section.points
    bodies = VERTEBRAL_BODIES.distance(section.folded)
    disc = np.abs(np.mod(z + 66, VERTEBRA_MM) - VERTEBRA_MM / 2) - 2.2
    canvas.paint(bodies - 1.2, tissues.bone)
    canvas.paint(np.maximum(bodies, -disc), tissues.marrow * 0.9)
    canvas.paint(np.maximum(bodies, disc + 0.8), tissues.muscle)
    row = SPINOUS_PROCESSES.distance(section.folded)
    process = np.abs(np.mod(z - 0.5 * y, VERTEBRA_MM) - VERTEBRA_MM / 2) - 4.5
    canvas.paint(np.maximum(row, process), tissues.bone, 0.7)
    canvas.paint(np.maximum(row + 1.5, process + 1.5), tissues.marrow)


def _paint_ethmoid(canvas: Canvas, section: Section) -> None:
    """The air cells between the orbits, with their thin walls."""
    tissues, x = section.anatomy.tissues, section.folded[0]
    cells = ETHMOID.distance(section.folded)
    walls = np.minimum(x, np.abs(x - 6.5)) - 0.5
    canvas.paint(cells, tissues.bone)
    canvas.paint(np.maximum(cells, walls), tissues.mucosa * (0.8 + 0.15 * section.fine), 0.8)
