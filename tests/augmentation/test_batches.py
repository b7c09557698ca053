"""Augmentation of batches: what batchgeneratorsv2 makes of the same draws, seeded, sample by sample."""

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from hypothesis import given
from hypothesis import strategies as st

from unifocal.augmentation import BatchAugmentation
from unifocal.augmentation.batches import _displacements, _Drawn

SIZES = [(40, 56), (12, 24, 20)]


def batch(size: tuple[int, ...], count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of two channels with a block and a rod in each, and which of them is where."""
    random = np.random.default_rng(len(size))
    labels = torch.zeros(count, 1, *size, dtype=torch.int64)
    labels[(slice(None), 0, *(slice(length // 4, length // 2) for length in size))] = 1
    labels[(slice(None), 0, *(slice(length // 2, length - 2) for length in size[:-1]), slice(3, 6))] = 2
    noise = torch.from_numpy(random.normal(0, 0.1, (count, 2, *size)).astype(np.float32))
    return 3 * labels.float() - 1 + noise, labels


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_same_draws_same_result_as_the_library(
    size: tuple[int, ...], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    angle, factor, blur, reach = 0.2, 0.85, 10 / 128, 2.5
    library = SpatialTransform(
        size, 0, random_crop=False, p_elastic_deform=1, elastic_deform_scale=(blur, blur),
        elastic_deform_magnitude=(reach, reach), p_rotation=1, rotation=(angle, angle), p_scaling=1,
        scaling=(factor, factor), p_synchronize_scaling_across_axes=1, padding_mode_image="border",
    )  # fmt: skip
    noise = torch.randn(len(size), *size, generator=torch.Generator().manual_seed(seed))
    monkeypatch.setattr(torch, "normal", lambda **_: noise.clone())
    images, labels = batch(size, 1)
    parameters = library.get_parameters(image=images[0])
    wanted = library._apply_to_image(images[0], **parameters)
    wanted_labels = library._apply_to_segmentation(labels[0], **parameters)

    drawn = _Drawn(parameters["affine"], blur * np.array(size), np.full(len(size), reach), (), 1.0)
    monkeypatch.setattr(BatchAugmentation, "_draw", lambda *_: drawn)
    found, found_labels = BatchAugmentation(size, 3)(images, labels, [seed])
    torch.testing.assert_close(found[0], wanted, rtol=1e-3, atol=1e-3)
    assert (found_labels[0] == wanted_labels).float().mean() > 0.999


@pytest.mark.parametrize("size", SIZES)
def test_a_sample_does_not_depend_on_its_batch(size: tuple[int, ...]) -> None:
    augment = BatchAugmentation(size, 3)
    images, labels = batch(size, 40)
    kept = images.clone(), labels.clone()
    seeds = list(range(40))
    together = augment(images, labels, seeds)
    assert torch.equal(images, kept[0])
    assert torch.equal(labels, kept[1])
    apart = [augment(images[n : n + 1], labels[n : n + 1], [n]) for n in seeds]
    torch.testing.assert_close(together[0], torch.cat([image for image, _ in apart]), rtol=1e-5, atol=1e-5)
    assert (together[1] == torch.cat([each for _, each in apart])).float().mean() > 0.9999
    changed = [n for n in seeds if not torch.equal(together[0][n], images[n])]
    assert 12 <= len(changed) <= 34  # 1 - 0.85 ** 5 of 40 would be 22


@pytest.mark.parametrize("size", SIZES)
def test_image_and_labels_move_together(size: tuple[int, ...]) -> None:
    augment = BatchAugmentation(size, 3)
    _, labels = batch(size, 60)
    images, moved = augment(3 * labels.float() - 1, labels, list(range(1000, 1060)))
    assert images.dtype == torch.float32
    assert moved.dtype == torch.int64
    assert not torch.equal(moved, labels)
    # Whatever brightness made of it: the background is the darkest, and where nothing is blurred classes keep apart.
    sharp = [(image, each) for image, each in zip(images, moved, strict=True) if len(image.unique()) == 3]
    assert len(sharp) > 20
    for image, each in sharp:
        values = [image[each == label].unique() for label in (0, 1, 2)]
        assert [len(value) for value in values] == [1, 1, 1]
        assert values[0] < values[1] < values[2]
    blurred = [(image, each) for image, each in zip(images, moved, strict=True) if len(image.unique()) > 3]
    for image, each in blurred:
        middle = (image.min() + image.max()) / 2 - image.min()
        assert ((image - image.min() > 0.5 * middle) == (each > 0)).float().mean() > 0.95


@given(st.integers(0, 2**63 - 1))
def test_draws_lie_in_their_ranges(seed: int) -> None:
    size = (40, 56)
    drawn = BatchAugmentation(size, 2)._draw(np.random.default_rng(seed))
    assert 0.5 <= drawn.brightness <= 2
    assert set(drawn.mirrored) <= {0, 1}
    if drawn.matrix is not None:
        assert 1 / 1.25 <= np.sqrt(np.linalg.det(drawn.matrix)) <= 1 / 0.85
    if drawn.blur is not None:
        shifts = _displacements(size, drawn, seed, torch.device("cpu"))
        assert shifts.shape == (*size, 2)
        np.testing.assert_allclose(shifts.abs().amax((0, 1)).numpy(), drawn.reach, rtol=1e-4)
        assert drawn.reach.max() <= 2


def test_how_often_each_is_drawn() -> None:
    augment = BatchAugmentation((40, 56), 2)
    drawn = [augment._draw(np.random.default_rng(seed)) for seed in range(4000)]
    shares = [
        np.mean([each.matrix is not None for each in drawn]) / (1 - 0.85**2),
        np.mean([each.blur is not None for each in drawn]) / 0.15,
        np.mean([bool(each.mirrored) for each in drawn]) / (0.15 * 0.75),
        np.mean([each.brightness != 1 for each in drawn]) / 0.15,
    ]
    np.testing.assert_allclose(shares, 1, atol=0.12)


@pytest.mark.parametrize("size", SIZES)
def test_mirroring_turns_the_axes_that_were_drawn(size: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = batch(size, 3)
    axes = [(), (0,), tuple(range(1, len(size)))]
    still = [_Drawn(None, None, np.zeros(len(size)), each, 1.0) for each in axes]
    monkeypatch.setattr(BatchAugmentation, "_draw", lambda *_: still.pop(0))
    found, found_labels = BatchAugmentation(size, 3)(images, labels, [0, 1, 2])
    for place, turned in enumerate(axes):
        dims = [1 + axis for axis in turned]
        assert torch.equal(found[place], images[place].flip(dims))
        assert torch.equal(found_labels[place], labels[place].flip(dims))


def test_brightness_multiplies_what_is_above_the_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = batch((40, 56), 3)
    drawn = [_Drawn(None, None, np.zeros(2), (), factor) for factor in (1.7, 1.0, 0.6)]
    monkeypatch.setattr(BatchAugmentation, "_draw", lambda *_: drawn.pop(0))
    found, found_labels = BatchAugmentation((40, 56), 3)(images, labels, [0, 1, 2])
    assert torch.equal(found_labels, labels)
    for place, factor in enumerate((1.7, 1.0, 0.6)):
        floor = images[place].min()  # of both channels
        assert floor < -1
        torch.testing.assert_close(found[place], (images[place] - floor) * factor + floor)


def test_without_foreground_all_stays_background() -> None:
    images, labels = torch.randn(20, 1, 16, 16), torch.zeros(20, 1, 16, 16, dtype=torch.int64)
    assert not BatchAugmentation((16, 16), 1)(images, labels, list(range(20)))[1].any()


def test_a_batch_of_which_nothing_is_drawn_stays() -> None:
    augment = BatchAugmentation((8, 8), 2)
    still = next(
        seed
        for seed in range(100)
        if not (each := augment._draw(np.random.default_rng(seed))).moves and not each.mirrored and each.brightness == 1
    )
    images, labels = torch.randn(1, 1, 8, 8), torch.randint(0, 2, (1, 1, 8, 8))
    found = augment(images, labels, [still])
    assert torch.equal(found[0], images)
    assert torch.equal(found[1], labels)
