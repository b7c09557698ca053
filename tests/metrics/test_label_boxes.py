"""The boxes that hold the labels are those of all their elements."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from metric_oracles import SHAPES

from unifocal.metrics.regions import Box, bounding_box, label_boxes


def box_of(mask: Any) -> Box | None:
    places = np.argwhere(mask)
    if not len(places):
        return None
    return tuple(slice(int(low), int(high) + 1) for low, high in zip(places.min(0), places.max(0), strict=True))


@given(
    SHAPES.flatmap(lambda shape: hnp.arrays(np.int64, (2, *shape), elements=st.sampled_from([0, 0, 0, 1, 2, 5]))),
    st.sampled_from([1, 100_000, 2**33]),
)
@settings(max_examples=80)
def test_boxes_of_labels(masks: Any, factor: int) -> None:
    truth, prediction = masks * factor
    labels = [int(label) for label in np.unique(masks * factor) if label]
    expected = {label: box_of((truth == label) | (prediction == label)) for label in labels}
    assert label_boxes(truth, prediction) == expected
    assert list(label_boxes(truth, prediction)) == labels
    asked = [2 * factor, 4, 1 * factor]
    assert label_boxes(truth, prediction, asked) == {label: expected.get(label) for label in asked}
    assert bounding_box(truth) == box_of(truth)
    assert bounding_box(np.asfortranarray(truth > 0)) == box_of(truth)


def test_boolean_masks_are_label_one() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1, 2:4] = True
    assert label_boxes(mask, ~mask) == {1: (slice(0, 4), slice(0, 5))}
    assert label_boxes(mask, mask) == {1: (slice(1, 2), slice(2, 4))}


@pytest.mark.parametrize("kind", [np.uint8, np.int64, bool])
def test_nothing_has_no_box(kind: Any) -> None:
    nothing = np.zeros((3, 2, 4), kind)
    assert bounding_box(nothing) is None
    assert label_boxes(nothing, nothing) == {}
    assert label_boxes(nothing, nothing, [1]) == {1: None}
