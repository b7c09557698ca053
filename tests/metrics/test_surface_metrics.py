"""Surface distances against all pairs of boundary elements, on every way of finding the nearest."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from metric_oracles import Case, drawn_pairs, surface_by_brute_force
from numpy.typing import NDArray
from scipy import ndimage

from unifocal.metrics import nearest, surface_distances
from unifocal.metrics.nearest import nearest_distances
from unifocal.metrics.surface import SurfaceDistances, boundary

# No look around and tree; look around first; transform alone.
WAYS = {
    "tree": {"_FEW": 10**9, "_DENSE": 0},
    "around": {"_FEW": 0, "_DENSE": 0},
    "around, then transform": {"_FEW": 0, "_DENSE": 10**9},
    "transform": {"_FEW": 10**9, "_DENSE": 10**9},
}
EDGE = np.ones((1, 1), bool), np.ones((1, 1), bool), (0.1, 5.0)


def sure(way: str, patch: pytest.MonkeyPatch) -> None:
    for name, value in WAYS[way].items():
        patch.setattr(nearest, name, value)


@pytest.mark.parametrize("way", WAYS)
@given(case=drawn_pairs(), tolerance=st.floats(0, 6))
@example(case=EDGE, tolerance=0.0)
@settings(max_examples=40)
def test_every_way_matches_brute_force(way: str, case: Case, tolerance: float) -> None:
    truth, prediction, spacing = case
    with pytest.MonkeyPatch.context() as patch:
        sure(way, patch)
        found = surface_distances(truth, prediction, spacing).scores(tolerance)
    for name, value in surface_by_brute_force(truth, prediction, spacing, tolerance).items():
        assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-12), name


@pytest.fixture(scope="module")
def large() -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Smooth and rough, near and far apart, dense and sparse."""
    rng = np.random.default_rng(0)
    grid = np.ogrid[:60, :50, :40]
    ball = sum((axis - centre) ** 2 for axis, centre in zip(grid, (30, 25, 20), strict=True)) < 16**2
    noise = ndimage.gaussian_filter(rng.normal(size=ball.shape), 2) > 0.05
    speckle = rng.random(ball.shape) < 0.01
    return {
        "ball and itself moved": (ball, np.roll(ball, (2, -1, 1), (0, 1, 2))),
        "ball in a full volume": (np.ones_like(ball), ball),
        "ball and noise": (ball, noise),
        "noise and speckle": (noise, speckle),
        "far apart": (np.roll(ball, 14, 0) & (grid[0] > 50), np.roll(ball, -14, 0) & (grid[0] < 10)),
        "picture": (noise[:, :, 7], ball[:, :, 10]),
    }


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.3, 0.4, 5.0), (7.0, 1e-3, 0.5)])
def test_all_ways_agree_on_large_masks(
    large: dict[str, tuple[NDArray[Any], NDArray[Any]]], spacing: tuple[float, ...]
) -> None:
    for name, masks in large.items():
        edges = [boundary(mask) for mask in masks]
        step = spacing[: edges[0].ndim]
        oracle = ndimage.distance_transform_edt(~edges[1], sampling=step)[edges[0]]
        for way in WAYS:
            with pytest.MonkeyPatch.context() as patch:
                sure(way, patch)
                found = nearest_distances(edges[0], edges[1], step)
            np.testing.assert_allclose(np.sort(found), np.sort(oracle), rtol=1e-12, atol=0, err_msg=f"{name}, {way}")


@pytest.mark.parametrize(
    "spacing", [(1.0, 1.0), (0.5, 3.0), (1e-6, 1.0), (1.0, 1.0, 1.0), (0.3, 0.3, 8.0), (1e-9, 1, 1)]
)
def test_the_neighbourhood_leaves_none_nearer_out(spacing: tuple[float, ...]) -> None:
    offsets, lengths = nearest._neighbourhood(tuple(map(float, spacing)))
    assert 0 < len(offsets) < 1000
    known = {tuple(offset) for offset in offsets}
    assert len(known) == len(offsets)
    assert all(tuple(-offset) in known for offset in offsets)
    assert list(lengths) == sorted(lengths)
    np.testing.assert_allclose(np.linalg.norm(offsets * np.array(spacing), axis=1), lengths)
    for offset in np.stack(np.meshgrid(*[np.arange(-3, 4)] * len(spacing))).reshape(len(spacing), -1).T:
        if np.linalg.norm(offset * np.array(spacing)) < lengths[-1]:
            assert tuple(offset) in known


@given(drawn_pairs(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_what_changes_nothing(case: Case, random: Any) -> None:
    truth, prediction, spacing = case
    ndim = truth.ndim
    expected = surface_distances(truth, prediction, spacing).scores(1.0)
    axes = random.sample(range(ndim), ndim)
    flipped = tuple(axis for axis in range(ndim) if random.random() < 0.5)
    margins = [(random.randrange(4), random.randrange(4)) for _ in range(ndim)]
    variants = {
        "masks exchanged": (prediction, truth, spacing),
        "axes exchanged": (truth.transpose(axes), prediction.transpose(axes), [spacing[axis] for axis in axes]),
        "flipped": (np.flip(truth, flipped), np.flip(prediction, flipped), spacing),
        "padded": (np.pad(truth, margins), np.pad(prediction, margins), spacing),
        "columns first in memory": (np.asfortranarray(truth), np.asfortranarray(prediction), spacing),
        "labels": (truth.astype(int) * 3, prediction.astype(np.uint8), spacing),
    }
    for what, (one, two, steps) in variants.items():
        found = surface_distances(one, two, steps).scores(1.0)
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12), what
    scaled = surface_distances(truth, prediction, [4 * step for step in spacing]).scores(4.0)
    assert scaled == pytest.approx({n: v * (1 if n == "nsd" else 4) for n, v in expected.items()}, rel=1e-12)


def test_many_questions_to_one_computation() -> None:
    distances = SurfaceDistances(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 10.0]))
    assert distances.hausdorff() == distances.percentile(100) == distances.pooled_percentile(100) == 10
    assert distances.percentile(50) == 5
    assert distances.pooled_percentile(50) == 1.5
    assert distances.average() == pytest.approx(16 / 6)
    assert [distances.surface_dice(t) for t in (0, 1, 2.5, 10)] == [2 / 6, 3 / 6, 4 / 6, 1]


def test_the_tolerance_holds_to_rounding() -> None:
    """0.1 + 0.2 is above 0.3 in binary; three steps of 0.1 mm are still within 0.3 mm."""
    line = np.zeros((1, 8), bool)
    one, two = line.copy(), line.copy()
    one[0, 1], two[0, 4] = True, True
    assert surface_distances(one, two, (1.0, 0.1)).surface_dice(0.3) == 1
    assert surface_distances(one, two, (1.0, 0.1)).surface_dice(0.299) == 0


def test_the_masks_are_left_as_they_are() -> None:
    rng = np.random.default_rng(2)
    masks = rng.random((2, 20, 20)) < 0.5
    masks.flags.writeable = False
    before = masks.copy()
    surface_distances(masks[0], masks[1], (1, 1))
    assert (masks == before).all()


@pytest.mark.parametrize("empty", [(0,), (1,), (0, 1)])
def test_an_empty_mask_has_no_boundary(empty: tuple[int, ...]) -> None:
    masks = np.ones((2, 3, 3), bool)
    for index in empty:
        masks[index] = False
    with pytest.raises(ValueError, match="empty mask"):
        surface_distances(masks[0], masks[1], (1, 1))


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 3\), prediction \(3, 1\)"):
        surface_distances(np.ones((3, 3), bool), np.ones((3, 1), bool), (1, 1))
