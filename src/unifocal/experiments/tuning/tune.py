"""`tune`: the best settings for one loss, by the mean over the patients of inner folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from unifocal.config.schema import ModelConfig, StudyConfig, TrainingConfig, TuneConfig
from unifocal.data.check import CheckedData
from unifocal.data.split_plan import unit_of
from unifocal.data.splits import Fold
from unifocal.experiments.folder import RunKey, lock_study, refuse_other_study, write_table, write_yaml
from unifocal.experiments.inputs import (
    load_data,
    loss_problems,
    make_folds_of,
    patients_needed,
    prepare_all,
    refuse_unusable_losses,
)
from unifocal.experiments.plan import training_for
from unifocal.experiments.pool import goes_to_ray
from unifocal.experiments.prepare import Prepared
from unifocal.experiments.progress import Reporter
from unifocal.experiments.record import bundle_details, cases_table, describe_study, identity_of, jobs_of
from unifocal.experiments.run import RunTask
from unifocal.experiments.tuning.asked import spaces_of, trials_of, tuning_problems
from unifocal.experiments.tuning.engine import Plan, Record, search_all
from unifocal.experiments.tuning.inner import deal
from unifocal.experiments.tuning.plans import plan_search
from unifocal.experiments.tuning.results import BEST, TRIALS, write_results
from unifocal.experiments.tuning.space import Space
from unifocal.problems import Problem, WorkFailedError, bad_input
from unifocal.training.loggers import logger_problems
from unifocal.training.seeds import derive_seed

FOLDER = "trials"


class TuningFailedError(WorkFailedError):
    """No trial could be finished."""


@dataclass(frozen=True)
class TuneOutcome:
    """What a search found.

    Attributes:
        folder: Its folder.
        report: Its page.
        best: The best trial's record.
        given: The record of trial 0, which has the settings as given.
        records: Of all trials.
    """

    folder: Path
    report: Path
    best: Record
    given: Record
    records: tuple[Record, ...]


def tune(config: TuneConfig, *, command: str, reporter: Reporter) -> TuneOutcome:
    """Search, or go on with a search where it stopped; more trials than before are added to those before.

    Args:
        config: Everything that was asked for.
        command: The command line, for the record.
        reporter: Hears of progress.

    Raises:
        InputError: With every problem of the settings and the data; nothing is written then.
        TuningFailedError: If every trial failed; `trials.csv` tells why.
    """
    checked = _load(config, reporter)
    refuse_unusable_losses((config.loss,), checked)
    config = config.model_copy(update={"training": training_for(config.training, checked.facts[0].ndim)})
    space = spaces_of((config.loss,), config.tuning, config.training, config.network)[config.loss.label]
    folds, left_out = _inner_folds(config, checked)
    study = _as_study(config)
    identity = _identity(config, study, checked, folds, left_out)
    earlier = refuse_other_study(config.out, identity)
    prepared = prepare_all(config, checked, reporter)
    with lock_study(config.out):
        settings = earlier or describe_study(study, checked, prepared, folds, identity, command)
        settings |= _told(config, settings, space, left_out)
        write_yaml(config.out / "study.yaml", settings)
        if not (config.out / "cases.csv").is_file():
            write_table(config.out / "cases.csv", cases_table(checked, folds, config.split.by))
        plan = _plan(config, prepared, folds, space, settings)
        return _conclude(config, plan, _search(config, plan, reporter), reporter)


def stops_early(config: TuneConfig) -> bool:
    """Whether trials that lag behind are stopped, which needs Ray; unless asked for, several at once are wanted too."""
    if config.tuning.scheduler == "none":
        return False
    if "scheduler" in config.tuning.model_fields_set or goes_to_ray(config.compute):
        return True
    return find_spec("ray") is not None and jobs_of(_as_study(config), config.tuning.trials) > 1


def _load(config: TuneConfig, reporter: Reporter) -> CheckedData:
    problems = loss_problems((config.loss,))
    if not problems:
        problems = tuning_problems((config.loss,), config.tuning, config.training, config.network)
    problems += logger_problems(config.compute.loggers)
    if stops_early(config) and find_spec("ray") is None:
        what = "stops trials early with Ray, which is not installed"
        problems.append(Problem("--scheduler asha", what, "pip install 'unifocal[all]', or give --scheduler none."))
    needed = patients_needed(config.split) if config.test_fold is not None else config.tuning.inner_folds
    if config.split.by == "image":
        needed = 1
    return load_data(config, out=config.out, minimum_patients=needed, problems=problems, reporter=reporter)


def _inner_folds(config: TuneConfig, checked: CheckedData) -> tuple[tuple[Fold, ...], tuple[str, ...]]:
    """The inner folds, and who takes no part in them."""
    by, cases = config.split.by, checked.dataset.cases
    allowed = {unit_of(case, by) for case in cases}
    left_out: tuple[str, ...] = ()
    seed = config.tuning.seed
    if config.test_fold is not None:
        outer = make_folds_of(config.split, checked)
        if config.test_fold >= len(outer):
            what = f"is {config.test_fold}, and the split has the folds 0 to {len(outer) - 1}"
            raise bad_input("--test-fold", what, "Give one of them, or none: all patients then take part.")
        fold = outer[config.test_fold]
        # As inside that fold of a study.
        seed = derive_seed(seed, config.test_fold)
        allowed, left_out = set(fold.train) | set(fold.validation), fold.test
    shares = [fact.foreground_share for fact in checked.facts]
    folds = deal(
        cases, shares, allowed, folds=config.tuning.inner_folds, by=by,
        validation_share=config.split.validation_share, seed=seed,
    )  # fmt: skip
    return folds, left_out


def _as_study(config: TuneConfig) -> StudyConfig:
    shared = {name: getattr(config, name) for name in ModelConfig.model_fields}
    own = {"losses": (config.loss,), "seeds": (config.seed,)}
    return StudyConfig(**shared, **own, split=config.split, out=config.out, jobs=config.jobs)


def _identity(
    config: TuneConfig, study: StudyConfig, checked: CheckedData, folds: Sequence[Fold], left_out: Sequence[str]
) -> dict[str, Any]:
    """As a study's; of the search all but the number of trials, which may grow."""
    tuning = config.tuning.model_dump(mode="json", exclude={"trials"})
    return identity_of(study, checked, folds) | {"tuning": tuning, "left_out": ", ".join(left_out)}


