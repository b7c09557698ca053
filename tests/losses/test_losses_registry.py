"""Losses by name, and the catalogue against the code."""

import doctest
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from losses_oracle import row
from torch import nn

import unifocal.losses
from unifocal.losses import (
    SHARED_PARAMETERS,
    DiceLoss,
    SegmentationLoss,
    UnknownLossError,
    create,
    describe,
    members,
    names,
)
from unifocal.losses.base import own_keywords
from unifocal.losses.options import Options


def test_names_are_those_agreed_on() -> None:
    assert set(names()) == {
        "cross_entropy", "focal", "dice", "tversky", "focal_tversky", "combo",
        "dice_cross_entropy", "hybrid_focal", "unified_focal", "unified_focal_symmetric",
    }  # fmt: skip
    assert type(create("bce")) is type(create("cross_entropy"))


def test_every_class_is_exported_and_has_a_name() -> None:
    classes = {
        value for value in vars(members).values() if isinstance(value, type) and issubclass(value, SegmentationLoss)
    } - {SegmentationLoss}
    assert {describe(name).loss for name in names()} == classes
    assert {cls.__name__ for cls in classes} <= set(unifocal.losses.__all__)


@pytest.mark.parametrize("name", names())
def test_catalogue_says_what_the_signature_says(name: str) -> None:
    member = describe(name)
    signature = inspect.signature(member.loss).parameters
    own = {key: signature[key].default for key in own_keywords(member.loss)}
    assert {p.name: p.default for p in member.parameters} | dict(member.preset) == {
        **own,
        **member.preset,
    }
    assert [p.name for p in member.parameters] == [k for k in own if k not in member.preset]
    assert member.paper.doi.startswith("10.")


@pytest.mark.parametrize("name", names())
def test_sensible_values_are_valid(name: str) -> None:
    for parameter in (*describe(name).parameters, *SHARED_PARAMETERS):
        for value in (parameter.default, *(parameter.sensible or ())):
            assert isinstance(create(name, **{parameter.name: value}), SegmentationLoss)


def test_shared_parameters_are_those_of_the_options() -> None:
    defaults = Options()
    assert {p.name: p.default for p in SHARED_PARAMETERS} == vars(defaults)
    for parameter in SHARED_PARAMETERS:
        assert f"{parameter.name}: " in (SegmentationLoss.__doc__ or "")


@pytest.mark.parametrize("name", names())
def test_aliases_mean_the_same(name: str) -> None:
    for alias in describe(name).aliases:
        assert describe(alias) is describe(name)
        assert repr(create(alias)) == repr(create(name))


def test_an_unknown_name_is_met_with_near_ones() -> None:
    with pytest.raises(UnknownLossError, match=r"'unifed_focal'.*Did you mean 'unified_focal'"):
        create("unifed_focal")
    with pytest.raises(UnknownLossError, match="Did you mean 'focal'"):
        describe("Focl")
    with pytest.raises(ValueError, match=r"package\.module:ClassName"):
        create("xyzzy")


@pytest.mark.parametrize(
    ("name", "parameter", "near"),
    [
        ("focal", "gama", "'gamma'"),
        ("dice", "smoth", "'smooth'"),
        ("unified_focal", "region_wieght", "'region_weight'"),
        ("unified_focal_symmetric", "symmetric", "Valid: absent"),
        ("torch.nn:CrossEntropyLoss", "ignore_idx", "'ignore_index'"),
    ],
)
def test_an_unknown_parameter_is_met_with_near_ones(name: str, parameter: str, near: str) -> None:
    with pytest.raises(TypeError, match=f"{name}.*{parameter}.*{near}"):
        create(name, **{parameter: True})


def test_a_loss_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_losses.py").write_text(
        "import torch\n"
        "class Brier(torch.nn.Module):\n"
        "    def __init__(self, power=2):\n"
        "        super().__init__()\n"
        "        self.power = power\n"
        "    def forward(self, logits, target):\n"
        "        return ((logits.sigmoid() - target).abs() ** self.power).mean()\n"
        "class NoLoss: pass\n"
    )
    (tmp_path / "my_broken_losses.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    loss = create("my_own_losses:Brier", power=1)
    assert loss(torch.zeros(1, 1, 2), torch.ones(1, 1, 2)).item() == 0.5
    with pytest.raises(UnknownLossError, match="Did you mean 'Brier'"):
        create("my_own_losses:Brer")
    with pytest.raises(TypeError, match=r"torch.nn.Module.*NoLoss"):
        create("my_own_losses:NoLoss")
    with pytest.raises(UnknownLossError, match=r"no module 'my_othr_losses'.*PYTHONPATH"):
        create("my_othr_losses:Brier")
    with pytest.raises(UnknownLossError, match="form"):
        create(":Brier")
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        create("my_broken_losses:Any")


def test_a_foreign_class_is_created() -> None:
    loss = create("torch.nn:CrossEntropyLoss", ignore_index=7)
    assert isinstance(loss, nn.CrossEntropyLoss)
    assert loss.ignore_index == 7


@pytest.mark.parametrize("name", names())
def test_representation_shows_what_was_chosen(name: str) -> None:
    text = repr(create(name, smooth=0.25, batch=True))
    assert "smooth=0.25" in text
    assert "batch=True" in text
    for parameter in describe(name).parameters:
        assert f"{parameter.name}=" in text


def test_a_member_that_keeps_a_keyword_under_another_name_can_be_printed() -> None:
    class Halved(DiceLoss):
        def __init__(self, factor: float = 0.5, **shared: Any) -> None:
            super().__init__(**shared)
            self._factor = factor

    assert repr(Halved(0.25, smooth=0.5)) == "Halved(smooth=0.5)"


@pytest.mark.parametrize("name", names())
def test_the_oracle_knows_every_member(name: str) -> None:
    assert row(name, 2)


def test_examples_in_the_docstrings() -> None:
    result = doctest.testmod(members)
    assert result.attempted
    assert not result.failed


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, torch; before = set(sys.modules); import unifocal.losses\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["unifocal"]
