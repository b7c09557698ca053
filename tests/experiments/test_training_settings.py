"""What training on volumes is given where nothing was asked for."""

import pytest

from unifocal.config.protocols import with_protocol
from unifocal.config.schema import TrainConfig, TrainingConfig
from unifocal.experiments.plan import training_for


def test_images_keep_what_the_schema_says() -> None:
    assert training_for(TrainingConfig(), 2) == TrainingConfig()


def test_volumes_get_small_batches_and_a_falling_rate() -> None:
    training = training_for(TrainingConfig(), 3)
    assert (training.batch_size, training.schedule) == (2, "polynomial")
    assert training.epochs < TrainingConfig().epochs


@pytest.mark.parametrize(("given", "value"), [("epochs", 60), ("batch_size", 8), ("schedule", "plateau")])
def test_what_was_asked_for_stays_though_it_is_what_images_get(given: str, value: object) -> None:
    assert getattr(training_for(TrainingConfig.model_validate({given: value}), 3), given) == value


def test_who_sets_a_plateau_gets_one() -> None:
    assert training_for(TrainingConfig(plateau_patience=5), 3).schedule == "plateau"


@pytest.mark.parametrize("name", ["brats20", "kits19"])
def test_the_protocols_of_volumes_keep_their_own(name: str) -> None:
    config = TrainConfig.model_validate(with_protocol({"protocol": name, "out": "x"}, set(TrainConfig.model_fields)))
    assert training_for(config.training, 3) == config.training
