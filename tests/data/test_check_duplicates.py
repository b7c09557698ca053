"""The same picture is known again after copying and re-encoding; pictures of other patients are not taken for it."""

import csv
import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom

from real_images import real_data
from unifocal.data.check.duplicates import SIMILAR, similar_pairs
from unifocal.data.check.fingerprint import PLANES, SIDE, coarse, fingerprint, normalised

Picture = NDArray[np.float32]
COUNT = 150


def texture(seed: int, shape: tuple[int, ...] = (210, 260)) -> Picture:
    """Structure of several sizes on an outline that all share, as scans have."""
    random = np.random.default_rng(seed)
    field = sum(gaussian_filter(random.normal(size=shape), width) * width for width in (1, 3, 8, 20))
    centred = np.meshgrid(*[np.linspace(-1, 1, length) for length in shape], indexing="ij")
    inside = sum(axis**2 for axis in centred) < 0.8
    return (np.clip(field * 60 + 110, 0, 255) * inside).astype(np.float32)


def jpeg(picture: Picture, quality: int) -> Picture:
    buffer = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer), np.float32)


def resized(picture: Picture, scale: float) -> Picture:
    image = Image.fromarray(picture.astype(np.uint8))
    return np.asarray(image.resize((round(image.width * scale), round(image.height * scale))), np.float32)


RECODED: dict[str, Callable[[Picture], Picture]] = {
    "JPEG 75": lambda picture: jpeg(picture, 75),
    "JPEG 50": lambda picture: jpeg(picture, 50),
    "half the size": lambda picture: resized(picture, 0.5),
    "1.7 times the size": lambda picture: resized(picture, 1.7),
    "half the size and JPEG 60": lambda picture: jpeg(resized(picture, 0.5), 60),
    "10 % brighter": lambda picture: np.clip(picture * 1.1, 0, 255),
    "10 % darker": lambda picture: picture * np.float32(0.9),
    "other units": lambda picture: picture * 13 - 1000,
}


def similarity(first: Picture, second: Picture) -> float:
    rows = normalised(np.stack([fingerprint(first[None]), fingerprint(second[None])]))
    return float(rows[0] @ rows[1])


@pytest.mark.parametrize("how", RECODED)
@pytest.mark.parametrize("seed", range(3))
def test_a_re_encoded_picture_is_known_again(how: str, seed: int) -> None:
    picture = texture(seed)
    assert similarity(picture, RECODED[how](picture)) >= SIMILAR


def test_a_resampled_volume_with_noise_is_known_again_and_others_are_not() -> None:
    volumes = [texture(seed, (40, 60, 50)) for seed in range(6)]
    for volume in volumes[:3]:
        noise = np.random.default_rng(0).normal(0, 1, volume.shape).astype(np.float32)
        assert similarity(volume, volume + noise) >= SIMILAR
    across = [similarity(a, b) for index, a in enumerate(volumes) for b in volumes[index + 1 :]]
    assert max(across) < SIMILAR - 0.15


@given(st.floats(0.1, 50), st.floats(-1000, 1000))
def test_units_do_not_matter(scale: float, offset: float) -> None:
    picture = texture(1)
    assert similarity(picture, (picture * np.float32(scale) + np.float32(offset)).astype(np.float32)) > 0.99


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3, 2), (47, 48), (2000, 5), (1, 1, 1), (2, 70, 3), (17, 16, 200)])
def test_every_size_has_a_fingerprint_of_the_same_length(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    for channels in (1, 3):
        image = random.normal(size=(channels, *shape)).astype(np.float32)
        assert fingerprint(image).shape == (SIDE**2 * (PLANES if len(shape) == 3 else 1),)
    assert not fingerprint(np.ones((1, *shape), np.float32)).any()


def test_pairs_are_those_of_all_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks and from coarse candidates, the same pairs are found as by comparing all with all."""
    from unifocal.data.check import duplicates

    monkeypatch.setattr(duplicates, "_BLOCK", 7)
    pictures = [texture(seed) for seed in range(25)]
    pictures += [jpeg(picture, 60) for picture in pictures[:8]]
    groups = np.array([*range(25), 0, 1, 2, 30, 31, 32, 33, 34])
    prints = np.stack([fingerprint(picture[None]) for picture in pictures])
    rows = normalised(prints)
    products = rows @ rows.T
    expected = {
        (i, j) for i in range(33) for j in range(i + 1, 33) if products[i, j] >= SIMILAR and groups[i] != groups[j]
    }
    assert {(i, j) for i, j, _ in similar_pairs(prints, groups)} == expected == {(i, i + 25) for i in range(3, 8)}


def test_ten_thousand_cases_take_seconds() -> None:
    random = np.random.default_rng(0)
    prints = random.integers(-127, 128, (10_000, SIDE**2), dtype=np.int8)
    prints[9_999] = prints[5]
    assert [pair[:2] for pair in similar_pairs(prints, np.arange(10_000))] == [(5, 9_999)]
    assert coarse(prints[:3]).shape == (3, 256)


@pytest.mark.parametrize("name", ["brain_t1ce", "cvc_clinicdb"])
def test_real_patients_are_told_apart_and_real_pictures_known_again(name: str) -> None:
    folder = real_data(name)
    table, images, columns = {
        "brain_t1ce": ("cases.csv", "images", ("case", "patient")),
        "cvc_clinicdb": ("sequences.csv", "PNG/Original", ("frame", "sequence")),
    }[name]
    rows = list(csv.DictReader((folder / table).read_text().splitlines()))
    rows = rows[:: max(1, len(rows) // COUNT)]
    pictures = [
        np.asarray(Image.open(folder / images / f"{row[columns[0]]}.png").convert("L"), np.float32) for row in rows
    ]
    groups = np.array([hash(row[columns[1]]) for row in rows])
    prints = np.stack([fingerprint(picture[None]) for picture in pictures])
    products = normalised(prints) @ normalised(prints).T
    across = products[groups[:, None] != groups[None]]
    assert across.max() < SIMILAR - 0.1
    found = 0
    chosen = pictures[::5]
    for how in RECODED.values():
        found += sum(similarity(picture, how(picture)) >= SIMILAR for picture in chosen)
    assert found / (len(RECODED) * len(chosen)) > 0.99


def test_zoomed_volumes_of_the_same_grid_size_differ() -> None:
    volume = texture(3, (40, 50, 60))
    assert similarity(volume, zoom(volume, 1.5, order=1)[:40, :50, :60]) < SIMILAR
