"""Lesions against a flood fill that shares no code with them."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unifocal.data.profile.lesions import COUNT, SIZE, VANISHED, find_lesions

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def flood(mask: Mask, *, corners: bool = False) -> list[set[tuple[int, ...]]]:
    steps = [
        step
        for step in itertools.product((-1, 0, 1), repeat=mask.ndim)
        if any(step) and (corners or sum(map(abs, step)) == 1)
    ]
    left = {tuple(int(i) for i in place) for place in np.argwhere(mask)}
    found = []
    while left:
        queue = [left.pop()]
        members = set(queue)
        while queue:
            here = queue.pop()
            for step in steps:
                there = tuple(a + b for a, b in zip(here, step, strict=True))
                if there in left:
                    left.remove(there)
                    members.add(there)
                    queue.append(there)
        found.append(members)
    return found


masks = st.integers(2, 3).flatmap(
    lambda axes: hnp.arrays(bool, hnp.array_shapes(min_dims=axes, max_dims=axes, min_side=1, max_side=7))
)


@given(masks)
def test_count_sizes_border_and_corners(mask: Mask) -> None:
    expected = flood(mask)
    found = find_lesions(mask)
    assert found.count == len(expected)
    assert found.joined == len(flood(mask, corners=True))
    long_list = sorted(np.repeat(found.rows[:, SIZE], found.rows[:, COUNT]).tolist())
    assert long_list == sorted(len(members) for members in expected)
    last = np.array(mask.shape) - 1
    at_border = [
        any(place == 0 or place == end for p in members for place, end in zip(p, last, strict=True))
        for members in expected
    ]
    assert found.touching == sum(at_border)
    assert found.vanished == 0
    assert found.resized_elements is None


@given(masks, st.data())
def test_a_lesion_vanishes_when_the_resized_mask_is_nowhere_on_it(mask: Mask, data: st.DataObject) -> None:
    small_shape = tuple(data.draw(st.integers(1, 9)) for _ in mask.shape)
    small = data.draw(hnp.arrays(bool, small_shape))
    gone: dict[int, int] = {}
    for members in flood(mask):
        centres = (
            tuple(int((i + 0.5) * few / many) for i, few, many in zip(p, small_shape, mask.shape, strict=True))
            for p in members
        )
        gone[len(members)] = gone.get(len(members), 0) + (not any(small[place] for place in centres))
    found = find_lesions(mask, small)
    assert {int(row[SIZE]): int(row[VANISHED]) for row in found.rows} == gone
    assert found.resized_elements == int(small.sum())
    assert found.resized_count == len(flood(small))


def test_many_specks_take_one_row() -> None:
    mask = np.zeros((400, 400), bool)
    mask[::2, ::2] = True
    found = find_lesions(mask)
    assert found.rows.tolist() == [[1, 40_000, 0]]


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 5)])
def test_an_empty_mask_has_none(shape: tuple[int, ...]) -> None:
    found = find_lesions(np.zeros(shape, bool), np.zeros(shape, bool))
    assert (found.count, found.joined, found.touching, found.vanished) == (0, 0, 0, 0)
    assert (found.resized_elements, found.resized_count) == (0, 0)
