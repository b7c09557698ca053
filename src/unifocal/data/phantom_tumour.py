"""The phantom's tumours: meningioma, glioma and pituitary tumour."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unifocal.data.phantom_anatomy import Anatomy
from unifocal.data.phantom_section import Section, cavity
from unifocal.data.phantom_shapes import (
    Canvas,
    Ellipsoid,
    Field,
    Vector,
    Waves,
    column,
    intersection,
    norm,
    ramp,
)

Kind = Literal["meningioma", "glioma", "pituitary"]
KINDS: tuple[Kind, ...] = ("meningioma", "glioma", "pituitary")
CANDIDATES = 600


@dataclass(frozen=True)
class Habit:
    """How a kind of tumour grows.

    Attributes:
        radius_mm: Median radius.
        spread: Standard deviation of the radius's logarithm.
        largest_mm: Radius beyond which it would not have been left to grow.
        lumpiness: Standard deviation of its surface, as a share of the radius.
        pressure: How strongly it pushes the brain aside, 0 to 1.
    """

    radius_mm: float
    spread: float
    largest_mm: float
    lumpiness: float
    pressure: float


SMALLEST_MM = 6.5
HABITS: dict[Kind, Habit] = {
    "meningioma": Habit(16.5, 0.35, 32.0, 0.06, 0.5),
    "glioma": Habit(23.5, 0.30, 36.0, 0.17, 0.3),
    "pituitary": Habit(11.0, 0.22, 18.0, 0.07, 0.2),
}


@dataclass(frozen=True)
class Tumour:
    """One tumour, in atlas coordinates.

    Attributes:
        kind: What it is.
        radius_mm: Mean radius.
        body: Its shape before lumps.
        lumps: Irregularity of its surface.
        texture: Its inner structure.
        contrast: Enhancement above white matter, relative to that of vessels.
        rim: Thickness of a glioma's ring, as a share of the radius.
        oedema_mm: How far the swelling around it reaches.
    """

    kind: Kind
    radius_mm: float
    body: Ellipsoid
    lumps: Waves
    texture: Waves
    contrast: float
    rim: float
    oedema_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, kind: Kind, anatomy: Anatomy) -> "Tumour":
        """A tumour of random place, size, shape and enhancement in a head."""
        habit = HABITS[kind]
        radius = habit.radius_mm * float(np.exp(habit.spread * rng.normal()))
        radius = min(max(radius, SMALLEST_MM), habit.largest_mm)
        place = {"meningioma": _dural, "glioma": _in_white_matter, "pituitary": _sellar}[kind]
        stretch = np.exp(rng.normal(0, 0.13, size=3))
        stretch /= stretch.prod() ** (1 / 3)
        radii = tuple(float(radius * s) for s in stretch)
        return cls(
            kind=kind,
            radius_mm=radius,
            body=Ellipsoid(_vector(place(rng, radius, anatomy)), _vector(np.array(radii))),
            lumps=Waves.draw(rng, 1.7 * radius, 20, spread=0.4),
            texture=Waves.draw(rng, 0.9 * radius + 6, 20, spread=0.4),
            contrast=rng.uniform(0.12, 0.9),
            rim=rng.uniform(0.14, 0.45),
            oedema_mm=_oedema(rng, kind),
        )

    def distance(self, section: Section) -> Field:
        """Signed distance in mm to its surface."""
        points = section.points
        lumps = HABITS[self.kind].lumpiness * self.radius_mm * self.lumps(points)
        body = self.body.distance(points) + lumps
        if self.kind == "meningioma":
            return intersection(body, section.cavity + 0.3, 1.5)
        if self.kind == "glioma":
            side = np.float32(np.sign(self.body.centre[0]))
            hemisphere = np.maximum(section.cerebrum + 0.8, -side * points[0])
            return intersection(body, hemisphere, 4)
        return np.asarray(body, dtype=np.float32)

    def push(self, points: Field) -> Field:
        """Where the tissue at `points` was before the tumour pressed it aside."""
        offset = points - column(self.body.centre, points)
        reach = norm(offset) / np.float32(1.7 * self.radius_mm)
        pressure = HABITS[self.kind].pressure * np.exp(-reach * reach)
        return np.asarray(points - pressure * offset, dtype=np.float32)

    def paint(self, canvas: Canvas, section: Section) -> None:
        """Paint it, with what it does to its surroundings.

        Args:
            canvas: The finished head.
            section: Its pixels.
        """
        tissues, distance = section.anatomy.tissues, self.distance(section)
        texture = self.texture(section.points)
        enhanced = tissues.white + self.contrast * (tissues.vessel - tissues.white)
        if self.oedema_mm > 0:
            reach = distance - self.oedema_mm * (1 + 0.4 * texture)
            swollen = np.maximum(reach, section.cerebrum + 3)
            canvas.paint(swollen, 0.68 * tissues.white, 0.8 * ramp(swollen, 0, -4))
        if self.kind == "glioma":
            ring_mm = np.maximum(2.0, self.rim * self.radius_mm * (1 + 0.45 * texture))
            canvas.paint(distance, enhanced * (1 + 0.06 * texture))
            necrosis = tissues.white * (0.5 + 0.1 * texture)
            core = distance + ring_mm
            canvas.paint(core, necrosis, ramp(core, 0.5, -2.5))
            return
        if self.kind == "meningioma":
            tail = np.maximum(np.abs(section.cavity + 0.8) - 1.0, distance - 0.45 * self.radius_mm)
            canvas.paint(tail, enhanced, 0.7)
            canvas.paint(distance - 1.0, 0.8 * tissues.grey, 0.6)
        canvas.paint(distance, enhanced * (1 + 0.045 * texture))


def _oedema(rng: np.random.Generator, kind: Kind) -> float:
    if kind == "pituitary" or (kind == "meningioma" and rng.random() < 0.5):
        return 0.0
    return float(rng.uniform(4, 14))


def _vector(values: NDArray[np.float64]) -> Vector:
    return float(values[0]), float(values[1]), float(values[2])


def _dural(rng: np.random.Generator, radius: float, anatomy: Anatomy) -> NDArray[np.float64]:
    """A centre from which a ball of `radius` sits broadly on the dura of the vault or the falx."""
    del anatomy
    sink = radius * rng.uniform(0.35, 0.7)
    if rng.random() < 0.3:
        angle = np.radians(rng.uniform(20, 150))
        side = rng.choice([-1.0, 1.0])
        return np.array([side * sink, -4 + 60 * np.cos(angle), 10 + 46 * np.sin(angle)])
    while True:
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        if direction[2] > -0.35:
            break
    centre = np.array([0.0, -4.0, 6.0])
    steps = np.arange(0, 100, 0.5)
    ray = (centre[:, None] + direction[:, None] * steps).astype(np.float32)
    reach = steps[int(np.argmax(cavity(ray) > 0))]
    return np.asarray(centre + direction * (reach - sink), dtype=np.float64)


def _in_white_matter(rng: np.random.Generator, radius: float, anatomy: Anatomy) -> NDArray[np.float64]:
    """A centre in the cerebrum, the deeper the larger the tumour."""
    low, high = (-52, -70, -28), (52, 62, 58)
    candidates = rng.uniform(low, high, size=(CANDIDATES, 3))
    depth = -Section(candidates.T.astype(np.float32), anatomy).cerebrum
    deep_enough = depth > min(0.75 * radius, 0.85 * float(depth.max()))
    return np.asarray(candidates[int(np.argmax(deep_enough))])


def _sellar(rng: np.random.Generator, radius: float, anatomy: Anatomy) -> NDArray[np.float64]:
    """A centre such that the tumour grows up out of the sella."""
    del anatomy
    return np.array([rng.normal(0, 1.5), 18 + rng.normal(0, 1), -25 + 0.8 * radius])
