"""The losses in float64 NumPy, written from their definitions; shares no code with the package."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A row of the family table for C classes; the default of each loss."""

    region_weight: float
    voxel_weight: float
    delta: float = 0.5
    rho: list[float] = field(default_factory=list)
    alpha: list[float] = field(default_factory=list)
    phi: list[float] = field(default_factory=list)
    constant: float = 0.0


def row(name: str, classes: int) -> Row:
    ones, zeros, rest = [1.0] * classes, [0.0] * classes, classes - 1
    rows = {
        "cross_entropy": Row(0, 1, 0.5, ones, ones, zeros),
        "focal": Row(0, 1, 0.5, ones, ones, [2.0] * classes),
        "dice": Row(1, 0, 0.5, ones, ones, zeros),
        "tversky": Row(1, 0, 0.7, ones, ones, zeros),
        "focal_tversky": Row(1, 0, 0.7, [0.75] * classes, ones, zeros),
        "combo": Row(0.5, 0.5, 0.5, ones, ones, zeros, -0.5),
        "dice_cross_entropy": Row(1, 1, 0.5, ones, ones, zeros),
        "hybrid_focal": Row(0.5, 0.5, 0.7, [0.75] * classes, ones, [2.0] * classes),
        "unified_focal_symmetric": Row(0.5, 0.5, 0.6, [0.5] * classes, [0.4] + [0.6] * rest, [0.5] * classes),
        "unified_focal": Row(0.5, 0.5, 0.6, [1.0] + [0.5] * rest, [0.4] + [0.6] * rest, [0.5] + [0.0] * rest),
    }
    return rows[name]


def softmax(logits: Array) -> Array:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def one_hot(indices: NDArray[np.int64], classes: int) -> Array:
    """(N, M) to (N, C, M)."""
    return np.stack([indices == c for c in range(classes)], axis=1).astype(np.float64)


def per_sample(parameters: Row, p: Array, g: Array, *, smooth: float, class_weights: Array, region: Array) -> float:
    """One sample's loss from p and g (C, M)."""
    classes, positions = p.shape
    region_sum = voxel_sum = 0.0
    for c in range(classes):
        t = sum(p[c, i] * g[c, i] for i in range(positions))
        fn = sum((1 - p[c, i]) * g[c, i] for i in range(positions))
        fp = sum(p[c, i] * (1 - g[c, i]) for i in range(positions))
        d = parameters.delta
        index = (t + smooth) / (t + d * fn + (1 - d) * fp + smooth)
        region_sum += region[c] * max(0.0, 1 - index) ** parameters.rho[c]
        for i in range(positions):
            if g[c, i] > 0:
                focus = (1 - p[c, i]) ** parameters.phi[c]
                cost = g[c, i] * focus * -np.log(p[c, i])
                voxel_sum += class_weights[c] * parameters.alpha[c] * cost
    return float(
        parameters.region_weight * region_sum / sum(region)
        + parameters.voxel_weight * voxel_sum / positions
        + parameters.constant
    )


def oracle(
    name: str,
    logits: Array,
    target: NDArray[np.int64] | Array,
    *,
    smooth: float = 1e-6,
    class_weights: list[float] | None = None,
    include_background: bool = True,
    batch: bool = False,
) -> Array:
    """The loss of every sample.

    Args:
        name: The loss.
        logits: (N, C, M); one channel stands for the logits 0 and z.
        target: (N, M) indices or (N, C, M) labels.
        smooth, class_weights, include_background, batch: The shared keywords.

    Returns:
        (N,), or (1,) for a pooled batch.
    """
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    classes = logits.shape[1]
    p = softmax(logits)
    g = one_hot(target.astype(np.int64), classes) if target.ndim == 2 else target
    if batch:
        p, g = (np.concatenate(list(x), axis=1)[None] for x in (p, g))
    weights = np.array([1.0] * classes if class_weights is None else class_weights)
    region = weights.copy()
    region[0] *= include_background
    parameters = row(name, classes)
    return np.array(
        [per_sample(parameters, p[n], g[n], smooth=smooth, class_weights=weights, region=region) for n in range(len(p))]
    )
