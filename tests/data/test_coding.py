"""What the masks' values mean is decided over all masks, and what fits nothing is named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unifocal.data.coding import MAX_LABELS, decide_coding, label_values

FEW = settings(max_examples=40, deadline=None)


def masks(*values: set[int], extension: str = "png") -> dict[Path, set[int]]:
    return {Path("masks", f"{index}.{extension}"): found for index, found in enumerate(values)}


def faulty(*values: set[int], threshold: int | None = None, extension: str = "png") -> list[tuple[str, str]]:
    _, problems = decide_coding(masks(*values, extension=extension), threshold=threshold)
    return [(Path(problem.where).name, problem.what + " " + problem.remedy) for problem in problems]


@FEW
@given(st.lists(st.sets(st.sampled_from([0, 255])), min_size=1), st.sampled_from([1, 255, 65535]))
def test_black_and_white_becomes_0_and_1(files: list[set[int]], white: int) -> None:
    scaled = [{white if value else 0 for value in values} for values in files]
    coding, problems = decide_coding(masks(*scaled))
    assert problems == []
    stored = np.array([[0, white], [white, 0]], dtype=np.uint16)
    if any(white in values for values in scaled):
        np.testing.assert_array_equal(label_values(stored, coding), [[0, 1], [1, 0]])


@FEW
@given(st.lists(st.sets(st.integers(0, MAX_LABELS)), min_size=1))
def test_label_numbers_stay(files: list[set[int]]) -> None:
    coding, problems = decide_coding(masks(*files))
    assert problems == []
    stored = np.arange(MAX_LABELS + 1, dtype=np.uint8)
    np.testing.assert_array_equal(label_values(stored, coding), stored)
    assert [coding.label(value) for value in stored.tolist()] == stored.tolist()


@FEW
@given(st.integers(1, 300), st.lists(st.sets(st.integers(0, 65535)), min_size=1))
def test_a_threshold_overrides_whatever_the_masks_hold(threshold: int, files: list[set[int]]) -> None:
    coding, problems = decide_coding(masks(*files), threshold=threshold)
    assert problems == []
    stored = np.array([0, threshold - 1, threshold, 65535], dtype=np.uint16)
    np.testing.assert_array_equal(label_values(stored, coding), [0, 0, 1, 1])
    assert [coding.label(value) for value in stored.tolist()] == [0, 0, 1, 1]


@pytest.mark.parametrize("threshold", [0, -3])
def test_a_threshold_that_makes_everything_foreground_is_refused(threshold: int) -> None:
    ((where, text),) = faulty({0, 1}, threshold=threshold)
    assert where == "--mask-threshold"
    assert str(threshold) in text


def test_an_empty_mask_fits_every_coding() -> None:
    for other in ({0, 1}, {0, 255}, {0, 1, 2}, {0, 128, 255}):
        assert faulty({0}, other, {0}) == []


@FEW
@given(st.sets(st.integers(1, 254), min_size=MAX_LABELS, max_size=60), st.booleans())
def test_a_blurred_mask_among_good_ones_is_the_only_one_named(smear: set[int], others_are_1: bool) -> None:
    good = {0, 1} if others_are_1 else {0, 255}
    ((where, text),) = faulty(good, {0, 255, *smear}, good, {0})
    assert where == "1.png"
    assert f"{len({0, 255} | smear)} different values" in text


def test_a_faintly_blurred_mask_is_seen_by_the_values_beside_white() -> None:
    ((where, text),) = faulty({0, 255}, {0, 1, 2, 253, 254, 255})
    assert where == "1.png"
    assert "blurred" in text
    assert "--mask-threshold 128" in text


def test_a_jpeg_cannot_hold_labels() -> None:
    assert faulty({0, 255}, extension="jpg") == []
    assert [where for where, _ in faulty({0, 1, 2, 3}, {0, 200}, extension="JPEG")] == ["0.JPEG"]


def test_numbered_objects_are_told_from_a_blur() -> None:
    ((_, text),) = faulty(set(range(60)), {0, 1, 2})
    assert "object" in text
    assert "--mask-threshold 1" in text


def test_masks_of_0_and_1_among_masks_of_0_and_255_are_named() -> None:
    ((where, text),) = faulty({0, 255}, {0, 1}, {0, 255}, {0})
    assert where == "1.png"
    assert "0, 1" in text
    assert "0, 255" in text
    assert [where for where, _ in faulty({0, 1}, {0, 255}, {0, 1})] == ["1.png"]
    assert [where for where, _ in faulty({0, 255}, {0, 2, 3}, {255})] == ["1.png"]


def test_greys_well_apart_are_labels() -> None:
    coding, problems = decide_coding(masks({0, 128, 255}, {0, 128, 255}, {0, 255}))
    assert problems == []
    assert [coding.label(value) for value in (0, 128, 255)] == [0, 128, 255]


def test_one_mask_with_a_grey_among_black_and_white_ones_is_named() -> None:
    assert [where for where, _ in faulty({0, 255}, {0, 128, 255}, {0, 255})] == ["1.png"]


def test_white_beside_label_numbers_is_not_taken_for_a_label() -> None:
    ((where, text),) = faulty({0, 1, 2}, {0, 1, 255}, {0, 3})
    assert where == "1.png"
    assert "ignore" in text


def test_values_below_0_are_named() -> None:
    assert ["below 0" in text for _, text in faulty({0, -1}, {0, 1})] == [True]


def test_too_many_labels_over_all_masks() -> None:
    files = [{0, 10 * index + 1, 10 * index + 2} for index in range(MAX_LABELS)]
    ((where, text),) = faulty(*files)
    assert where == "masks"
    assert f"{2 * MAX_LABELS} different labels" in text


def test_values_that_are_not_kept_are_background() -> None:
    coding, problems = decide_coding(masks({0, 1, 2, 4}, {0, 1}, {0, 4}), keep=(4, 2))
    assert problems == []
    stored = np.array([[0, 1, 2], [3, 4, 250]], dtype=np.uint8)
    np.testing.assert_array_equal(label_values(stored, coding), [[0, 0, 2], [0, 4, 0]])
    assert label_values(stored, coding).dtype == np.uint8
    assert [coding.label(value) for value in range(6)] == [0, 0, 2, 0, 4, 0]


@FEW
@given(st.lists(st.sets(st.integers(0, 6)), min_size=1), st.sets(st.integers(1, 6), min_size=1))
def test_only_undeclared_labels_are_named(files: list[set[int]], declared: set[int]) -> None:
    coding, problems = decide_coding(masks(*files), declared=declared)
    expected = [f"{index}.png" for index, found in enumerate(files) if found - declared - {0}]
    assert [Path(problem.where).name for problem in problems] == expected
    assert {problem.kind for problem in problems} <= {"class-undeclared"}
    assert not coding.is_black_and_white


def test_a_single_declared_label_may_be_white() -> None:
    coding, problems = decide_coding(masks({0, 255}, {0}, {0, 255}), declared=(1,))
    assert problems == []
    assert coding.is_black_and_white
    _, problems = decide_coding(masks({0, 255}, {0, 1}), declared=(1,))
    assert [problem.kind for problem in problems] == ["class-undeclared"]
    _, problems = decide_coding(masks({0, 255}), declared=(1, 2))
    assert [problem.kind for problem in problems] == ["class-undeclared"]


def test_a_blur_is_told_also_where_labels_are_declared_or_kept() -> None:
    blurred = {0, *range(200, 256)}
    for options in ({"declared": (1,)}, {"keep": (255,)}, {"declared": (1, 2), "keep": (1,)}):
        _, problems = decide_coding(masks({0, 1}, blurred), **options)
        assert [(Path(problem.where).name, problem.kind) for problem in problems] == [("1.png", "mask-blurred")]


def test_a_threshold_and_labels_to_keep_exclude_each_other() -> None:
    _, problems = decide_coding(masks({0, 255}), threshold=128, keep=(2,))
    assert [problem.where for problem in problems] == ["--mask-threshold"]


@pytest.mark.parametrize(("white", "threshold"), [(255, 128), (254, 128), (65535, 32768)])
def test_the_threshold_on_offer_lies_halfway_up_the_values_found(white: int, threshold: int) -> None:
    ((_, text),) = faulty({0, *range(white - 60, white + 1)})
    assert f"--mask-threshold {threshold}" in text
