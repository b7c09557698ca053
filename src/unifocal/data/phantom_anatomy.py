"""One person's head: what varies between people."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unifocal.data.phantom_shapes import Field, Waves


@dataclass(frozen=True)
class Tissues:
    """Grey value of each tissue, relative to fat at about 0.85."""

    fat: float
    muscle: float
    marrow: float
    bone: float
    csf: float
    grey: float
    white: float
    vessel: float
    mucosa: float
    air: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Tissues":
        """Contrast-enhanced T1 weighting: fat and vessels bright, fluid and bone dark."""
        white = rng.uniform(0.34, 0.42)
        return cls(
            fat=rng.uniform(0.76, 0.92),
            muscle=white * rng.uniform(0.68, 0.85),
            marrow=rng.uniform(0.42, 0.6),
            bone=rng.uniform(0.03, 0.07),
            csf=white * rng.uniform(0.22, 0.36),
            grey=white * rng.uniform(0.68, 0.80),
            white=white,
            vessel=white * rng.uniform(1.7, 2.3),
            mucosa=white * rng.uniform(1.2, 1.7),
        )


@dataclass(frozen=True)
class Anatomy:
    """What makes one head differ from the next.

    Attributes:
        tissues: The grey values.
        scale: (3,), size of the head along x, y and z, 1 for the average.
        rotation: (3, 3), how the head lies in the scanner.
        warp: Three fields that bend the head smoothly, one per axis.
        warp_mm: Strength of that bending.
        gyri: Its zero sheets are the sulci.
        crossing: Where its zero sheets cross the sulci, vessels run.
        coarse: Texture of about 40 mm.
        fine: Texture of about 9 mm.
        atrophy: 0 (young and full) to 1 (wide sulci and ventricles).
        bone_mm: Thickness of the skull.
        scalp_mm: Thickness of the scalp.
    """

    tissues: Tissues
    scale: NDArray[np.float64]
    rotation: NDArray[np.float64]
    warp: tuple[Waves, Waves, Waves]
    warp_mm: float
    gyri: Waves
    crossing: Waves
    coarse: Waves
    fine: Waves
    atrophy: float
    bone_mm: float
    scalp_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Anatomy":
        """A random person."""
        return cls(
            tissues=Tissues.draw(rng),
            scale=rng.normal(1.0, 0.03, size=3).clip(0.92, 1.08),
            rotation=_rotation(np.radians(rng.normal([0, 0, 0], [5.0, 2.0, 2.5]))),
            warp=(Waves.draw(rng, 130, 8), Waves.draw(rng, 130, 8), Waves.draw(rng, 130, 8)),
            warp_mm=rng.uniform(1.2, 2.4),
            gyri=Waves.draw(rng, 23, 40, spread=0.3),
            crossing=Waves.draw(rng, 34, 24),
            coarse=Waves.draw(rng, 40, 16),
            fine=Waves.draw(rng, 9, 24, spread=0.4),
            atrophy=float(rng.beta(1.5, 2.0)),
            bone_mm=rng.uniform(5.0, 8.0),
            scalp_mm=rng.uniform(3.5, 6.5),
        )

    def to_atlas(self, points: Field) -> Field:
        """From scanner coordinates to those of the average head, both (3, ...) in mm."""
        matrix = (self.rotation / self.scale[:, None]).astype(np.float32)
        turned = np.stack([sum(matrix[i, j] * points[j] for j in range(3)) for i in range(3)])
        bend = np.stack([field(turned) for field in self.warp])
        return np.asarray(turned + self.warp_mm * bend, dtype=np.float32)

    def to_scanner(self, atlas_point: NDArray[np.float64]) -> NDArray[np.float64]:
        """The point (3,) of the scanner that `to_atlas` takes to `atlas_point`, by iteration."""
        inverse = np.linalg.inv(self.rotation / self.scale[:, None])
        guess = inverse @ atlas_point
        for _ in range(8):
            miss = atlas_point - self.to_atlas(guess.astype(np.float32))
            guess = guess + inverse @ miss
        return np.asarray(guess, dtype=np.float64)


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation about x, then y, then z, from angles in radians."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix
