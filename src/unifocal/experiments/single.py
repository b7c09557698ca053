"""`train`: one network with one loss on all patients but a validation part."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unifocal.config.schema import TrainConfig, TrainingConfig
from unifocal.data.splits import split_off
from unifocal.experiments.folder import (
    WEIGHTS,
    lock_study,
    read_record,
    refuse_other_study,
    slug,
    write_json,
    write_yaml,
)
from unifocal.experiments.inputs import (
    load_data,
    loss_problems,
    people_in,
    prepare_all,
    refuse_unusable_losses,
)
from unifocal.experiments.plan import training_for
from unifocal.experiments.progress import Reporter
from unifocal.experiments.record import bundle_details, data_identity
from unifocal.experiments.run import build_network, samples_for
from unifocal.experiments.segment import build_loss, cleanings_for, spec_of
from unifocal.inference.device import choose_device, device_problems
from unifocal.models import save_bundle
from unifocal.training import derive_seed, fit
from unifocal.training.loggers import logger_problems, open_loggers
from unifocal.training.process import prepare_process
from unifocal.training.records import EpochRecord
from unifocal.training.settings import choose_precision


@dataclass(frozen=True)
class TrainOutcome:
    """What a training left.

    Attributes:
        weights: The file that `predict` takes.
        record: Epochs, best epoch, seconds, validation Dice at the best epoch.
    """

    weights: Path
    record: dict[str, Any]


def train(config: TrainConfig, *, command: str, reporter: Reporter) -> TrainOutcome:
    """Train once, or go on where it stopped.

    Args:
        config: Everything that was asked for.
        command: The command line, for the record.
        reporter: Hears of progress.

    Raises:
        InputError: With every problem of the settings and the data; nothing is written then.
        DivergedError: If the loss becomes NaN or infinite.
    """
    problems = loss_problems((config.loss,)) + logger_problems(config.compute.loggers)
    problems += device_problems(config.inference.device)
    checked = load_data(config, out=config.out, minimum_patients=2, problems=problems, reporter=reporter)
    refuse_unusable_losses((config.loss,), checked)
    config = config.model_copy(update={"training": training_for(config.training, checked.facts[0].ndim)})
    cases = checked.dataset.cases
    random = np.random.default_rng(derive_seed(config.seed, "validation"))
    kept, apart = split_off(people_in(checked), share=config.validation_share, random=random)
    plain = config.model_dump(mode="json", exclude={"data", "out", "cache", "compute"})
    plain["inference"].pop("device")  # where work is done makes no other training
    identity = plain | {
        "training": config.training.deciding(),
        "loss": config.loss.label,
        "mask_coding": asdict(checked.coding),
        "validation_patients": ", ".join(apart),
    }
    identity |= data_identity(checked)
    earlier = refuse_other_study(config.out, identity)
    record = read_record(config.out)
    if record is not None and (config.out / WEIGHTS).is_file():
        return TrainOutcome(config.out / WEIGHTS, record)
    prepared = prepare_all(config, checked, reporter)
    with lock_study(config.out):
        training = _resolved(config.training) if earlier is None else TrainingConfig(**earlier["training"])
        if earlier is None:
            settings = {"command": command, "training": training.model_dump(mode="json"), "identity": identity}
            write_yaml(config.out / "study.yaml", settings | {"train": list(kept), "validation": list(apart)})
        prepare_process(training.threads)
        reporter.stage("Training (epochs)", training.epochs)
        validation = [index for index, case in enumerate(cases) if case.patient in set(apart)]
        train = [index for index, case in enumerate(cases) if case.patient in set(kept)]
        network = build_network(prepared, config.network, derive_seed(config.seed, 0))
        result = fit(
            network,
            build_loss(config.loss, are_regions=prepared.regions is not None),
            samples_for(prepared, training, len(train)),
            train=train,
            validation=validation,
            settings=training,
            seed=derive_seed(config.seed, 0),
            folder=config.out,
            regions=prepared.region_classes,
            on_epoch=partial(_tell, reporter, config.loss.label),
            loggers=open_loggers(config.compute.loggers, config.out, slug(config.loss.label)),
        )
        reporter.run(config.loss.label, None)
        details = bundle_details(config, prepared, config.loss.label)
        network.load_state_dict(result.weights)
        network.to(choose_device(config.inference.device))
        cleanings = cleanings_for(network, prepared, validation, config.inference, batch_size=training.batch_size)
        details["cleanings"] = {str(label): how.to_plain() for label, how in cleanings.items()}
        spec = spec_of(prepared, config.network)
        save_bundle(config.out / WEIGHTS, network, spec, weights=result.weights, details=details)
        record = {"epochs": result.epochs, "best_epoch": result.best_epoch, "seconds": result.seconds,
                  "validation_dice": result.validation_dice}  # fmt: skip
        write_json(config.out / "record.json", record)
        (config.out / "state.ckpt").unlink(missing_ok=True)
    return TrainOutcome(config.out / WEIGHTS, record)


def _tell(reporter: Reporter, name: str, record: EpochRecord) -> None:
    reporter.run(name, record)
    reporter.advance(1, f"validation Dice {record.validation_dice:.2f}")


def _resolved(training: TrainingConfig) -> TrainingConfig:
    import torch

    known = {"threads": training.threads or torch.get_num_threads(), "precision": choose_precision(training.precision)}
    return training.model_copy(update=known)
