"""Folds: nobody on two sides, everybody tested once, sizes and classes spread."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unifocal.data.splits import Fold, Person, draw_folds, people_of, split_hash, split_off
from unifocal.problems import InputError


@st.composite
def crowds(draw: st.DrawFn) -> tuple[list[Person], int, float, int]:
    folds = draw(st.integers(2, 6))
    count = draw(st.integers(max(folds, 4), 60))
    kinds = draw(st.lists(st.sampled_from(["", "glioma", "meningioma"]), min_size=count, max_size=count))
    sizes = draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))
    people = [Person(f"p{i}", size, kind) for i, (size, kind) in enumerate(zip(sizes, kinds, strict=True))]
    return people, folds, draw(st.floats(0.05, 0.95)), draw(st.integers(0, 2**32))


@settings(deadline=None, max_examples=60)
@given(crowds())
def test_every_patient_is_tested_once_and_on_one_side_only(crowd: tuple[list[Person], int, float, int]) -> None:
    people, count, share, seed = crowd
    folds = draw_folds(people, folds=count, validation_share=share, seed=seed)
    everyone = sorted(person.name for person in people)
    assert sorted(name for fold in folds for name in fold.test) == everyone
    for fold in folds:
        assert fold.train
        assert fold.validation
        assert fold.test
        assert sorted(fold.train + fold.validation + fold.test) == everyone
    tested = [len(fold.test) for fold in folds]
    assert max(tested) - min(tested) <= 1


@given(st.randoms(use_true_random=False), st.integers(0, 99))
def test_the_order_of_the_patients_does_not_matter(shuffler: "np.random.Generator", seed: int) -> None:
    people = [Person(f"p{i}", i / 7 % 1, "ab"[i % 2]) for i in range(23)]
    shuffled = list(people)
    shuffler.shuffle(shuffled)  # type: ignore[arg-type]
    first = draw_folds(people, folds=4, validation_share=0.2, seed=seed)
    assert first == draw_folds(shuffled, folds=4, validation_share=0.2, seed=seed)
    assert split_hash(first) == split_hash(draw_folds(shuffled, folds=4, validation_share=0.2, seed=seed))


def test_seeds_draw_different_folds() -> None:
    people = [Person(f"p{i}", i / 40) for i in range(40)]
    hashes = {split_hash(draw_folds(people, folds=5, validation_share=0.2, seed=seed)) for seed in range(10)}
    assert len(hashes) == 10


def test_classes_and_sizes_are_spread_evenly() -> None:
    random = np.random.default_rng(1)
    people = [Person(f"p{i}", float(random.lognormal()), "abc"[i % 3]) for i in range(90)]
    size = {person.name: person.size for person in people}
    kind = {person.name: person.kind for person in people}
    middle = float(np.median(list(size.values())))
    for fold in draw_folds(people, folds=5, validation_share=0.2, seed=3):
        for part in (fold.test, fold.validation):
            counts = Counter(kind[name] for name in part)
            assert max(counts.values()) - min(counts.get(k, 0) for k in "abc") <= 2
            assert 0.25 <= np.mean([size[name] > middle for name in part]) <= 0.75


@pytest.mark.parametrize("share", [0.1, 0.2, 0.25, 0.4, 0.7])
def test_the_validation_share_is_kept(share: float) -> None:
    people = [Person(f"p{i}", i / 100) for i in range(100)]
    rest, apart = split_off(people, share=share, random=np.random.default_rng(0))
    assert abs(len(apart) - 100 * share) <= 1
    assert len(rest) + len(apart) == 100


def test_a_patient_on_two_sides_is_an_error_that_names_everyone() -> None:
    with pytest.raises(InputError) as caught:
        Fold(train=("a", "b", "c"), validation=("b",), test=("c", "d"))
    assert [problem.where for problem in caught.value.problems] == ["patient b", "patient c"]
    assert "train and in test" in str(caught.value)


@pytest.mark.parametrize(("patients", "folds"), [(2, 2), (3, 5), (1, 2), (0, 2)])
def test_too_few_patients_are_refused(patients: int, folds: int) -> None:
    with pytest.raises(InputError, match="too few"):
        draw_folds([Person(f"p{i}", 0.1) for i in range(patients)], folds=folds, validation_share=0.2, seed=0)


def test_people_take_the_mean_size_and_an_agreed_class() -> None:
    people = people_of(
        ["a", "b", "a", "b"], [0.1, 0.2, 0.3, 0.2], [{"class": "x"}, {"class": "x"}, {"class": "x"}, {"class": "y"}]
    )
    assert people == (Person("a", pytest.approx(0.2), "x"), Person("b", pytest.approx(0.2), ""))
