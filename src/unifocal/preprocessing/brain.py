"""The brain in a picture or volume of a head: a rough shape first, then what dark layers set apart from it.

Made for T1-weighted MRI, with or without contrast agent, in any plane: brain of middling brightness, bone and air
dark. Lengths are relative to the largest ball inside the head, brightness to the brain's, so that neither the
resolution nor the scanner's scale matters. Nothing is learned and nothing comes from one data set.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unifocal.preprocessing.brain_model import BrainModel, Evidence, fit_brain
from unifocal.preprocessing.field_of_view import largest_region

Mask = NDArray[np.bool_]

# chosen so that 99 % of the tumour pixels of half the patients stay: docs/results/skull_stripping.md
MARGIN = 0.05

# brightness, relative to the brain's median
_TISSUE, _FAT = 0.65, 1.8
# lengths, relative to the radius of the largest ball inside the head
_SCALP, _OUTER_SCALP, _FAT_DEPTH = 0.03, 0.06, 0.2
_SEED_DEPTH, _SEED_RADIUS = 0.1, 0.07
_RIM, _SMALLEST, _GAP, _DENT = 0.08, 0.04, 0.12, 0.35
# relative radius in the rough shape
_SEEDED, _OUTSIDE, _FAT_FROM, _DENT_WITHIN = 0.95, 1.12, 0.95, 0.97
# tissue that may be a tumour outside the rough shape
_ENHANCING, _GROWTH_RADIUS, _GROWTH_NEAR, _GROWTH_WITHIN = 1.1, 0.1, 0.1, 1.6
# share of a region's surface that may run on into what lies outside
_LEAK = 0.4


@dataclass(frozen=True)
class _Head:
    """A head on an isotropic grid.

    Attributes:
        grey: (*spatial).
        mask: Where the head is.
        depth: Distance from the skin, in elements.
        radius: Of the largest ball inside the head.
    """

    grey: NDArray[np.float32]
    mask: Mask
    depth: NDArray[np.float64]
    radius: float


def find_brain(
    grey: NDArray[np.float32], *, spacing_mm: tuple[float, ...] | None = None, margin: float = MARGIN
) -> Mask:
    """The brain with its fluid, and tumours in it or on it.

    Args:
        grey: (*spatial), two or three axes; not constant.
        spacing_mm: Distance between elements along each axis; None: the same along all.
        margin: What is kept around the brain for safety, relative to the radius of the largest ball inside the head
            (about 75 mm): tumours grow through the dura into bone. Above 0, the rough shape and bright growths next to
            it are kept too; 0 gives the brain itself.

    Returns:
        (*spatial).
    """
    grey = grey - grey.min()
    extents = np.multiply(grey.shape, spacing_mm or (1.0,) * grey.ndim)
    coarse, fine = (_grid(grey.shape, extents, n) for n in ((128, 192) if grey.ndim == 2 else (64, 112)))
    rough = _look_at(_resized(grey, coarse))
    model, level = _locate(rough)
    scale = np.divide(fine, coarse)
    mask = _resized(rough.mask.astype(np.float32), fine) > 0.5
    # lengths that were found on the coarse grid, on the fine one
    head = _Head(_resized(grey, fine), mask, _depth(mask), rough.radius * float(scale.mean()))
    points = np.indices(fine, dtype=np.float64)
    place = scale.reshape(-1, *(1,) * grey.ndim)
    outward = model.relative_radius((points + 0.5) / place - 0.5)
    brain = _carve(head, outward, level)
    if margin > 0:
        brain |= (outward < 1) & head.mask
        brain |= _growths(head, brain, level) & (outward < _GROWTH_WITHIN)
        brain = _grown(brain, margin * head.radius) & (head.depth > (_SCALP + 0.02) * head.radius)
    return np.asarray(_resized(_blurred(brain.astype(np.float32), 0.7), grey.shape) > 0.5)


def _growths(head: _Head, brain: Mask, level: float) -> Mask:
    """Compact tissue brighter than brain, as enhancing tumours are, that begins near it and lies outside."""
    from scipy import ndimage

    bright = (_blurred(head.grey, 1.0) / level > _ENHANCING) & (head.depth > _OUTER_SCALP * head.radius)
    labels, count = ndimage.label(_opened(bright & ~brain, _GROWTH_RADIUS * head.radius))
    if not count:
        return labels > 0
    distance = ndimage.distance_transform_edt(~brain)
    nearest = np.asarray(ndimage.minimum(distance, labels, np.arange(count + 1)))
    near = nearest < _GROWTH_NEAR * head.radius
    near[0] = False
    return np.asarray(near[labels])


def _grid(shape: tuple[int, ...], extents: NDArray[np.float64], longest: int) -> tuple[int, ...]:
    """An isotropic grid, no finer than the image's finest axis."""
    step = max(float(extents.max()) / longest, float((extents / shape).min()))
    return tuple(max(1, round(float(extent) / step)) for extent in extents)


