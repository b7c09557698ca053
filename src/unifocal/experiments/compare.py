"""`compare`: train with every loss on every fold, score every case, give the verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unifocal.config.schema import StudyConfig, TrainingConfig
from unifocal.data.split_plan import unit_of
from unifocal.data.splits import Fold
from unifocal.experiments.conclude import Question, StudyOutcome, conclude, metric_problems
from unifocal.experiments.folder import (
    RunKey,
    lock_study,
    read_run,
    refuse_other_study,
    write_table,
    write_yaml,
)
from unifocal.experiments.inputs import (
    load_data,
    loss_problems,
    make_folds_of,
    patients_needed,
    prepare_all,
    refuse_other_label,
    refuse_unusable_losses,
)
from unifocal.experiments.plan import training_for
from unifocal.experiments.pool import execute_all
from unifocal.experiments.prepare import Prepared
from unifocal.experiments.probabilities import join_probabilities
from unifocal.experiments.progress import Reporter
from unifocal.experiments.record import bundle_details, cases_table, describe_study, identity_of, jobs_of
from unifocal.experiments.run import RunTask
from unifocal.problems import WorkFailedError

Records = Mapping[RunKey, dict[str, Any] | None]


class StudyFailedError(WorkFailedError):
    """No run of the study could be scored."""


def compare(config: StudyConfig, *, command: str, reporter: Reporter) -> StudyOutcome:
    """Run a study, or go on with it where it stopped.

    Args:
        config: Everything that was asked for.
        command: The command line, for the record.
        reporter: Hears of progress.

    Raises:
        InputError: With every problem of the settings and the data; nothing is written then.
        StudyFailedError: If every run failed.
    """
    problems = loss_problems(config.losses) + metric_problems(config.metric, "metric")
    checked = load_data(
        config, out=config.out, minimum_patients=patients_needed(config.split), problems=problems, reporter=reporter
    )
    refuse_unusable_losses(config.losses, checked)
    config = config.model_copy(update={"training": training_for(config.training, checked.facts[0].ndim)})
    refuse_other_label(config.label, checked)
    folds = make_folds_of(config.split, checked)
    identity = identity_of(config, checked, folds)
    earlier = refuse_other_study(config.out, identity)
    records = _finished(config, len(folds))
    if all(record is not None for record in records.values()):
        reporter.say("All runs were done before.")
        with lock_study(config.out):
            return _conclude(config, records, reporter)
    prepared = prepare_all(config, checked, reporter)
    with lock_study(config.out):
        settings = earlier or describe_study(config, checked, prepared, folds, identity, command)
        if earlier is None:
            write_table(config.out / "cases.csv", cases_table(checked, folds, config.split.by))
            write_yaml(config.out / "study.yaml", settings)
        tasks = [task for task in _tasks(config, prepared, folds, settings) if records[task.key] is None]
        return _conclude(config, _run_all(config, tasks, records, reporter), reporter)


def _tasks(config: StudyConfig, prepared: Prepared, folds: Sequence[Fold], settings: dict[str, Any]) -> list[RunTask]:
    machine = settings["machine"]
    training = TrainingConfig.model_validate(
        config.training.model_dump() | {"threads": machine["threads_per_run"], "precision": machine["precision"]}
    )
    places: dict[str, list[int]] = {}
    for index, case in enumerate(prepared.cases):
        places.setdefault(unit_of(case, config.split.by), []).append(index)

    def indices(members: Sequence[str]) -> tuple[int, ...]:
        return tuple(sorted(index for member in members for index in places[member]))

    return [
        RunTask(
            key=RunKey(loss.label, number, seed),
            study=config.out,
            loss=loss,
            network=config.network,
            training=training,
            inference=config.inference,
            prepared=prepared,
            train=indices(fold.train),
            validation=indices(fold.validation),
            test=indices(fold.test),
            details=bundle_details(config, prepared, loss.label),
        )
        for seed in config.seeds
        for number, fold in enumerate(folds)
        for loss in config.losses
    ]


def _finished(config: StudyConfig, folds: int) -> Records:
    """The record of every run that is done; None for the others."""
    keys = [RunKey(loss.label, fold, seed) for seed in config.seeds for fold in range(folds) for loss in config.losses]
    records = {key: read_run(config.out / key.place) for key in keys}
    return {key: record if record and record["status"] == "done" else None for key, record in records.items()}


def _run_all(config: StudyConfig, tasks: Sequence[RunTask], records: Records, reporter: Reporter) -> Records:
    epochs = config.training.epochs
    done = epochs * (len(records) - len(tasks)) + sum(_trained(task.folder) for task in tasks)
    jobs = min(jobs_of(config, len(records)), len(tasks))
    reporter.say(f"{len(tasks)} of {len(records)} runs to do, {jobs} at once, at most {epochs} epochs each")
    reporter.stage("Training (epochs)", epochs * len(records), done)
    records = dict(records)
    for record in execute_all(tasks, jobs=jobs, reporter=reporter):
        key = RunKey(record["loss"], record["fold"], record["seed"])
        records[key] = record
        if record["status"] == "failed":
            reporter.say(f"FAILED {key}: {record['reason']}")
        reporter.advance(max(0, epochs - record.get("epochs", epochs)), f"{key}: done")
    return records


def _conclude(config: StudyConfig, records: Records, reporter: Reporter) -> StudyOutcome:
    known = [record for record in records.values() if record is not None]
    failed = tuple(record for record in known if record["status"] != "done")
    finished = [record for record in known if record["status"] == "done"]
    if not finished:
        reasons = "; ".join(sorted({record["reason"] for record in failed}))
        message = f"every run failed ({reasons}); their folders under {config.out / 'runs'} hold what they left"
        raise StudyFailedError(message)
    places = [config.out / RunKey(r["loss"], r["fold"], r["seed"]).place for r in finished]
    kept_as_text = {"case": str, "patient": str, "value": str, "reason": str, "unit": str}
    parts = [pd.read_csv(place / "scores.csv", dtype=kept_as_text, keep_default_na=False) for place in places]
    write_table(config.out / "scores.csv", pd.concat(parts, ignore_index=True))
    known_for = join_probabilities(config.out, places)
    if known_for < len(places):
        reporter.say(
            f"{len(places) - known_for} of {len(places)} runs were done by an earlier version, which kept no "
            "probabilities: ece, brier and average_precision are of the others alone."
        )
    reporter.say("Analysing and writing the report")
    question = Question(
        metric=config.metric,
        label=config.label,
        resamples=config.resamples,
        order=tuple(loss.label for loss in config.losses),
        margin=config.margin,
        noun="loss",
    )
    return conclude(config.out, question, failed=failed)


def _trained(folder: Path) -> int:
    try:
        return len(pd.read_csv(folder / "history.csv"))
    except (OSError, pd.errors.EmptyDataError):
        return 0
