"""Preparing images: sizes, ranges, small lesions, skulls."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unifocal.preprocessing import Pipeline, Sample, strip_skull, unit_range, z_score
from unifocal.preprocessing.resampling import resize_labels


def prepared(image: np.ndarray, size: tuple[int, int], *steps: object) -> np.ndarray:
    return Pipeline.from_declaration([*steps, {"resize": {"size": list(size)}}]).apply(Sample(image)).image


@given(hnp.arrays(np.float32, (2, 5, 7), elements=st.floats(-1000, 1000, width=32)))
def test_z_score_has_mean_zero_and_deviation_one(image: np.ndarray) -> None:
    scored = z_score(image)
    assert np.isfinite(scored).all()
    assert scored.mean() == pytest.approx(0, abs=1e-3)
    if image.std() > 1e-2:
        assert scored.std() == pytest.approx(1, abs=1e-3)


def test_a_constant_image_becomes_zeros() -> None:
    assert not z_score(np.full((1, 4, 4), 7, np.float32)).any()


@pytest.mark.parametrize(("peak", "divisor"), [(1, 1), (200, 255), (255, 255), (256, 65535), (40000, 65535)])
def test_unit_range_divides_by_the_bit_depth(peak: float, divisor: float) -> None:
    image = np.array([[[0, peak]]], np.float32)
    assert unit_range(image).max() == pytest.approx(peak / divisor)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([1, 3]), st.sampled_from([1, 3]), st.integers(8, 60), st.integers(8, 60),
    st.sampled_from(["z_score", "unit"]), st.booleans(),
)  # fmt: skip
def test_prepared_images_have_the_size_and_channels_asked_for(
    stored: int, wanted: int, rows: int, columns: int, intensity: Literal["z_score", "unit"], strip: bool
) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (stored, rows, columns)).astype(np.float32)
    steps = [{"channels": {"count": wanted}}, *([{"skull_strip": {"method": "source_a"}}] if strip else []), intensity]
    result = prepared(image, (32, 24), *steps)
    assert result.shape == (wanted, 32, 24)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()


def test_an_image_of_the_right_size_is_not_resampled() -> None:
    image = np.random.default_rng(0).uniform(0, 255, (1, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(prepared(image, (16, 16), "unit"), image / 255, rtol=1e-6)


def test_labels_keep_their_area_and_their_values() -> None:
    labels = np.zeros((512, 512), np.uint8)
    labels[100:200, 100:220] = 1
    labels[300:350, 300:350] = 4
    small = resize_labels(labels, (128, 128))
    assert set(np.unique(small)) == {0, 1, 4}
    for label in (1, 4):
        assert (small == label).mean() == pytest.approx((labels == label).mean(), rel=0.1)


def test_labels_stay_in_register_with_the_image() -> None:
    labels = np.zeros((200, 300), np.uint8)
    labels[40:120, 60:180] = 1
    image = prepared(labels[None].astype(np.float32), (64, 64), "unit")
    assert np.array_equal(image[0] > 0.5, resize_labels(labels, (64, 64)) == 1)


def test_the_skull_goes_when_it_is_a_region_of_its_own() -> None:
    rows, columns = np.mgrid[:100, :100] - 50
    radius = np.hypot(rows, columns)
    head = np.where(radius < 30, 150.0, np.where((radius > 40) & (radius < 43), 250.0, 5.0)).astype(np.float32)
    stripped = strip_skull(head[None])[0]
    assert not stripped[radius > 38].any()
    np.testing.assert_array_equal(stripped[radius < 28], head[radius < 28])


def test_a_constant_image_is_not_stripped() -> None:
    image = np.full((1, 10, 10), 3, np.float32)
    np.testing.assert_array_equal(strip_skull(image), image)