def _resized(values: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    from scipy import ndimage

    factors = np.divide(values.shape, size)
    if not (factors > 1).any():
        smooth = values
    else:
        smooth = ndimage.gaussian_filter(values, np.where(factors > 1, 0.4 * factors, 0))
    result: NDArray[np.float32] = ndimage.zoom(smooth, 1 / factors, order=1, mode="nearest", grid_mode=True)
    return result


def _blurred(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(values, sigma), dtype=np.float32)


def _depth(mask: Mask) -> NDArray[np.float64]:
    """Distance to the nearest element outside, the picture's edge being outside too."""
    from scipy import ndimage

    inner = (slice(1, -1),) * mask.ndim
    return np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1)), dtype=np.float64)[inner]


def _grown(mask: Mask, radius: float) -> Mask:
    """Everything within a distance of the mask."""
    from scipy import ndimage

    return np.asarray(ndimage.distance_transform_edt(~mask) <= radius) if mask.any() else mask


def _opened(mask: Mask, radius: float) -> Mask:
    """What balls of a radius can reach inside the mask."""
    return _grown(_depth(mask) > radius, radius)


def _closed(mask: Mask, radius: float) -> Mask:
    """The mask with gaps and dents filled that balls of a radius cannot enter."""
    pad = int(np.ceil(radius)) + 1
    inner = (slice(pad, -pad),) * mask.ndim
    return ~_grown(~_grown(np.pad(mask, pad), radius), radius)[inner]


def _look_at(grey: NDArray[np.float32]) -> _Head:
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    # on square roots, which set dark tissue apart from air; 0.7: bone and fluid belong to the head
    bright = grey > (0.7 * threshold_otsu(np.sqrt(grey).ravel())) ** 2
    opened = ndimage.binary_opening(bright)
    head = largest_region(opened if opened.any() else bright)
    gap = max(2, round(0.03 * max(grey.shape)))
    inner = (slice(gap, -gap),) * grey.ndim
    # the edge is repeated, so that a head that the picture cuts off is closed there
    closed = ndimage.binary_closing(np.pad(head, gap, mode="edge"), iterations=gap)[inner]
    mask = np.asarray(ndimage.binary_fill_holes(head | closed))
    depth = _depth(mask)
    return _Head(grey, mask, depth, float(depth.max()))


def _locate(head: _Head) -> tuple[BrainModel, float]:
    """The rough shape, and the brightness of brain."""
    points = np.indices(head.grey.shape, dtype=np.float64)
    core = head.depth > 0.85 * head.radius
    centre = points[:, core].mean(axis=1)
    offset = points - centre.reshape(-1, *(1,) * head.grey.ndim)
    around = (np.sqrt((offset**2).sum(axis=0)) < 0.6 * head.radius) & head.mask
    level = _level(head.grey[around])
    model = fit_brain(_evidence(head, level), centre, head.radius)
    return model, _level(head.grey[(model.relative_radius(points) < 0.85) & head.mask], level)


def _level(values: NDArray[np.float32], otherwise: float = 1.0) -> float:
    return max(float(np.median(values)), 1e-6) if values.size else otherwise


