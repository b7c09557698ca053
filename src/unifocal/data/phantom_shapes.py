"""Analytic shapes and textures of the phantom, evaluated at any points in space.

A shape is a function of position: its (approximate) signed distance in mm, negative inside. Points
are arrays of shape (3, ...) with x to the patient's left, y to the front and z to the top, in mm.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]
Vector: TypeAlias = tuple[float, float, float]


class Shape(Protocol):
    """Anything that knows how far a point is from its surface."""

    def distance(self, points: Field) -> Field:
        """Signed distance in mm of points (3, ...), negative inside."""
        ...


def column(vector: Vector | NDArray[np.float64], points: Field) -> Field:
    """A vector that broadcasts against points (3, ...)."""
    return np.asarray(vector, dtype=np.float32).reshape((3,) + (1,) * (points.ndim - 1))


def norm(vectors: Field) -> Field:
    """Length of vectors (3, ...)."""
    return np.asarray(np.sqrt(np.square(vectors).sum(axis=0)), dtype=np.float32)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with its axes along x, y and z."""

    centre: Vector
    radii: Vector

    def distance(self, points: Field) -> Field:
        """Signed distance in mm, exact on the surface and to first order around it."""
        offset = points - column(self.centre, points)
        scaled = offset / column(self.radii, points)
        level = norm(scaled)
        slope = norm(scaled / column(self.radii, points))
        return np.asarray(level * (level - 1) / np.maximum(slope, 1e-6), dtype=np.float32)


@dataclass(frozen=True)
class Tube:
    """A chain of round cones through knots (x, y, z, radius)."""

    knots: tuple[tuple[float, float, float, float], ...]

    def distance(self, points: Field) -> Field:
        """Signed distance in mm to the nearest piece of the chain."""
        nearest = np.full(points.shape[1:], np.inf, dtype=np.float32)
        for start, end in pairwise(self.knots):
            along = np.subtract(end[:3], start[:3])
            offset = points - column(start[:3], points)
            share = (offset * column(along, points)).sum(axis=0) / np.float32(along @ along)
            share = np.clip(share, 0, 1)
            radius = start[3] + share * (end[3] - start[3])
            piece = norm(offset - share * column(along, points)) - radius
            nearest = np.minimum(nearest, piece.astype(np.float32))
        return nearest


def union(a: Field, b: Field, blend_mm: float) -> Field:
    """Signed distance of two shapes melted into one over `blend_mm`."""
    share = np.clip(0.5 + 0.5 * (b - a) / blend_mm, 0, 1)
    return np.asarray(b + share * (a - b) - blend_mm * share * (1 - share), dtype=np.float32)


def intersection(a: Field, b: Field, blend_mm: float) -> Field:
    """Signed distance of what two shapes have in common, its edges rounded over `blend_mm`."""
    return -union(-a, -b, blend_mm)


def mirrored(points: Field) -> Field:
    """Points folded onto the left side, so that one shape stands for a pair."""
    return np.concatenate([np.abs(points[:1]), points[1:]])


def ramp(values: Field, start: float, end: float) -> Field:
    """0 below `start`, 1 above `end`, smooth between (the other way round when end < start)."""
    share = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), dtype=np.float32)


@dataclass(frozen=True)
class Waves:
    """A random field of unit variance: a sum of plane waves of about one wavelength.

    Attributes:
        wave_vectors: (n, 3), radians per mm.
        phases: (n,), radians.
    """

    wave_vectors: Field
    phases: Field

    @classmethod
    def draw(cls, rng: np.random.Generator, wavelength_mm: float, count: int, spread: float = 0.25) -> "Waves":
        """Waves in random directions, of wavelengths within a factor `1 +- spread`."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = wavelength_mm * rng.uniform(1 - spread, 1 + spread, size=(count, 1))
        vectors = (2 * np.pi / lengths * directions).astype(np.float32)
        return cls(vectors, rng.uniform(0, 2 * np.pi, size=count).astype(np.float32))

    def _angles(self, points: Field) -> Field:
        shape = (-1,) + (1,) * (points.ndim - 1)
        k = self.wave_vectors
        angles = self.phases.reshape(shape) + k[:, 0].reshape(shape) * points[0]
        angles += k[:, 1].reshape(shape) * points[1]
        angles += k[:, 2].reshape(shape) * points[2]
        return np.asarray(angles, dtype=np.float32)

    def __call__(self, points: Field) -> Field:
        """The field at points (3, ...)."""
        total = np.sin(self._angles(points)).sum(axis=0)
        return np.asarray(total * np.sqrt(2 / len(self.phases)), dtype=np.float32)

    def sheet_distance(self, points: Field) -> Field:
        """Distance in mm, to first order, to the nearest of the sheets on which the field is 0."""
        angles = self._angles(points)
        cosines = np.cos(angles)
        slope = np.stack([np.tensordot(self.wave_vectors[:, axis], cosines, axes=1) for axis in range(3)])
        return np.asarray(np.abs(np.sin(angles).sum(axis=0)) / (norm(slope) + 1e-3), np.float32)


class Canvas:
    """A grey picture that shapes are painted on, one over the other.

    A pixel that a surface crosses takes a share of both sides (partial volume).

    Args:
        shape: Of the picture.
        edge_mm: Width over which a surface fades, about the pixel or the slice thickness.
    """

    def __init__(self, shape: tuple[int, ...], edge_mm: float) -> None:
        self.grey: Field = np.zeros(shape, dtype=np.float32)
        self.edge_mm = edge_mm

    def coverage(self, distance: Field) -> Field:
        """Share of each pixel inside a shape, from its signed distance in mm."""
        return np.asarray(np.clip(0.5 - distance / self.edge_mm, 0, 1), dtype=np.float32)

    def paint(self, distance: Field, grey: Field | float, opacity: Field | float = 1.0) -> None:
        """Cover the inside of a shape with a grey value."""
        self.grey += self.coverage(distance) * opacity * (grey - self.grey)
