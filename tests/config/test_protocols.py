"""The papers' protocols: what they say is what PROTOCOLS.md says, and all that is given goes before it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from unifocal.config.protocols import merged, protocol_names, read_protocol
from unifocal.config.resolve import resolve
from unifocal.config.schema import StudyConfig, TrainConfig
from unifocal.losses import create
from unifocal.models import NetworkSpec
from unifocal.problems import InputError


def resolved(name: str | None, **flags: Any) -> StudyConfig:
    named = {key.replace("__", "."): value for key, value in flags.items()}
    return resolve(StudyConfig, config=None, settings=[], flags={"protocol": name, "out": Path("x"), **named})


def test_there_is_one_for_each_experiment() -> None:
    assert protocol_names() == ("brain_tumour", "brats20", "bus2017", "cvc_clinicdb", "drive", "kits19")


@pytest.mark.parametrize("name", protocol_names())
@pytest.mark.parametrize("budget", ["full", "quick"])
def test_each_is_a_whole_study(name: str, budget: str) -> None:
    study = resolved(name, budget=budget)
    for loss in study.losses:
        create(loss.name, **loss.parameters)
    assert study.preprocessing.size is not None
    dimensions = len(study.preprocessing.size)
    NetworkSpec(study.network.name, 1, 1, dimensions, {"width": 2}).build()
    protocol = read_protocol(name)
    assert protocol.title
    assert protocol.departures
    full = resolved(name)
    assert (study.training.epochs < full.training.epochs) == (budget == "quick")


@pytest.mark.parametrize(
    ("name", "size", "losses"),
    [
        ("brain_tumour", (128, 128), 2), ("cvc_clinicdb", (288, 384), 8), ("drive", (512, 512), 8),
        ("bus2017", (128, 128), 8), ("brats20", (96, 96, 96), 8), ("kits19", (80, 160, 160), 8),
    ],
)  # fmt: skip
def test_the_numbers_are_the_sources(name: str, size: tuple[int, ...], losses: int) -> None:
    study = resolved(name)
    assert study.preprocessing.size == size
    assert len(study.losses) == losses
    if name == "brain_tumour":
        assert (study.training.optimizer, study.training.augmentation) == ("adam", "none")
        return
    assert (study.training.optimizer, study.training.learning_rate, study.training.batch_size) == ("sgd", 0.1, 2)
    assert (study.training.plateau_patience, study.training.stop_patience) == (10, 20)
    parameters = {loss.name: loss.parameters for loss in study.losses}
    assert parameters["focal"] == {"alpha": 0.25, "gamma": 2}
    assert parameters["tversky"] == {"delta": 0.7}
    assert parameters["unified_focal"] == {"delta": 0.6, "gamma": 0.5}
    assert "learning rate 0.1" in " ".join(read_protocol(name).unconfirmed)


def test_all_that_is_given_goes_before(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("training: {epochs: 7}\nlosses: [bce]\n")
    study = resolve(
        StudyConfig,
        config=tmp_path / "c.yaml",
        settings=["training.momentum=0.5", "budget=quick"],
        flags={"protocol": "cvc_clinicdb", "preprocessing.size": "64", "out": tmp_path / "o"},
    )
    assert (study.training.epochs, study.training.momentum, study.training.batch_size) == (7, 0.5, 8)
    assert study.preprocessing.size == (64, 64)
    assert [loss.name for loss in study.losses] == ["bce"]
    assert study.network.width == 8


def test_another_split_leaves_the_folds_away() -> None:
    assert resolved("bus2017", split__kind="official").split.kind == "official"


def test_a_training_takes_what_concerns_it() -> None:
    training = resolve(
        TrainConfig, config=None, settings=[], flags={"protocol": "brats20", "out": Path("x"), "loss": "dice"}
    )
    assert training.preprocessing.size == (96, 96, 96)
    assert training.inference.weights == "constant"


@pytest.mark.parametrize(
    ("flags", "told"), [({"protocol": "brats"}, "brats20"), ({"budget": "small"}, "full or quick")]
)
def test_unknown_ones_are_told(flags: dict[str, str], told: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(StudyConfig, config=None, settings=[], flags={**flags, "out": Path("x")})
    assert told in str(caught.value.problems[0])


@pytest.mark.parametrize("name", protocol_names())
def test_what_is_printed_is_a_configuration(name: str, tmp_path: Path) -> None:
    text = read_protocol(name).as_config()
    (tmp_path / "p.yaml").write_text(text)
    study = resolve(StudyConfig, config=tmp_path / "p.yaml", settings=[], flags={"out": Path("x")})
    assert study.model_copy(update={"protocol": name}) == resolved(name)
    assert yaml.safe_load(text) == dict(read_protocol(name).settings)
    assert "# Departs from the source" in text


nested = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
mappings = st.dictionaries(st.sampled_from("abc"), nested, max_size=3)


@given(mappings, mappings)
def test_what_stands_above_counts(below: dict[str, Any], above: dict[str, Any]) -> None:
    result = merged(below, above)
    assert set(result) == set(below) | set(above)
    assert merged(result, above) == result
    assert merged({}, below) == below
