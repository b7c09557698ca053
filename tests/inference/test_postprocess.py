"""Cleaning masks: what each step does, and that a choice follows the validation cases."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from unifocal.inference.postprocess import NOTHING, Cleaning, candidates, choose_cleanings, clean


def scene() -> NDArray[np.uint8]:
    """A ring of label 1 with label 2 in its hole and background beside it, and three specks of label 1."""
    mask = np.zeros((40, 40), np.uint8)
    mask[5:20, 5:20] = 1
    mask[8:17, 8:17] = 0
    mask[10:12, 10:12] = 2
    for place in ((30, 5), (30, 15), (30, 25)):
        mask[place] = 1
    return mask


def test_the_largest_component_alone() -> None:
    cleaned = clean(scene(), {1: Cleaning(largest_only=True)})
    expected = scene()
    expected[30] = 0
    assert np.array_equal(cleaned, expected)


def test_small_components_go() -> None:
    assert np.array_equal(
        clean(scene(), {1: Cleaning(minimum_size=2)}), clean(scene(), {1: Cleaning(largest_only=True)})
    )
    assert np.array_equal(clean(scene(), {1: Cleaning(minimum_size=1)}), scene())


def test_holes_are_filled_but_no_other_label_is_overwritten() -> None:
    cleaned = clean(scene(), {1: Cleaning(fill_holes=True)})
    assert (cleaned[10:12, 10:12] == 2).all()
    assert (cleaned[5:20, 5:20] != 0).all()


@given(arrays(np.uint8, (9, 9, 5), elements=st.integers(0, 2)))
def test_cleaning_twice_changes_nothing_more(labels: NDArray[np.uint8]) -> None:
    before = labels.copy()
    for cleaning in candidates():
        once = clean(labels, {1: cleaning})
        assert np.array_equal(once[labels == 2], labels[labels == 2])
        assert np.array_equal(cleaning.apply(cleaning.apply(labels == 1)), cleaning.apply(labels == 1))
    assert np.array_equal(before, labels)


def test_the_choice_follows_the_validation_cases() -> None:
    truth = clean(scene(), {1: Cleaning(largest_only=True)})
    assert choose_cleanings([(truth, scene())] * 3, [1, 2]) == {1: Cleaning(minimum_size=10), 2: NOTHING}
    # Where the specks are right, they stay.
    assert choose_cleanings([(scene(), scene())], [1]) == {1: NOTHING}


def test_specks_where_there_is_nothing_are_removed() -> None:
    prediction = np.zeros((20, 20), np.uint8)
    prediction[3, 3] = 1
    assert choose_cleanings([(np.zeros_like(prediction), prediction)], [1]) == {1: Cleaning(minimum_size=10)}
