"""The runs of a study, fold by fold, with the settings that tuning chose inside each fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from unifocal.config.schema import StudyConfig, TrainingConfig
from unifocal.data.check import CheckedData
from unifocal.data.split_plan import unit_of
from unifocal.data.splits import Fold
from unifocal.experiments.folder import RunKey
from unifocal.experiments.prepare import Prepared
from unifocal.experiments.progress import Reporter
from unifocal.experiments.record import bundle_details, jobs_of
from unifocal.experiments.run import RunTask
from unifocal.experiments.time_spent import waiting

if TYPE_CHECKING:
    from unifocal.experiments.tuning.nested import Tuned, TuningRequest

Choices = Mapping[tuple[str, int], "Tuned"]
"""What tuning chose, by a loss's label and a fold."""


@dataclass(frozen=True)
class OuterRuns:
    """Makes the runs of a study.

    Attributes:
        config: The study's.
        checked: The data as they are.
        prepared: As they are trained on.
        folds: The split.
        machine: Threads and precision, as `study.yaml` says.
    """

    config: StudyConfig
    checked: CheckedData
    prepared: Prepared
    folds: Sequence[Fold]
    machine: Mapping[str, Any]

    def task(self, key: RunKey, choices: Choices) -> RunTask:
        """One run.

        Args:
            key: Which.
            choices: What tuning chose; without a choice for its loss and fold it has the settings as given.
        """
        given = next(loss for loss in self.config.losses if loss.label == key.loss)
        chosen = choices.get((key.loss, key.fold))
        training = self._training if chosen is None else chosen.training
        network = self.config.network if chosen is None else chosen.network
        config = self.config.model_copy(update={"training": training, "network": network})
        fold = self.folds[key.fold]
        return RunTask(
            key=key,
            study=config.out,
            loss=given if chosen is None else chosen.loss,
            network=network,
            training=training,
            inference=config.inference,
            prepared=self.prepared,
            train=self._indices(fold.train),
            validation=self._indices(fold.validation),
            test=self._indices(fold.test),
            details=bundle_details(config, self.prepared, key.loss)
            | ({} if chosen is None else {"tuned": dict(chosen.values)}),
            compute=config.compute,
        )

    def tune(self, keys: Sequence[RunKey], reporter: Reporter) -> Choices:
        """Tune inside every fold that a run of these is of; what was tuned before is read.

        Args:
            keys: Of all rounds so far, since `tuning.csv` is written of them all.
            reporter: Hears of progress.

        Raises:
            InputError: If a fold has too few patients for inner folds.
        """
        if self.config.tuning is None:
            return {}
        from unifocal.experiments.tuning.nested import tune_inside

        requests = [self._request(loss, fold) for loss, fold in dict.fromkeys((key.loss, key.fold) for key in keys)]
        jobs = jobs_of(self.config, self.config.tuning.trials * len(requests))
        with waiting(self.config.out, jobs):
            return tune_inside(
                requests, tuning=self.config.tuning, jobs=jobs, compute=self.config.compute, reporter=reporter
            )

    def _request(self, loss: str, number: int) -> "TuningRequest":
        from unifocal.experiments.tuning.nested import TuningRequest

        template = self.task(RunKey(loss, number, self.config.seeds[0]), {})
        fold, split = self.folds[number], self.config.split
        return TuningRequest(
            loss=template.loss,
            fold=number,
            patients=(*fold.train, *fold.validation),
            template=template,
            by=split.by,
            label=self.config.label,
            sizes=self._sizes,
            validation_share=split.validation_share,
        )

    @cached_property
    def _training(self) -> TrainingConfig:
        known = {"threads": self.machine["threads_per_run"], "precision": self.machine["precision"]}
        return TrainingConfig.model_validate(self.config.training.model_dump() | known)

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {}
        for index, case in enumerate(self.prepared.cases):
            places.setdefault(unit_of(case, self.config.split.by), []).append(index)
        return places

    @cached_property
    def _sizes(self) -> dict[str, float]:
        """The mean foreground share of each patient, or of each image where the split is over images."""
        shares = [fact.foreground_share for fact in self.checked.facts]
        return {unit: sum(shares[index] for index in indices) / len(indices) for unit, indices in self._places.items()}

    def _indices(self, members: Sequence[str]) -> tuple[int, ...]:
        return tuple(sorted(index for member in members for index in self._places[member]))