def _told(config: TuneConfig, settings: dict[str, Any], space: Space, left_out: Sequence[str]) -> dict[str, Any]:
    """What `study.yaml` says of a search beside what it says of every study."""
    said = config.model_dump(mode="json") | {"network": settings["config"]["network"]}
    said["tuning"]["trials"] = trials_of(config.tuning, space)
    about = {
        "stops_early": stops_early(config),
        "inner_folds": len(settings["split"]["folds"]),
        "test_fold": config.test_fold,
        "left_out": list(left_out),
    }
    return {"kind": "tuning", "config": said, "space": [each.as_plain() for each in space], "tuning": about}


def _plan(
    config: TuneConfig, prepared: Prepared, folds: Sequence[Fold], space: Space, settings: dict[str, Any]
) -> Plan:
    machine = settings["machine"]
    resolved = {"threads": machine["threads_per_run"], "precision": machine["precision"]}
    template = RunTask(
        key=RunKey(config.loss.label, 0, config.seed),
        study=config.out,
        loss=config.loss,
        network=config.network,
        training=TrainingConfig.model_validate(config.training.model_dump(exclude_unset=True) | resolved),
        inference=config.inference,
        prepared=prepared,
        train=(),
        validation=(),
        test=(),
        details=bundle_details(config, prepared, config.loss.label),
        compute=config.compute,
    )
    seed = config.tuning.seed if config.test_fold is None else derive_seed(config.tuning.seed, config.test_fold)
    return plan_search(
        template, folds, space, config.tuning,
        by=config.split.by, title=config.loss.label, place=PurePosixPath(FOLDER), seed=seed,
    )  # fmt: skip


def _search(config: TuneConfig, plan: Plan, reporter: Reporter) -> list[Record]:
    jobs = jobs_of(_as_study(config), plan.search.trials)
    if stops_early(config):
        from unifocal.experiments.on_ray.trials import search_with_asha

        return search_with_asha(plan, jobs=jobs, compute=config.compute, reporter=reporter)
    if config.tuning.scheduler == "asha":
        reporter.say("No trial is stopped early: that is for several trials at once, with Ray.")
    return search_all([plan], jobs=jobs, compute=config.compute, reporter=reporter)[0]


def _conclude(config: TuneConfig, plan: Plan, records: list[Record], reporter: Reporter) -> TuneOutcome:
    from unifocal.reporting import write_tuning_report

    best = write_results(config, plan.search.space, records, plan.tried(records)).best
    if best is None:
        reasons = "; ".join(sorted({record["reason"] for record in records}))
        message = f"every trial failed ({reasons}); {config.out / TRIALS} lists them"
        raise TuningFailedError(message)
    reporter.say(f"Writing the report of {len(records)} trials; {config.out / BEST} holds the best settings")
    report = write_tuning_report(config.out)
    return TuneOutcome(config.out, report, records[best], records[0], tuple(records))
