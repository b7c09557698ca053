"""The phantom's geometry: shapes against closed forms, tumours where their kind grows."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from unifocal.data.phantom import phantom_slices
from unifocal.data.phantom_anatomy import Anatomy
from unifocal.data.phantom_brain import inside_meninges
from unifocal.data.phantom_scan import LAYOUT, PLANES, Plane, Scan, take_slice
from unifocal.data.phantom_section import Section
from unifocal.data.phantom_shapes import Canvas, Ellipsoid, Tube, Waves, intersection, union
from unifocal.data.phantom_tumour import KINDS, Kind, Tumour

coordinate = st.floats(-60, 60)
radius = st.floats(2, 40)
seeds = st.integers(0, 2**31)


def cloud(seed: int, count: int = 300, reach: float = 80) -> NDArray[np.float32]:
    points = np.random.default_rng(seed).uniform(-reach, reach, size=(3, count))
    return points.astype(np.float32)


def lattice(centre: NDArray[np.float64], reach: float, step: float) -> NDArray[np.float32]:
    steps = np.arange(-reach, reach + step, step)
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij")).reshape(3, -1)
    return (centre[:, None] + offsets).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(seeds, st.tuples(coordinate, coordinate, coordinate), radius)
def test_a_ball_is_as_far_as_its_radius_says(seed: int, centre: tuple[float, float, float], r: float) -> None:
    points = cloud(seed)
    expected = np.linalg.norm(points - np.array(centre)[:, None], axis=0) - r
    got = Ellipsoid(centre, (r, r, r)).distance(points)
    np.testing.assert_allclose(got, expected, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(seeds, st.tuples(radius, radius, radius))
def test_an_ellipsoid_is_negative_inside_only(seed: int, radii: tuple[float, float, float]) -> None:
    points = cloud(seed, reach=50)
    level = sum((points[i].astype(float) / radii[i]) ** 2 for i in range(3))
    clear = np.abs(level - 1) > 1e-3
    got = Ellipsoid((0, 0, 0), radii).distance(points)
    np.testing.assert_array_equal((got < 0)[clear], (level < 1)[clear])


def test_a_tube_is_the_nearest_of_the_balls_along_it() -> None:
    knots = ((0.0, 0.0, 0.0, 3.0), (20.0, 5.0, -4.0, 3.0), (25.0, 30.0, 10.0, 3.0))
    points = cloud(0)
    line = np.concatenate([np.linspace(start[:3], end[:3], 4000) for start, end in pairwise(knots)])
    expected = np.array([np.linalg.norm(line - p, axis=1).min() for p in points.T]) - 3
    np.testing.assert_allclose(Tube(knots).distance(points), expected, atol=2e-3)


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(0.5, 20))
def test_melting_adds_and_rounding_takes_away_a_bounded_amount(seed: int, blend: float) -> None:
    points = cloud(seed)
    a = Ellipsoid((10, 0, 0), (20, 20, 20)).distance(points)
    b = Ellipsoid((-10, 5, 0), (15, 25, 20)).distance(points)
    sharp = np.minimum(a, b)
    melted = union(a, b, blend)
    assert np.all(melted <= sharp + 1e-3)
    assert np.all(melted >= sharp - blend / 4 - 1e-3)
    rounded = intersection(a, b, blend)
    assert np.all(rounded >= np.maximum(a, b) - 1e-3)
    assert np.all(rounded <= np.maximum(a, b) + blend / 4 + 1e-3)


def test_waves_have_unit_variance_and_the_wavelength_asked_for() -> None:
    waves = Waves.draw(np.random.default_rng(1), 20, 64, spread=0.1)
    assert waves(cloud(2, 20000, 2000)).std() == pytest.approx(1, abs=0.05)
    line = np.zeros((3, 40000), dtype=np.float32)
    line[0] = np.linspace(0, 4000, 40000)
    crossings = np.count_nonzero(np.diff(np.sign(waves(line))))
    # Rice's formula: an isotropic field of wavenumber k crosses 0 on a line k / (pi sqrt 3) a mm
    assert crossings / 4000 == pytest.approx(2 / (20 * np.sqrt(3)), rel=0.2)


def test_sheet_distance_is_the_first_order_distance() -> None:
    waves = Waves.draw(np.random.default_rng(3), 25, 30)
    points = cloud(4, 200)
    step = np.float32(0.05)
    slopes = []
    for axis in range(3):
        shift = np.zeros((3, 1), dtype=np.float32)
        shift[axis] = step
        slopes.append((waves(points + shift) - waves(points - shift)).astype(float) / (2 * step))
    expected = np.abs(waves(points)) / np.linalg.norm(slopes, axis=0)
    near = expected < 5
    np.testing.assert_allclose(waves.sheet_distance(points)[near], expected[near], rtol=0.05)


def test_a_pixel_on_a_surface_takes_half_of_each_side() -> None:
    canvas = Canvas((3,), edge_mm=2.0)
    canvas.paint(np.array([-5, 0, 5], dtype=np.float32), 0.8)
    np.testing.assert_allclose(canvas.grey, [0.8, 0.4, 0.0], atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_scanner_and_atlas_coordinates_are_inverse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    anatomy = Anatomy.draw(rng)
    target = rng.uniform(-50, 50, size=3)
    back = anatomy.to_atlas(anatomy.to_scanner(target).astype(np.float32))
    np.testing.assert_allclose(back, target, atol=0.01)


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_skin_holds_skull_holds_brain(seed: int) -> None:
    anatomy = Anatomy.draw(np.random.default_rng(seed))
    section = Section(cloud(seed, 4000, 110), anatomy)
    above_neck = section.points[2] > -60
    assert np.all(section.skin[above_neck & (section.cavity < 0)] < -anatomy.bone_mm)
    assert np.all(section.cavity[section.cerebrum < 0] < 0)
    assert np.all(section.cavity[section.cerebellum < 0] < 0)
    assert not np.any((section.cerebrum < 0) & (section.cerebellum < 0))


@pytest.mark.parametrize("plane", PLANES)
def test_pictures_follow_the_radiological_convention(plane: Plane) -> None:
    points = Scan.draw(np.random.default_rng(0), plane, 12.0).points(32)
    across = {"axial": 2, "coronal": 1, "sagittal": 0}[plane]
    assert np.all(points[across] == 12)
    to_the_right, downwards = points[:, 0, -1] - points[:, 0, 0], points[:, -1, 0] - points[:, 0, 0]
    if plane == "sagittal":
        assert to_the_right[1] < 0  # the face looks to the left
    else:
        assert to_the_right[0] > 0  # the patient's left is on the right
    assert downwards[1 if plane == "axial" else 2] < 0


def a_patient(kind: Kind, seed: int) -> tuple[Anatomy, Tumour]:
    rng = np.random.default_rng(seed)
    anatomy = Anatomy.draw(rng)
    return anatomy, Tumour.draw(rng, kind, anatomy)


def inside(tumour: Tumour, anatomy: Anatomy) -> Section:
    centre = np.array(tumour.body.centre)
    points = lattice(centre, 2 * tumour.radius_mm, tumour.radius_mm / 10)
    section = Section(points, anatomy)
    return section.part(tumour.distance(section) < 0)


@pytest.mark.parametrize("seed", range(6))
def test_a_meningioma_sits_broadly_on_the_dura(seed: int) -> None:
    anatomy, tumour = a_patient("meningioma", seed)
    body = inside(tumour, anatomy)
    assert np.all(body.cavity < 0)
    cell_mm2 = (tumour.radius_mm / 10) ** 2
    on_vault = np.count_nonzero(np.abs(body.cavity) < 2) / 2 * cell_mm2 * tumour.radius_mm / 10
    on_falx = np.count_nonzero(np.abs(body.points[0]) < 2) / 4 * cell_mm2 * tumour.radius_mm / 10
    assert max(on_vault, on_falx) > 0.8 * tumour.radius_mm**2


@pytest.mark.parametrize("seed", range(6))
def test_a_glioma_stays_inside_one_hemisphere(seed: int) -> None:
    anatomy, tumour = a_patient("glioma", seed)
    body = inside(tumour, anatomy)
    assert body.points.shape[1] > 0
    assert np.all(body.cerebrum < 0)
    assert np.ptp(np.sign(body.points[0])) == 0


@pytest.mark.parametrize("seed", range(6))
def test_a_pituitary_tumour_grows_on_the_midline_at_the_base(seed: int) -> None:
    anatomy, tumour = a_patient("pituitary", seed)
    body = inside(tumour, anatomy).points
    assert body[0].min() < 0 < body[0].max()
    assert abs(body[0].mean()) < 7
    assert body[2].min() < -18
    assert body[2].max() < 20


def noiseless(kind: Kind, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    anatomy, tumour = a_patient(kind, seed)
    rng = np.random.default_rng(seed)
    plane: Plane = PLANES[seed % 3]
    offset = anatomy.to_scanner(np.array(tumour.body.centre))[LAYOUT[plane][0]]
    scan = replace(Scan.draw(rng, plane, float(offset)), noise=0.0, bias_strength=0.0)
    image, mask = take_slice(scan, anatomy, tumour, 128)
    return image.astype(float), mask


@pytest.mark.parametrize("seed", range(6))
def test_a_glioma_is_a_bright_ring_around_a_dark_core(seed: int) -> None:
    image, mask = noiseless("glioma", seed)
    depth = ndimage.distance_transform_edt(mask)
    core, ring = image[depth > 0.75 * depth.max()], image[(depth > 0.5) & (depth <= 2)]
    assert core.mean() < 0.9 * ring.mean()
    around = ndimage.binary_dilation(mask, iterations=5) & ~ndimage.binary_dilation(mask)
    assert np.median(ring) > np.median(image[around])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "glioma"])
@pytest.mark.parametrize("seed", range(3))
def test_the_other_tumours_enhance_evenly(kind: Kind, seed: int) -> None:
    image, mask = noiseless(kind, seed)
    body = image[ndimage.binary_erosion(mask, iterations=2)]
    assert body.std() < 0.12 * body.mean()


def test_the_brain_lies_in_the_skull_and_holds_every_part_of_it() -> None:
    slices = list(phantom_slices(patients=6, seed=3, size=64, with_brain=True))
    for one in slices:
        assert one.brain is not None
        assert one.head is not None
        assert np.all(one.brain[one.mask])
        assert np.all(one.head[one.brain])
        around = ndimage.distance_transform_edt(np.pad(one.head, 1))[1:-1, 1:-1]
        # at 64 pixels of about 3.7 mm: scalp and bone are at least 8.5 mm thick
        assert around[one.brain & ~one.mask].min() > 1
        assert 0.15 < one.brain.sum() / one.head.sum() < 0.85
    plain = list(phantom_slices(patients=6, seed=3, size=64))
    assert all(one.brain is None for one in plain)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(plain, slices, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_cerebrum_and_cerebellum_are_brain_and_scalp_is_not(seed: int) -> None:
    anatomy = Anatomy.draw(np.random.default_rng(seed))
    section = Section(cloud(seed, 6000, 110), anatomy)
    brain = inside_meninges(section)
    base = section.points[2] < -12  # the bones of the base reach into the hull of the cerebellum
    for part in (section.cerebrum, section.cerebellum):
        assert np.all(brain[(part < -1.5) & ~base])
    assert not brain[section.cavity > 0].any()
    assert not brain[section.points[2] < -62].any()
