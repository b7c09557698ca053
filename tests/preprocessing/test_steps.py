"""Each step against what it says, in two and three dimensions."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from unifocal.preprocessing import GeometryRecord, Pipeline, Sample, restore
from unifocal.problems import InputError


def run(sample: Sample, *declaration: Any) -> Sample:
    return Pipeline.from_declaration(list(declaration)).apply(sample)


def smooth(*shape: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(1, *shape))
    return ndimage.gaussian_filter(noise, (0, *(3,) * len(shape))).astype(np.float32)


sizes = st.lists(st.integers(5, 24), min_size=2, max_size=3)


@pytest.mark.parametrize("inside", ["nonzero", "mask", "field_of_view"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_z_score_inside_a_region(inside: str, per_channel: bool) -> None:
    region = np.hypot(*(np.mgrid[:30, :40] - 15)) < 12
    image = np.where(region, np.random.default_rng(0).uniform(50, 200, (2, 30, 40)), 0).astype(np.float32)
    image[1] *= 3
    scored = run(Sample(image, inside=region), {"z_score": {"inside": inside, "per_channel": per_channel}}).image
    assert not scored[:, ~region].any()
    groups = scored if per_channel else [scored]
    for group in groups:
        values = group[..., region]
        assert values.mean() == pytest.approx(0, abs=1e-5)
        assert values.std() == pytest.approx(1, abs=1e-5)


def test_percentiles_and_min_max() -> None:
    image = np.arange(1001, dtype=np.float32).reshape(1, 7, 143)
    low, high = np.percentile(np.arange(1001), (5, 90))
    clipped = run(Sample(image), {"percentile": {"low": 5, "high": 90}}).image
    np.testing.assert_allclose(clipped, np.clip((image - low) / (high - low), 0, 1), atol=1e-6)
    np.testing.assert_allclose(run(Sample(image), "min_max").image, image / 1000, atol=1e-6)


@pytest.mark.parametrize("step", ["z_score", "min_max", "percentile", "unit"])
@pytest.mark.parametrize("inside", ["image", "nonzero"])
def test_constant_images_stay_finite(step: str, inside: str) -> None:
    entry: Any = step if step == "unit" else {step: {"inside": inside}}
    for value in (0, 7):
        assert np.isfinite(run(Sample(np.full((1, 8, 9), value, np.float32)), entry).image).all()


def test_the_hounsfield_window_clips_and_scales() -> None:
    image = np.array([[[-1000, -79, 112.5, 304, 3000]]], np.float32)
    scaled = run(Sample(image), {"window": {"low": -79, "high": 304}}).image
    np.testing.assert_allclose(scaled, [[[0, 0, 0.5, 1, 1]]], atol=1e-6)
    left = run(Sample(image), {"window": {"low": -79, "high": 304, "scale": False}}).image
    np.testing.assert_array_equal(left, [[[-79, -79, 112.5, 304, 304]]])


def test_resampling_reaches_the_spacing_and_keeps_the_field_of_view() -> None:
    sample = Sample(smooth(20, 40, 41), spacing_mm=(5.0, 0.8, 0.8))
    result = run(sample, {"resample": {"spacing_mm": [3.22, 1.62, 1.62]}})
    assert result.spatial == (31, 20, 20)
    assert result.spacing_mm == pytest.approx((100 / 31, 32 / 20, 32.8 / 20))
    assert result.spacing_mm is not None
    for extent, mm, old in zip(result.spatial, result.spacing_mm, (100, 32, 32.8), strict=True):
        assert extent * mm == pytest.approx(old)


def test_a_line_of_grey_values_stays_where_it_was() -> None:
    # a ramp through the element centres: a shift of the grid by half an element would show
    image = np.broadcast_to(np.arange(60) + 0.5, (1, 12, 60)).astype(np.float32)
    result = run(Sample(image, spacing_mm=(1, 1)), {"resample": {"spacing_mm": [1, 2]}}).image
    np.testing.assert_allclose(result[0, 5, 2:-2], (np.arange(30) * 2 + 1)[2:-2], atol=1e-3)


@settings(max_examples=30)
@given(sizes, st.integers(0, 99))
def test_labels_keep_their_values_through_every_step(shape: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 2, 300], size=shape).astype(np.int32)
    axes = len(shape)
    sample = Sample(smooth(*shape, seed=seed), labels, spacing_mm=(1.0,) * axes, inside=labels > 0)
    target = [int(n) for n in rng.integers(4, 30, axes)]
    result = run(
        sample, {"resample": {"spacing_mm": [0.7] * axes}}, {"resize": {"size": target}}, {"pad": {"size": [32] * axes}}
    )
    assert result.labels is not None
    assert result.labels.dtype == labels.dtype
    assert set(np.unique(result.labels)) <= {0, 2, 300}
    assert result.inside is not None
    assert result.inside.dtype == np.bool_
    assert result.spatial == result.labels.shape == result.inside.shape == (32,) * axes


def test_a_lesion_of_one_element_survives_halving_its_slices() -> None:
    labels = np.zeros((8, 20, 20), np.uint8)
    labels[4, 10:14, 10:14] = 1
    sample = Sample(smooth(8, 20, 20), labels, spacing_mm=(3.0, 1.0, 1.0))
    result = run(sample, {"resample": {"spacing_mm": [3.0, 2.0, 2.0]}})
    assert result.labels is not None
    assert result.labels.sum() == 4


@settings(max_examples=40)
@given(sizes, st.integers(1, 9), st.integers(0, 99))
def test_padding_and_cropping_are_undone_exactly(shape: list[int], multiple: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.uniform(1, 2, (2, *shape)).astype(np.float32)
    axes = len(shape)
    hole = tuple(slice(int(rng.integers(0, n // 2)), None) for n in shape)
    content = np.zeros(shape, bool)
    content[hole] = True
    image *= content
    labels = rng.integers(0, 5, shape)
    result = run(
        Sample(image, labels), "crop_foreground", {"pad": {"multiple": multiple + 1}}, {"pad": {"size": [30] * axes}}
    )
    np.testing.assert_array_equal(restore(result.image, result.geometry), image)
    assert result.labels is not None
    np.testing.assert_array_equal(restore(result.labels, result.geometry, order="nearest"), labels * content)


@pytest.mark.parametrize("shape", [(60, 45), (30, 40, 36)])
def test_a_prediction_finds_its_way_back(shape: tuple[int, ...]) -> None:
    axes = len(shape)
    grids = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    ball = (sum(grid**2 for grid in grids) < 0.5).astype(np.uint8)
    image = np.where(np.abs(grids[0]) < 0.9, 1 + grids[-1], 0)[None].astype(np.float32)
    sample = Sample(image, ball, spacing_mm=(1.5, 1.0, 1.0)[:axes])
    result = run(
        sample, {"resample": {"spacing_mm": [1.2] * axes}}, "crop_foreground", {"resize": {"size": [40] * axes}},
        {"pad": {"multiple": 16}}, "z_score",
    )  # fmt: skip
    assert result.labels is not None
    soft = restore((result.labels == 1)[None], result.geometry)
    assert soft.shape == (1, *shape)
    assert soft.dtype == np.float32
    hard = restore(result.labels, result.geometry, order="nearest")
    assert hard.dtype == result.labels.dtype
    for back in (soft[0] > 0.5, hard == 1):
        assert 2 * (back & (ball == 1)).sum() / (back.sum() + ball.sum()) > 0.95
        centre = ndimage.center_of_mass(back)
        np.testing.assert_allclose(centre, ndimage.center_of_mass(ball), atol=0.35)


def test_restoring_refuses_values_of_another_grid() -> None:
    geometry = run(Sample(smooth(20, 20)), {"resize": {"size": [10, 12]}}).geometry
    with pytest.raises(ValueError, match="do not lie on the grid"):
        restore(np.zeros((12, 10)), geometry)


def test_geometry_survives_json() -> None:
    geometry = run(Sample(smooth(20, 21)), {"resize": {"size": [10, 12]}}, {"pad": {"multiple": 16}}).geometry
    assert tuple(GeometryRecord.from_plain(record.to_plain()) for record in geometry) == geometry
    assert geometry[1].start == (-3, -2)


def test_cropping_looks_at_the_image_and_never_at_the_labels() -> None:
    image = np.zeros((1, 20, 20), np.float32)
    image[0, 5:9, 7:12] = 3
    labels = np.zeros((20, 20), np.uint8)
    labels[0, 0] = 1
    result = run(Sample(image, labels), {"crop_foreground": {"margin": 2}})
    assert result.spatial == (8, 9)
    assert result.geometry[0].start == (3, 5)
    with pytest.raises(InputError, match="zero everywhere"):
        run(Sample(np.zeros((1, 5, 5), np.float32)), "crop_foreground")


def test_padding_with_the_minimum() -> None:
    image = np.stack([np.full((4, 4), -5.0), np.full((4, 4), 9.0)]).astype(np.float32)
    padded = run(Sample(image), {"pad": {"size": [6, 4], "fill": "minimum"}}).image
    np.testing.assert_array_equal(padded[:, 0, 0], [-5, 9])


def test_the_bias_field_is_divided_out() -> None:
    rows, columns = np.mgrid[:96, :96] / 96 - 0.5
    head = np.hypot(rows, columns) < 0.45
    tissue = np.where(np.hypot(rows * 2, columns) < 0.25, 150.0, 90.0) * head
    uneven = (tissue * np.exp(0.9 * rows + 0.5 * columns))[None].astype(np.float32)
    corrected = run(Sample(uneven, inside=head), {"bias_correction": {"shrink": 2}}).image[0]
    for part in (tissue == 150, tissue == 90):
        before = uneven[0][part].std() / uneven[0][part].mean()
        assert corrected[part].std() / corrected[part].mean() < 0.5 * before


def test_the_field_of_view_is_found_and_used() -> None:
    disc = np.hypot(*(np.mgrid[:80, :80] - 40)) < 34
    image = np.where(disc, 90, 4) + np.random.default_rng(0).normal(0, 2, (3, 80, 80))
    found = run(Sample(image.astype(np.float32)), "field_of_view")
    assert found.inside is not None
    assert (found.inside != disc).mean() < 0.02
    assert not found.image[:, ~found.inside].any()
    given_mask = disc & (np.arange(80) < 40)
    given_result = run(Sample(image.astype(np.float32), inside=given_mask), "field_of_view")
    np.testing.assert_array_equal(given_result.inside, given_mask)


@pytest.mark.parametrize(("held", "count"), [(1, 3), (3, 1), (1, 4), (2, 2)])
def test_channels(held: int, count: int) -> None:
    image = np.random.default_rng(0).uniform(size=(held, 6, 5)).astype(np.float32)
    result = run(Sample(image), {"channels": {"count": count}}).image
    assert result.shape == (count, 6, 5)
    np.testing.assert_allclose(result.mean(axis=0), image.mean(axis=0), rtol=1e-6)


def test_three_scans_are_not_averaged_as_colours_are() -> None:
    volume = np.random.default_rng(0).uniform(size=(3, 4, 6, 5)).astype(np.float32)
    with pytest.raises(InputError, match="has 3 channels"):
        run(Sample(volume), {"channels": {"count": 1}})
    grey = np.repeat(volume[:1], 3, axis=0)
    np.testing.assert_allclose(run(Sample(grey), {"channels": {"count": 1}}).image, volume[:1], rtol=1e-6)


def test_resampling_a_volume_takes_no_float64_copies() -> None:
    image = np.random.default_rng(0).normal(size=(1, 96, 96, 80)).astype(np.float32)
    step = {"resample": {"spacing_mm": [1.25, 1.25, 1.25]}}
    with_labels = Sample(image, (image[0] > 1).astype(np.uint8), spacing_mm=(1.0, 1.0, 1.0))
    for sample, volumes in ((Sample(image, spacing_mm=(1.0, 1.0, 1.0)), 2.0), (with_labels, 4.0)):
        tracemalloc.start()
        run(sample, step)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < volumes * image.nbytes
