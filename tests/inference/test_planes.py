"""Which planes of a volume are drawn."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifocal.inference.planes import draw_planes, middle_of


def test_the_largest_component_is_cut_through_its_middle() -> None:
    mask = np.zeros((20, 22, 24), np.uint8)
    mask[9:14, 3:8, 15:20] = 2
    mask[10, 5, 17] = 0
    mask[:, :, 0] = 0
    mask[0, 0:9, 0:9] = 1
    # The plane with most labels is the first; the component that lies in it is the smaller one.
    assert np.count_nonzero(mask[0]) > np.count_nonzero(mask[11])
    assert middle_of(mask) == (11, 5, 17)


def test_a_mask_without_labels_is_cut_in_the_middle_of_the_volume() -> None:
    assert middle_of(np.zeros((20, 21, 1), np.uint8)) == (10, 10, 0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(0, 7)), min_size=1, max_size=40))
def test_every_plane_shows_some_of_it(places: list[tuple[int, int, int]]) -> None:
    mask = np.zeros((6, 7, 8), np.uint8)
    mask[tuple(np.array(places).T)] = 3
    for axis, place in enumerate(middle_of(mask)):
        assert np.take(mask, place, axis).any()


@pytest.mark.parametrize("label", [0, 1])
def test_planes_keep_their_proportions(label: int) -> None:
    mask = np.zeros((5, 20, 10), np.uint8)
    mask[2:4, 5:9, 3:6] = label
    image = np.random.default_rng(0).normal(size=(1, 5, 20, 10)).astype(np.float32)
    drawn = draw_planes(image, mask, (4.0, 1.0, 1.0))
    # 480 pixels for 20 mm: rows x columns, slices x columns, slices x rows, 8 pixels apart.
    assert drawn.shape == (480, 240 + 8 + 240 + 8 + 480, 3)
    is_coloured = (np.ptp(drawn.astype(int), axis=-1) > 0).any(axis=0)
    for start, stop in itertools.pairwise((0, 248, 496, 976)):
        assert is_coloured[start:stop].any() == bool(label)
