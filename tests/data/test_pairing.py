"""Masks find their images by name; every file that does not is named once."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unifocal.data.pairing import PairBy, natural_key, pair_files

FEW = settings(max_examples=40, deadline=None)


def files(folder: str, *names: str) -> list[Path]:
    return sorted((Path(folder, name) for name in names), key=natural_key)


def names_of(pairs: list[tuple[Path, Path]]) -> list[tuple[str, str]]:
    return [(image.name, mask.name) for image, mask in pairs]


@FEW
@given(st.sets(st.integers(0, 10**6), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_natural_order_is_the_order_of_the_numbers(numbers: set[int], random: object) -> None:
    paths = [Path(f"Case {number}.png") for number in numbers]
    assert [int(path.stem[5:]) for path in sorted(paths, key=natural_key)] == sorted(numbers)


def test_natural_order_of_mixed_names() -> None:
    names = ["b1.png", "1.png", "B10.png", "b2.png", "a.png", "01.png", "10.png", "1a.png"]
    ordered = [path.name for path in files("d", *names)]
    assert ordered == ["01.png", "1.png", "1a.png", "10.png", "a.png", "b1.png", "b2.png", "B10.png"]


@FEW
@given(st.sets(st.integers(0, 999), min_size=1, max_size=12), st.sampled_from(["stem", "suffix", "number", "order"]))
def test_each_way_of_pairing_finds_every_pair(numbers: set[int], by: PairBy) -> None:
    image, mask = {
        "stem": ("s{}.png", "s{}.gif"),
        "suffix": ("s{}.png", "s{}_seg.png"),
        "number": ("{:03}_training.tif", "{}_manual1.gif"),
        "order": ("slice {}.png", "z{:05}.png"),
    }[by]
    images = files("i", *(image.format(number) for number in numbers))
    masks = files("m", *(mask.format(number) for number in numbers))
    pairs, problems = pair_files(images, masks, by=by, mask_suffix="_seg")
    assert problems == []
    assert set(names_of(pairs)) == {(image.format(number), mask.format(number)) for number in numbers}
    assert [image for image, _ in pairs] == images


@FEW
@given(
    st.sets(st.integers(0, 20), min_size=1),
    st.sets(st.integers(0, 20), min_size=1),
    st.sampled_from(["stem", "suffix", "number"]),
)
def test_each_file_is_paired_or_named_in_one_problem(left: set[int], right: set[int], by: PairBy) -> None:
    suffix = "_mask" if by == "suffix" else ""
    images = files("i", *(f"{number}.png" for number in left))
    masks = files("m", *(f"{number}{suffix}.png" for number in right))
    pairs, problems = pair_files(images, masks, by=by)
    assert {int(image.stem) for image, _ in pairs} == left & right
    if left & right:
        alone = [path for path in images if int(path.stem) not in right]
        alone += [path for path in masks if int(path.stem.removesuffix(suffix)) not in left]
        assert sorted(problem.where for problem in problems) == sorted(map(str, alone))
    else:
        assert len(problems) == 1


def test_two_files_of_one_name_are_one_problem_and_pair_with_nothing() -> None:
    images, masks = files("i", "a.png", "a.jpg", "b.png", "c.png"), files("m", "a.png", "b.png", "b.gif", "c.png")
    pairs, problems = pair_files(images, masks)
    assert names_of(pairs) == [("c.png", "c.png")]
    assert len(problems) == 2
    assert "a.jpg and a.png" in str(problems[0])
    assert "b.gif and b.png" in str(problems[1])


def test_two_files_of_one_number_are_one_problem() -> None:
    pairs, problems = pair_files(files("i", "01_a.tif", "1_b.tif", "2.tif"), files("m", "1.gif", "2.gif"), by="number")
    assert names_of(pairs) == [("2.tif", "2.gif")]
    assert [("01_a.tif and 1_b.tif" in p.what, "number" in p.what) for p in problems] == [(True, True)]


def test_only_the_first_number_counts() -> None:
    pairs, _ = pair_files(files("i", "21_training.tif"), files("m", "21_manual1.gif"), by="number")
    assert names_of(pairs) == [("21_training.tif", "21_manual1.gif")]


@pytest.mark.parametrize(("by", "odd", "says"), [("number", "x.png", "no number"), ("suffix", "2.png", "does not end")])
def test_a_mask_without_what_pairs_it_is_named(by: PairBy, odd: str, says: str) -> None:
    pairs, problems = pair_files(files("i", "1.png"), files("m", "1_mask.png", odd), by=by)
    assert names_of(pairs) == [("1.png", "1_mask.png")]
    assert [(problem.where, says in problem.what) for problem in problems] == [(str(Path("m", odd)), True)]


def test_order_needs_equal_counts() -> None:
    pairs, problems = pair_files(files("i", "1.png", "2.png"), files("m", "1.png"), by="order")
    assert pairs == []
    assert len(problems) == 1
    assert "2 images but 1 masks" in problems[0].what


def test_a_wrong_way_of_pairing_is_one_problem_that_names_the_others() -> None:
    images, masks = (
        files("i", *(f"{n}_training.tif" for n in range(9))),
        files("m", *(f"{n}_manual1.gif" for n in range(9))),
    )
    _, problems = pair_files(images, masks)
    assert len(problems) == 1
    assert "0_training.tif" in problems[0].what
    assert "number" in problems[0].remedy
