"""What is looked at in a data set: targets, their names, the training size."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from unifocal.data.case import Case, DataSet, Declared, Source
from unifocal.data.check import CaseFacts, CheckedData
from unifocal.data.coding import MaskCoding
from unifocal.data.profile.case import FOREGROUND, Target
from unifocal.experiments.profile import plan_for
from unifocal.problems import InputError


def checked(declared: Declared, *, labels: tuple[int, ...] = (1, 2), size: tuple[int, ...] = (40, 50)) -> CheckedData:
    case = Case("c", Source.of(Path("c.png")), Source.of(Path("m.png")), "p")
    facts = (CaseFacts("c", size, 1, labels, dict.fromkeys(labels, 0.1)),)
    data = DataSet((case,), patients_known=True, declared=declared)
    return CheckedData(data, facts, labels, 1, MaskCoding(), "hash")


def test_labels_have_their_declared_names_or_numbers() -> None:
    plan = plan_for(checked(Declared(labels={2: "tumour"})), size=None, brain=False)
    assert plan.targets == (Target("1", (1,)), Target("tumour", (2,)))


def test_names_that_would_collide_are_told_apart() -> None:
    plan = plan_for(checked(Declared(labels={1: FOREGROUND, 2: "x", 3: "x"}), labels=(1, 2, 3)), size=None, brain=False)
    names = [target.name for target in plan.targets]
    assert FOREGROUND not in names
    assert len(set(names)) == 3


def test_regions_take_the_place_of_labels() -> None:
    plan = plan_for(checked(Declared(regions={"whole": (1, 2), "core": (2,)})), size=None, brain=False)
    assert plan.targets == (Target("whole", (1, 2)), Target("core", (2,)))


@pytest.mark.parametrize(
    ("axes", "given", "taken"),
    [
        ((40, 50), None, (128, 128)),
        ((40, 50), (64, 32), (64, 32)),
        ((9, 40, 50), None, None),
        ((9, 40, 50), (64, 64), (64, 64)),
        ((9, 40, 50), (8, 64, 64), (8, 64, 64)),
    ],
)
def test_training_size(axes: tuple[int, ...], given: tuple[int, ...] | None, taken: tuple[int, ...] | None) -> None:
    plan = plan_for(checked(Declared(), size=axes), size=given, brain=False)
    assert plan.size == taken
    assert (plan.resize is None) == (taken is None)
    pickle.dumps(plan)  # it goes to other processes


def test_labels_are_resized_as_for_training() -> None:
    plan = plan_for(checked(Declared()), size=(16, 16), brain=False)
    assert plan.resize is not None
    labels = np.zeros((32, 32), np.uint8)
    labels[4:12, 4:12] = 2
    small = plan.resize(labels, size=(16, 16))
    assert small.shape == (16, 16)
    assert int((small == 2).sum()) == 16


def test_what_cannot_be_described_is_said() -> None:
    with pytest.raises(InputError, match="3 numbers"):
        plan_for(checked(Declared()), size=(8, 8, 8), brain=False)
    with pytest.raises(InputError, match="no label"):
        plan_for(checked(Declared(), labels=()), size=None, brain=False)
