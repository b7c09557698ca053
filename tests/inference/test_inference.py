"""Back to the image's own size, and onto disk."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from unifocal.inference import (
    decide,
    draw_overlay,
    predict_probabilities,
    write_mask,
    write_overlay,
)
from unifocal.inference.predict import PreparedImage
from unifocal.preprocessing.sample import GeometryRecord


class Threshold(nn.Module):
    """Logits that are the image itself, one channel per class."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image + self.anchor


def disc(size: int) -> np.ndarray:
    rows, columns = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    return np.hypot(rows, columns) < 0.3


def resized(size: tuple[int, int]) -> tuple[GeometryRecord, ...]:
    return (GeometryRecord("resize", size, (64, 64)),)


def segmented(network: nn.Module, images: Iterable[PreparedImage], batch_size: int) -> Iterator[NDArray[np.uint8]]:
    """The class indices of each image, as studies and predictions find them."""
    return map(decide, predict_probabilities(network, images, batch_size=batch_size))


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_predictions_come_back_in_order_and_at_each_size(batch_size: int) -> None:
    sizes = [(64, 64), (100, 80), (512, 512), (20, 30), (64, 65)]
    images = [np.full((1, 64, 64), 9.0 if i % 2 else -9.0, np.float32) for i in range(5)]
    stream = zip(images, map(resized, sizes), strict=True)
    found = list(segmented(Threshold(), stream, batch_size=batch_size))
    assert [mask.shape for mask in found] == sizes
    assert [int(mask.min()) for mask in found] == [int(mask.max()) for mask in found] == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_shape_survives_the_way_back(channels: int) -> None:
    logits = np.where(disc(64), 6.0, -6.0).astype(np.float32)[None]
    if channels == 3:
        logits = np.concatenate([-logits, np.full_like(logits, -20), logits])
    (found,) = segmented(Threshold(), iter([(logits, resized((256, 256)))]), batch_size=4)
    truth = disc(256) * (1 if channels == 1 else 2)
    assert (found == truth).mean() > 0.99


def test_what_was_cropped_away_is_background() -> None:
    logits = np.full((1, 8, 8), 9.0, np.float32)
    crop = GeometryRecord("frame", (20, 30), (8, 8), (5, 10))
    (found,) = segmented(Threshold(), iter([(logits, (crop,))]), batch_size=1)
    expected = np.zeros((20, 30), np.uint8)
    expected[5:13, 10:18] = 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_probabilities_come_at_the_images_size_and_decide_the_mask(channels: int) -> None:
    random = np.random.default_rng(channels)
    logits = random.normal(0, 8, (channels, 64, 64)).astype(np.float32)
    crop = GeometryRecord("frame", (90, 70), (64, 64), (10, 3))
    for geometry in (resized((101, 77)), resized((20, 30)), (crop,), ()):
        (found,) = predict_probabilities(Threshold(), iter([(logits, geometry)]), batch_size=1)
        (indices,) = segmented(Threshold(), iter([(logits, geometry)]), batch_size=1)
        assert found.dtype == np.float32
        assert found.shape == (channels, *(geometry[0].before if geometry else (64, 64)))
        assert 0 <= found.min() <= found.max() <= 1
        np.testing.assert_array_equal(decide(found), indices)
        if channels > 1:
            np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    (whole,) = predict_probabilities(Threshold(), iter([(logits, ())]), batch_size=1)
    exact = np.exp(logits.astype(np.float64))
    exact = exact / (1 + exact) if channels == 1 else exact / exact.sum(axis=0)
    np.testing.assert_allclose(whole, exact, atol=1e-6)


@pytest.mark.parametrize(("top", "mode"), [(3, np.uint8), (255, np.uint8), (300, np.uint16)])
def test_masks_read_back_exactly(tmp_path: Path, top: int, mode: type) -> None:
    mask = np.random.default_rng(0).integers(0, top + 1, (9, 11))
    mask[0, 0] = top
    write_mask(tmp_path / "m.png", mask)
    with Image.open(tmp_path / "m.png") as picture:
        stored = np.array(picture)
    np.testing.assert_array_equal(stored, mask)
    assert stored.astype(mode).max() == top
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]


def test_an_overlay_marks_the_label_and_leaves_the_rest(tmp_path: Path) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (1, 40, 40)).astype(np.float32)
    mask = np.zeros((40, 40), np.uint8)
    mask[10:20, 10:20] = 1
    plain, marked = draw_overlay(image, np.zeros_like(mask)), draw_overlay(image, mask)
    assert (plain == marked).all(axis=-1)[mask == 0].all()
    assert not (plain == marked).all(axis=-1)[mask == 1].any()
    assert (plain[..., 0] == plain[..., 1]).all()
    write_overlay(tmp_path / "o.png", image, mask)
    with Image.open(tmp_path / "o.png") as picture:
        np.testing.assert_array_equal(np.array(picture), marked)
