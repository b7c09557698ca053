"""Augmentation: seeded, in register, within its ranges, and without side effects."""

import numpy as np
import pytest
import torch

from unifocal.augmentation import standard


def pair(size: tuple[int, ...] = (64, 64)) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.zeros(1, *size, dtype=torch.int64)
    labels[(0, *(slice(length // 3, length // 2) for length in size))] = 1
    return labels.float() * 4 - 1, labels


def test_the_same_seed_gives_the_same_pair_and_leaves_the_generators_alone() -> None:
    augment = standard((64, 64))
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    for seed in range(40):
        first, again = augment(*pair(), seed), augment(*pair(), seed)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(torch_before, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


def test_the_original_is_not_changed() -> None:
    image, labels = pair()
    kept = image.clone(), labels.clone()
    for seed in range(40):
        standard((64, 64))(image, labels, seed)
    assert torch.equal(image, kept[0])
    assert torch.equal(labels, kept[1])


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (16, 24, 24)])
def test_image_and_labels_move_together(size: tuple[int, ...]) -> None:
    augment = standard(size)
    moved = 0
    for seed in range(60):
        image, labels = augment(*pair(size), seed)
        assert image.shape == labels.shape == (1, *size)
        assert set(labels.unique().tolist()) <= {0, 1}
        middle = (image.min() + image.max()) / 2
        overlap = ((image > middle) == (labels == 1)).float().mean()
        assert overlap > 0.985
        moved += not torch.equal(labels, pair(size)[1])
    # 1 - 0.85**3 * (1 - 0.15 * 3/4) of 60 would be about 27 in 2D.
    assert 12 <= moved <= 48


def test_brightness_keeps_the_darkest_value() -> None:
    image, labels = pair()
    changed = [augmented for seed in range(80) if (augmented := standard((64, 64))(image, labels, seed)[0]).max() != 3]
    assert changed
    assert all(one.min() == pytest.approx(-1, abs=1e-5) for one in changed)
