"""Patches: they lie inside, hold what the case holds there, and come back the same for the same seed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from unifocal.training.patches import Patches, window

lengths = st.lists(st.integers(1, 14), min_size=2, max_size=3)


def coded(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An image whose values, from 1 on, say where they are."""
    return (1 + np.arange(np.prod(shape), dtype=np.float32)).reshape(1, *shape)


def patches_of(classes: NDArray[np.uint8], size: tuple[int, ...], **wishes: float) -> Patches:
    image = coded(classes.shape)
    return Patches(lambda _case: (image, classes), size, 1, 3, **wishes)  # type: ignore[arg-type]


@given(st.data(), lengths, st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_a_patch_is_a_connected_part_of_its_case(
    data: st.DataObject, shape: list[int], seed: int, share: float
) -> None:
    size = tuple(data.draw(st.integers(1, 14)) for _ in shape)
    classes = np.random.default_rng(seed).integers(0, 3, shape).astype(np.uint8)
    image, labels = patches_of(classes, size, foreground_share=share).draw(0, seed)
    assert image.shape == (1, *size)
    assert labels.shape == (1, *size)
    taken = image[0].numpy()
    inside = taken > 0
    places = np.stack(np.unravel_index(taken[inside].astype(int) - 1, shape), axis=1)
    offsets = places - np.argwhere(inside)
    assert (offsets == offsets[0]).all()
    assert inside.sum() == np.prod([min(length, extent) for length, extent in zip(size, shape, strict=True)])
    assert (labels[0].numpy()[inside] == classes[tuple(places.T)]).all()
    assert not labels[0].numpy()[~inside].any()


def test_the_chosen_share_holds_foreground_and_each_class_alike() -> None:
    classes = np.zeros((60, 60, 60), np.uint8)
    classes[5, 5, 5] = 1
    classes[40:44, 40:50, 40:50] = 2
    patches = patches_of(classes, (9, 9, 9), foreground_share=0.6)
    held = [set(patches.draw(0, seed)[1].unique().tolist()) - {0} for seed in range(600)]
    centred = [found for found in held if found]
    assert 0.53 < len(centred) / 600 < 0.68
    assert 0.4 < sum(1 in found for found in centred) / len(centred) < 0.6


def test_without_foreground_patches_lie_anywhere() -> None:
    patches = patches_of(np.zeros((12, 12), np.uint8), (4, 4), foreground_share=1.0)
    corners = {int(patches.draw(0, seed)[0][0, 0, 0]) for seed in range(800)}
    assert len(corners) == 81


def test_the_same_seed_gives_the_same_patch_whatever_came_before() -> None:
    classes = (np.random.default_rng(0).random((30, 30)) > 0.9).astype(np.uint8)
    first, second = patches_of(classes, (8, 8)), patches_of(classes, (8, 8))
    first.draw(0, 99)
    assert all(torch.equal(*pair) for pair in zip(first.draw(0, 5), second.draw(0, 5), strict=True))


def test_the_whole_case_is_there_for_validation() -> None:
    classes = np.ones((5, 7), np.uint8)
    image, labels = patches_of(classes, (3, 3))[0]
    assert image.shape == labels.shape == (1, 5, 7)
    assert labels.dtype == torch.int64


@given(st.integers(-50, 50), st.integers(1, 40), st.integers(1, 40))
def test_windows_lie_inside(wanted: int, extent: int, length: int) -> None:
    start, stop, before = window(wanted, extent, length)
    assert 0 <= start < stop <= extent
    assert stop - start == min(extent, length)
    assert before == max(0, length - extent) // 2


@pytest.mark.parametrize("wishes", [{"foreground_share": 1.5}, {"per_case": 0}])
def test_numbers_out_of_range_are_named(wishes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wishes))):
        patches_of(np.zeros((4, 4), np.uint8), (2, 2), **wishes)
