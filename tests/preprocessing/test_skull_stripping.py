"""Skull stripping: on heads whose brain is known, on real tumours, and on what is no head at all."""

import csv
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from real_images import real_data
from unifocal.data.phantom import PhantomSlice, phantom_slices
from unifocal.data.phantom_anatomy import Anatomy
from unifocal.data.phantom_scan import Scan, head_masks, take_slice
from unifocal.data.phantom_tumour import Tumour
from unifocal.preprocessing import Pipeline, Sample, brain_mask


@pytest.fixture(scope="module")
def heads() -> list[PhantomSlice]:
    # a seed and patients on which nothing was chosen
    return list(phantom_slices(patients=8, seed=77, size=128, with_brain=True))


def as_image(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    return grey[None].astype(np.float32)


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def brain_of(head: PhantomSlice) -> NDArray[np.bool_]:
    assert head.brain is not None
    return head.brain


def test_the_brain_is_found(heads: list[PhantomSlice]) -> None:
    ours = [dice(brain_mask(as_image(head.image), margin=0), brain_of(head)) for head in heads]
    theirs = [dice(brain_mask(as_image(head.image), method="source_a"), brain_of(head)) for head in heads]
    assert np.mean(ours) > 0.87
    assert np.mean(ours) > np.mean(theirs) + 0.2


def test_the_margin_keeps_tumours_and_still_removes_scalp(heads: list[PhantomSlice]) -> None:
    kept = removed = tumour = around = 0
    for head in heads:
        assert head.head is not None
        mask = brain_mask(as_image(head.image))
        shell = head.head & ~brain_of(head)
        kept, tumour = kept + (mask & head.mask).sum(), tumour + head.mask.sum()
        removed, around = removed + (shell & ~mask).sum(), around + shell.sum()
    assert kept > 0.98 * tumour
    assert removed > 0.4 * around


def test_a_larger_margin_keeps_more(heads: list[PhantomSlice]) -> None:
    for head in heads[:4]:
        masks = [brain_mask(as_image(head.image), margin=margin) for margin in (0, 0.03, 0.1)]
        for smaller, larger in pairwise(masks):
            assert (smaller & ~larger).sum() < 0.01 * smaller.sum()
            assert larger.sum() > smaller.sum()


@pytest.mark.parametrize("size", [64, 300])
def test_pictures_of_any_resolution_are_stripped(size: int) -> None:
    other = phantom_slices(patients=2, seed=77, size=size, with_brain=True)
    scores = [dice(brain_mask(as_image(head.image), margin=0), brain_of(head)) for head in other]
    # the median: now and then the search for the rough shape ends elsewhere
    assert np.median(scores) > 0.9


@pytest.mark.parametrize("method", ["source_a", "improved"])
def test_brightness_changes_nothing_that_matters(heads: list[PhantomSlice], method: str) -> None:
    image = as_image(heads[1].image)
    first = brain_mask(image, method=method)
    for other in (image * 37, image / 1000 - 4):
        assert dice(brain_mask(other.astype(np.float32), method=method), first) > 0.98


def test_the_same_image_gives_the_same_mask(heads: list[PhantomSlice]) -> None:
    image = as_image(heads[0].image)
    np.testing.assert_array_equal(brain_mask(image), brain_mask(image))


def test_a_volume_is_stripped_as_a_volume() -> None:
    rng = np.random.default_rng(5)
    anatomy = Anatomy.draw(rng)
    tumour = Tumour.draw(rng, "glioma", anatomy)
    scan = Scan.draw(rng, "axial", 0.0)
    scans = [scan.moved(z) for z in np.arange(88, -76, -6.0)]
    volume = np.stack([take_slice(one, anatomy, tumour, 64)[0] for one in scans])
    truth = np.stack([head_masks(one, anatomy, tumour, 64)[0] for one in scans])
    spacing = (6.0, scan.width_mm / 64, scan.width_mm / 64)
    mask = brain_mask(as_image(volume), spacing_mm=spacing, margin=0)
    assert mask.shape == volume.shape
    assert (mask & truth).sum() > 0.9 * truth.sum()
    assert dice(mask, truth) > dice(volume > 20, truth)


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=3), st.sampled_from(["source_a", "improved"]), st.integers(0, 99)
)
def test_what_is_no_head_still_gives_a_mask(shape: list[int], method: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.choice([rng.normal(size=shape), rng.integers(0, 2, shape)][seed % 2 : seed % 2 + 1])
    mask = brain_mask(np.asarray(noise, np.float32).reshape(1, *shape), method=method)
    assert mask.shape == tuple(shape)
    assert mask.dtype == np.bool_


@pytest.mark.parametrize("method", ["source_a", "improved"])
@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_image_is_kept(method: str, value: float) -> None:
    assert brain_mask(np.full((1, 20, 20), value, np.float32), method=method).all()


def test_source_a_is_what_opencv_calls_would_give() -> None:
    # GaussianBlur(5, 5), THRESH_OTSU and the inside of the largest contour, written out
    rows, columns = np.mgrid[:90, :90] - 45
    radius = np.hypot(rows, columns)
    head = np.where(radius < 25, 150.0, np.where((radius > 36) & (radius < 39), 240.0, 8.0))
    head[40:44, 40:44] = 0
    line = np.exp(-(np.arange(-2, 3) ** 2) / (2 * 1.1**2))
    kernel = np.outer(line, line) / line.sum() ** 2
    blurred = ndimage.convolve(head, kernel, mode="nearest")
    levels = np.linspace(blurred.min(), blurred.max(), 257)[1:-1]
    between = [(blurred > level).mean() * (blurred <= level).mean() for level in levels]
    gaps = [blurred[blurred > level].mean() - blurred[blurred <= level].mean() for level in levels]
    bright = blurred > levels[int(np.argmax(np.multiply(between, np.square(gaps))))]
    labels, count = ndimage.label(bright, np.ones((3, 3)))
    largest = labels == 1 + int(np.argmax([(labels == k).sum() for k in range(1, count + 1)]))
    expected = ndimage.binary_fill_holes(largest)
    found = brain_mask(head[None].astype(np.float32), method="source_a")
    assert (found != expected).mean() < 0.005


def test_labels_are_left_alone_and_the_brain_is_remembered(heads: list[PhantomSlice]) -> None:
    head = heads[2]
    labels = head.mask.astype(np.uint8)
    result = Pipeline.from_declaration(["skull_strip"]).apply(Sample(as_image(head.image), labels))
    np.testing.assert_array_equal(result.labels, labels)
    assert result.inside is not None
    np.testing.assert_array_equal(result.image[0], np.where(result.inside, head.image, 0))


def test_real_tumours_stay() -> None:
    data = real_data("brain_t1ce")
    with (data / "cases.csv").open(encoding="utf-8") as file:
        cases = [row["case"] for row in csv.DictReader(file)][::10]
    kept = tumour = covered = 0
    for case in cases:
        image = np.asarray(Image.open(data / "images" / f"{case}.png").convert("L"))
        truth = np.asarray(Image.open(data / "masks" / f"{case}.png").convert("L")) > 127
        mask = brain_mask(as_image(image))
        kept, tumour, covered = kept + (mask & truth).sum(), tumour + truth.sum(), covered + mask.mean()
    assert kept > 0.975 * tumour
    assert covered / len(cases) < 0.5
