"""Overlapping regions: what they hold, and the mask that holds them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from unifocal.data.regions import Regions

BRATS = Regions({"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)})


@given(arrays(np.uint8, (5, 4, 3), elements=st.sampled_from([0, 1, 2, 4])))
def test_brats_labels_survive_the_way_through_regions(labels: NDArray[np.uint8]) -> None:
    masks = BRATS.masks(labels)
    assert np.array_equal(masks[0], labels > 0)
    assert np.array_equal(masks[2], labels == 4)
    assert np.array_equal(BRATS.as_labels(masks), labels)


def test_what_lies_inside_others_brings_them_along() -> None:
    masks = np.zeros((3, 4), bool)
    masks[2, 0] = True  # enhancing alone
    masks[1, 1] = True  # core alone
    masks[[0, 2], 2] = True  # enhancing in the whole, outside the core
    assert BRATS.as_labels(masks).tolist() == [4, 1, 4, 0]


regions = st.dictionaries(
    st.sampled_from("abcd"),
    st.sets(st.integers(1, 6), min_size=1).map(lambda values: tuple(sorted(values))),
    min_size=1,
)


@given(regions, st.integers(0, 2**32 - 1))
def test_masks_of_any_regions_are_held_where_a_value_can(values: dict[str, tuple[int, ...]], seed: int) -> None:
    found = Regions(values)
    known = sorted({0}.union(*values.values()))
    labels = np.random.default_rng(seed).choice(known, size=40)
    masks = found.masks(labels)
    assert np.array_equal(found.masks(found.as_labels(masks)), masks)


def test_disjoint_regions_are_labels() -> None:
    disjoint = Regions({"kidney": (1,), "tumour": (2,)})
    labels = np.array([0, 1, 2, 1])
    assert disjoint.as_labels(disjoint.masks(labels)).tolist() == labels.tolist()
    assert disjoint.names == {1: "kidney", 2: "tumour"}


@pytest.mark.parametrize("values", [{}, {"a": ()}])
def test_regions_without_values_are_refused(values: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="regions"):
        Regions(values)