def _evidence(head: _Head, level: float) -> Evidence:
    from scipy import ndimage

    dim = np.clip(_blurred(head.grey, 0.5) / level, 0, 1)
    width = max(3, 2 * round(0.1 * head.radius) + 1)
    valley = ndimage.grey_closing(dim, size=(width,) * dim.ndim) - dim
    smooth = _blurred(head.grey, 1.0) / level
    brain_like = (smooth > 0.6) & (smooth < 1.6)
    plain = (ndimage.minimum_filter(smooth, 5) > 0.7) & (ndimage.maximum_filter(smooth, 5) < 1.4)
    return Evidence(
        valley=np.asarray(valley * (head.depth > _SCALP * head.radius), dtype=np.float64),
        plain=np.where(plain, 0.2, 0.0),
        near_skin=((head.depth > 0.04 * head.radius) & (head.depth < 0.3 * head.radius)).astype(np.float64),
        content=np.where(head.mask, np.where(brain_like, 1.0, -2.0), -2.0),
    )


def _carve(head: _Head, outward: NDArray[np.float64], level: float) -> Mask:
    """Flood the head from seeds in the brain and from outside; they meet on dark layers (watershed)."""
    from scipy import ndimage
    from skimage.segmentation import watershed

    radius, depth = head.radius, head.depth
    relative = _blurred(head.grey, 0.6) / level
    tissue = (relative > _TISSUE) & (depth > _SCALP * radius)
    inside_tissue = _depth(tissue)
    seeds = (inside_tissue > _SEED_RADIUS * radius) & (outward < _SEEDED) & (depth > _SEED_DEPTH * radius)
    labels, count = ndimage.label(seeds)
    if not count:
        return (outward < 1) & head.mask
    markers = np.where(labels > 0, labels + 1, 0)
    markers[(tissue & (depth < _OUTER_SCALP * radius)) | (tissue & (outward > _OUTSIDE))] = 1
    markers[_scalp(head, relative) & (outward > _FAT_FROM)] = 1
    height = np.round(10 * (1 - np.clip(relative, 0, 1)) - inside_tissue / radius, 1)
    regions = watershed(height, markers, mask=head.mask)
    kept = _closed_off(regions, tissue, count + 2)[regions]
    others = (regions > 0) & ~kept & tissue
    return _smoothed(kept, tissue, others, head, outward)


def _scalp(head: _Head, relative: NDArray[np.float32]) -> Mask:
    """The skin, and the fat that hangs together with it."""
    from scipy import ndimage

    skin = (head.depth < _OUTER_SCALP * head.radius) & head.mask
    labels, _ = ndimage.label(((relative > _FAT) & (head.depth < _FAT_DEPTH * head.radius)) | skin)
    return np.asarray(labels == np.bincount(labels[skin]).argmax()) if skin.any() else skin


def _closed_off(regions: NDArray[np.int32], tissue: Mask, count: int) -> Mask:
    """By label: whether little of a region's surface runs on, through tissue, into what lies outside (label 1)."""
    surface, open_to_outside = np.zeros(count), np.zeros(count)
    for axis in range(regions.ndim):
        for step in (1, -1):
            neighbour = np.roll(regions, step, axis)
            border = (regions > 1) & (neighbour != regions)
            through = border & (neighbour == 1) & tissue & np.roll(tissue, step, axis)
            surface += np.bincount(regions[border], minlength=count)
            open_to_outside += np.bincount(regions[through], minlength=count)
    leak = open_to_outside / np.maximum(surface, 1)
    sizes = np.bincount(regions.ravel(), minlength=count).astype(np.float64)
    sizes[:2] = 0
    kept = (leak < _LEAK) & (sizes > 0)
    kept[(sizes * (1 - leak) ** 2).argmax()] = True
    return np.asarray(kept)


def _smoothed(kept: Mask, tissue: Mask, others: Mask, head: _Head, outward: NDArray[np.float64]) -> Mask:
    """Without the bone that the flood took along, without thin bits, with dark tumours and fluid at the rim."""
    from scipy import ndimage

    radius, depth = head.radius, head.depth
    rim = kept & ~tissue & (_depth(kept) <= _RIM * radius)
    brain = kept & ~ndimage.binary_propagation(~kept, mask=~kept | rim)
    brain = _opened(brain, _SMALLEST * radius)
    near_skin = depth < 0.3 * radius
    brain |= _closed(brain, _DENT * radius) & (outward < _DENT_WITHIN) & near_skin & ~others
    brain = _closed(brain, _GAP * radius) & ~others & head.mask & (depth > _SCALP * radius)
    return np.asarray(ndimage.binary_fill_holes(brain))
