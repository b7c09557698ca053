"""Where in a head the brain lies, roughly: the cut ellipse (in 3D, ellipsoid) that runs along the dark bone.

The vault of the skull is close to an ellipse under the scalp; the base is close to a plane. The best such shape is
searched for at random, from a fixed seed, by the cross-entropy method (Rubinstein and Kroese 2004).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_GENERATIONS, _FIRST, _LATER = 14, 3000, 300
_RADII = (0.55, 1.4)  # of the shape, relative to the largest ball inside the head
_CUT = (0.35, 1.05)  # distance of the plane from the centre, relative to the radius; above 1 there is no cut
_LEAST_FLATTENING = 0.35  # logarithm of the radii's ratio that costs nothing
_WEIGHTS = {"edge": 6.0, "content": 1.5, "skin": 0.5, "flattening": 1.0, "cut_edge": 0.7}


@dataclass(frozen=True)
class Evidence:
    """What speaks for a boundary or for brain at each element (*spatial).

    Attributes:
        valley: How dark it is between brighter sides, 0 to 1, less where all around is alike.
        plain: 1 where all around is as bright as brain, so that no boundary can be.
        near_skin: 1 at the depth below the skin where bone lies.
        content: 1 where it is as bright as brain, negative where not.
    """

    valley: Array
    plain: Array
    near_skin: Array
    content: Array


@dataclass(frozen=True)
class BrainModel:
    """A cut ellipse or ellipsoid.

    Attributes:
        centre: (axes,), in elements.
        to_unit: (axes, axes), takes offsets from the centre to a frame in which the ellipse is the unit circle.
        cut: (axes,), of a point u in that frame, cut . u is 1 on the cutting plane.
    """

    centre: Array
    to_unit: Array
    cut: Array

    def relative_radius(self, points: Array) -> Array:
        """How far out points (axes, ...) are: 0 in the centre, 1 on the boundary."""
        offset = points - self.centre.reshape(-1, *(1,) * (points.ndim - 1))
        unit = np.tensordot(self.to_unit, offset, axes=1)
        return np.asarray(np.maximum(np.sqrt((unit**2).sum(axis=0)), np.tensordot(self.cut, unit, axes=1)))


def fit_brain(evidence: Evidence, centre: Array, radius: float) -> BrainModel:
    """The best cut ellipse for some evidence.

    Args:
        evidence: What is known of each element.
        centre: (axes,), where to begin.
        radius: Of the largest ball inside the head, in elements.
    """
    axes = len(centre)
    turns = 1 if axes == 2 else 3
    rng = np.random.default_rng(0)
    surface, solid = _directions(90 if axes == 2 else 400, axes), _solid(120 if axes == 2 else 500, axes)
    mean = np.concatenate([centre, np.full(axes, np.log(0.9 * radius)), np.zeros(turns + axes), [1.0]])
    spread = np.concatenate(
        [np.full(axes, 0.25 * radius), np.full(axes, 0.18), np.full(turns, 0.6), np.full(axes, 1.0), [0.35]]
    )
    floor = np.concatenate([np.full(axes, 0.3), np.full(axes, 0.01), np.full(turns + axes + 1, 0.02)])
    best, best_score = mean, -np.inf
    for generation in range(_GENERATIONS):
        count = _LATER if generation else _FIRST
        trials = mean + spread * rng.standard_normal((count, len(mean)))
        if not generation:
            trials[:, -1] = rng.uniform(0.2, 1.1, count)
        trials[0] = best
        trials[:, axes : 2 * axes] = np.clip(trials[:, axes : 2 * axes], *np.log(np.multiply(_RADII, radius)))
        trials[:, -1] = np.clip(trials[:, -1], *_CUT)
        scores = _score(trials, evidence, surface, solid, radius)
        elite = np.argsort(-scores)[: max(25, count // 20)]
        if scores[elite[0]] > best_score:
            best, best_score = trials[elite[0]].copy(), scores[elite[0]]
        if generation:
            mean, spread = trials[elite].mean(axis=0), trials[elite].std(axis=0) + floor / (1 + generation / 4)
        else:
            mean, spread = best.copy(), 0.6 * spread
    first, stretch, normal, offset = _parts(best[None], axes)
    return BrainModel(first[0], np.linalg.inv(stretch[0]), normal[0] / offset[0])


def _parts(trials: Array, axes: int) -> tuple[Array, Array, Array, Array]:
    """Centres (n, axes), matrices from the unit frame (n, axes, axes), normals (n, axes) and offsets (n,) of cuts."""
    from scipy.spatial.transform import Rotation

    radii = np.exp(trials[:, axes : 2 * axes])
    if axes == 2:
        cosine, sine = np.cos(trials[:, 4]), np.sin(trials[:, 4])
        turn = np.stack([np.stack([cosine, -sine], axis=1), np.stack([sine, cosine], axis=1)], axis=1)
    else:
        turn = np.asarray(Rotation.from_rotvec(trials[:, 6:9]).as_matrix(), dtype=np.float64)
    normal = trials[:, -axes - 1 : -1]
    normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    return trials[:, :axes], turn * radii[:, None, :], normal, trials[:, -1]


def _score(trials: Array, evidence: Evidence, surface: Array, solid: Array, radius: float) -> Array:
    axes = len(surface)
    centre, stretch, normal, offset = _parts(trials, axes)

    def reach(directions: Array) -> Array:
        """How far the shape reaches in each direction of the unit frame, (n, points)."""
        return np.asarray(np.minimum(1, offset[:, None] / np.maximum(normal @ directions, 1e-3)))

    def places(points: Array) -> NDArray[np.intp]:
        """The element under each point (n, points), counted through; the last, added one is outside."""
        found = np.rint(stretch @ points + centre[:, :, None]).astype(np.int32)
        held = np.array(evidence.valley.shape, dtype=np.int32)[:, None]
        within = ((found >= 0) & (found < held)).all(axis=1)
        flat = found[:, 0]
        for axis in range(1, axes):
            flat = flat * held[axis] + found[:, axis]
        return np.where(within, flat, evidence.valley.size)

    far = reach(surface)
    on_vault = far >= 1
    at = places(surface[None] * far[:, None])
    near_skin = _flat(evidence.near_skin)[at] * on_vault
    counts = np.where(on_vault, near_skin, np.float32(_WEIGHTS["cut_edge"]))
    edge = (_flat(evidence.valley)[at] * counts - _flat(evidence.plain)[at]).mean(axis=1)
    unit = solid / np.linalg.norm(solid, axis=0)
    content = _flat(evidence.content)[places(solid[None] * reach(unit)[:, None])].mean(axis=1)
    logs = trials[:, axes : 2 * axes]
    # relative to the largest disc or ball in the head
    size = np.exp(logs.sum(axis=1)) / radius**axes * (far**axes).mean(axis=1)
    flattening = np.clip(logs.max(axis=1) - logs.min(axis=1) - _LEAST_FLATTENING, 0, None)
    return np.asarray(
        _WEIGHTS["edge"] * edge
        + _WEIGHTS["content"] * content * size
        + _WEIGHTS["skin"] * near_skin.mean(axis=1)
        - _WEIGHTS["flattening"] * flattening
    )


def _flat(values: Array) -> NDArray[np.float32]:
    """All elements in a row, and a 0 for what is outside."""
    return np.append(values.ravel(), 0).astype(np.float32)


def _directions(count: int, axes: int) -> Array:
    """Unit vectors (axes, count), evenly spread (in 3D a Fibonacci lattice)."""
    steps = np.arange(count) + 0.5
    if axes == 2:
        around = 2 * np.pi * steps / count
        return np.stack([np.sin(around), np.cos(around)])
    height = 1 - 2 * steps / count
    angle = np.pi * (1 + 5**0.5) * steps
    ring: Array = np.sqrt(1 - height**2)
    return np.stack([height, ring * np.sin(angle), ring * np.cos(angle)])


def _solid(count: int, axes: int) -> Array:
    """Points (axes, count) evenly spread in the unit disc or ball."""
    steps = np.arange(count) + 0.5
    if axes == 2:
        angle = np.pi * (1 + 5**0.5) * steps
        return np.stack([np.sin(angle), np.cos(angle)]) * np.sqrt(steps / count)
    shuffled = np.random.default_rng(0).permutation(count) + 0.5
    return _directions(count, axes) * np.cbrt(shuffled / count)
