"""Pairs of masks to time metrics on: a truth, and a prediction that errs as networks do."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.uint8]
Pair = tuple[Mask, Mask]

VOLUME = (240, 240, 155)
PICTURE = (512, 512)


def volume_pairs(shape: tuple[int, int, int] = VOLUME) -> dict[str, Pair]:
    """A lesion of a radius of about 30 voxels, a brain, and small lesions all over the brain."""
    part = min(shape) / 155
    lesion = _blob(shape, (0.42, 0.58, 0.52), 30 * part, np.random.default_rng(0))
    brain = _blob(shape, (0.5, 0.5, 0.5), 66 * part, np.random.default_rng(1), roughness=0.05)
    spots = _spots(shape, 60, 5 * part, np.random.default_rng(2))
    return {
        "one lesion": (lesion, _perturbed(lesion, np.random.default_rng(3), 3 * part)),
        "whole brain": (brain, _perturbed(brain, np.random.default_rng(4), 4 * part)),
        "60 small lesions": (spots, _some(spots, np.random.default_rng(5))),
    }


def atlas_pair(labels: int = 100, shape: tuple[int, int, int] = VOLUME) -> Pair:
    """A brain in as many compact parts, and the same moved by a voxel."""
    rng = np.random.default_rng(6)
    seeds = np.zeros(shape, np.uint8)
    brain = _blob(shape, (0.5, 0.5, 0.5), 0.43 * min(shape), rng, roughness=0.05) > 0
    places = rng.permutation(np.flatnonzero(brain))[:labels]
    seeds.flat[places] = np.arange(1, labels + 1)
    nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    truth = seeds[tuple(nearest)] * brain
    return truth, np.roll(truth, 1, axis=0)


def picture_pairs(count: int, shape: tuple[int, int] = PICTURE) -> list[Pair]:
    """Three in five hold one lesion, one in five several small ones, one in five vessel-like texture."""
    pairs = []
    for number in range(count):
        rng = np.random.default_rng(number)
        if number % 5 < 3:
            truth = _blob(shape, tuple(rng.uniform(0.3, 0.7, 2)), rng.uniform(0.04, 0.12) * shape[0], rng)
            pairs.append((truth, _perturbed(truth, rng, 4)))
        elif number % 5 == 3:
            truth = _spots(shape, 8, shape[0] / 50, rng)
            pairs.append((truth, _some(truth, rng)))
        else:
            texture, noise = (_smooth(shape, 8, rng) for _ in range(2))
            pairs.append(((texture > 1.2).astype(np.uint8), (texture + 0.3 * noise > 1.2).astype(np.uint8)))
    return pairs


def _smooth(shape: tuple[int, ...], grain: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise of unit variance whose features are about as large as the grain."""
    coarse = rng.normal(size=[int(np.ceil(n / grain)) + 3 for n in shape])
    fine = ndimage.zoom(coarse, [(n + grain) / m for n, m in zip(shape, coarse.shape, strict=True)], order=1)
    cut = fine[tuple(slice(0, n) for n in shape)]
    return (cut / cut.std()).astype(np.float32)


def _blob(
    shape: tuple[int, ...], centre: tuple[float, ...], radius: float, rng: np.random.Generator, roughness: float = 0.12
) -> Mask:
    grid = np.ogrid[tuple(slice(0, n) for n in shape)]
    away = sum((axis - c * n) ** 2 for axis, c, n in zip(grid, centre, shape, strict=True))
    return (np.sqrt(away) < radius * (1 + roughness * _smooth(shape, max(radius / 3, 2), rng))).astype(np.uint8)


def _perturbed(truth: Mask, rng: np.random.Generator, wave: float) -> Mask:
    """The boundary moved in and out by up to about `wave` elements."""
    signed = ndimage.distance_transform_edt(truth) - ndimage.distance_transform_edt(truth == 0)
    return (signed + wave / 2 * _smooth(truth.shape, 12, rng) > 0).astype(np.uint8)


def _spots(shape: tuple[int, ...], count: int, largest: float, rng: np.random.Generator) -> Mask:
    mask = np.zeros(shape, np.uint8)
    for _ in range(count):
        radius = rng.uniform(min(1, largest), largest)
        centre = [rng.uniform(0.2, 0.8) * n for n in shape]
        box = tuple(
            slice(max(0, int(c - largest)), min(n, int(c + largest) + 1)) for c, n in zip(centre, shape, strict=True)
        )
        grid = np.ogrid[box]
        mask[box] |= (sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) <= radius**2).astype(np.uint8)
    return mask


def _some(truth: Mask, rng: np.random.Generator) -> Mask:
    """Four in five of the lesions, moved a little, and a few that are not there."""
    parts, count = ndimage.label(truth)
    kept = np.append(False, rng.random(count) < 0.8)
    moved = np.roll(kept[parts], (1,) * truth.ndim, tuple(range(truth.ndim)))
    return (moved | (_spots(truth.shape, max(1, count // 5), 4, rng) > 0)).astype(np.uint8)
