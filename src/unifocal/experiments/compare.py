"""`compare`: train with every loss on every fold, score every case, give the verdict."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unifocal.clock import Moment, note, noted, stage
from unifocal.config.schema import StudyConfig
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
    untrained_labels,
)
from unifocal.experiments.outer import OuterRuns
from unifocal.experiments.plan import training_for
from unifocal.experiments.pool import execute_all
from unifocal.experiments.probabilities import join_probabilities
from unifocal.experiments.progress import Reporter
from unifocal.experiments.race import Course, Records, race_problems, replay
from unifocal.experiments.record import cases_table, describe_study, identity_of, jobs_of
from unifocal.experiments.run import RunTask
from unifocal.experiments.time_spent import timed_study, waiting
from unifocal.inference.device import device_problems
from unifocal.problems import Problem, WorkFailedError, raise_if_any
from unifocal.training.loggers import logger_problems


class StudyFailedError(WorkFailedError):
    """No run of the study could be scored."""


def compare(config: StudyConfig, *, command: str, reporter: Reporter, started: Moment | None = None) -> StudyOutcome:
    """Run a study, or go on with it where it stopped.

    Args:
        config: Everything that was asked for.
        command: The command line, for the record.
        reporter: Hears of progress.
        started: When this process began, where it does nothing but this study.

    Raises:
        InputError: With every problem of the settings and the data; nothing is written then.
        StudyFailedError: If every run failed.
    """
    with timed_study(config.out, is_on=config.compute.profile, started=started):
        return _compare(config, command, reporter)


def _compare(config: StudyConfig, command: str, reporter: Reporter) -> StudyOutcome:
    problems = loss_problems(config.losses) + metric_problems(config.metric, "metric")
    problems += logger_problems(config.compute.loggers) + device_problems(config.inference.device)
    with stage("reading and checking"):
        checked = load_data(
            config, out=config.out, minimum_patients=patients_needed(config.split), problems=problems, reporter=reporter
        )
    refuse_unusable_losses(config.losses, checked)
    config = config.model_copy(update={"training": training_for(config.training, checked.facts[0].ndim)})
    refuse_other_label(config.label, checked)
    folds = make_folds_of(config.split, checked)
    raise_if_any([*race_problems(config, len(folds)), *_tuning_problems(config, folds)])
    for sentence in untrained_labels(checked, folds, config.split.by):
        reporter.say(sentence)
    identity = identity_of(config, checked, folds)
    earlier = refuse_other_study(config.out, identity)
    records = _finished(config, len(folds))
    course = Course(config, len(folds))
    replay(course, records)
    if course.is_over:
        reporter.say("All runs were done before.")
        with lock_study(config.out), noted():
            return _conclude(course, records, reporter)
    with stage("preparing"):
        prepared = prepare_all(config, checked, reporter)
    with lock_study(config.out), noted():
        settings = earlier or describe_study(config, checked, prepared, folds, identity, command)
        if earlier is None:
            write_yaml(config.out / "study.yaml", settings)
        if not (config.out / "cases.csv").is_file():
            write_table(config.out / "cases.csv", cases_table(checked, folds, config.split.by))
        runs = OuterRuns(config, checked, prepared, folds, settings["machine"])
        return _conclude(course, _run_rounds(course, runs, records, reporter), reporter)


def _tuning_problems(config: StudyConfig, folds: Sequence[Fold]) -> list[Problem]:
    if config.tuning is None:
        return []
    from unifocal.experiments.tuning.asked import tuning_problems

    return tuning_problems(config.losses, config.tuning, config.training, config.network, folds)


def _finished(config: StudyConfig, folds: int) -> Records:
    """The record of every run that is done; None for the others."""
    keys = [RunKey(loss.label, fold, seed) for seed in config.seeds for fold in range(folds) for loss in config.losses]
    records = {key: read_run(config.out / key.place) for key in keys}
    return {key: record if record and record["status"] == "done" else None for key, record in records.items()}


def _run_rounds(course: Course, runs: OuterRuns, records: Records, reporter: Reporter) -> Records:
    """Round after round, until all are done or a race is decided."""
    config, records = course.config, dict(records)
    while not course.is_over:
        wanted = course.wanted()
        choices = runs.tune([*course.keys, *wanted], reporter)
        tasks = [runs.task(key, choices) for key in wanted if records[key] is None]
        if tasks:
            _announce(course, tasks, records, reporter)
            records |= _run_all(config, tasks, jobs_of(config, len(records)), reporter)
        for left in course.close(records):
            reporter.say(f"{left.loss} leaves the race: worse than {left.against} (p {left.p:.2g})")
        course.write()
    return records


def _run_all(config: StudyConfig, tasks: Sequence[RunTask], jobs: int, reporter: Reporter) -> Records:
    note()  # a study that is killed keeps what came before
    records: dict[RunKey, dict[str, Any] | None] = {}
    with waiting(config.out, min(jobs, len(tasks))):
        for index, record in execute_all(tasks, jobs=jobs, compute=config.compute, reporter=reporter):
            key, epochs = tasks[index].key, tasks[index].training.epochs
            records[key] = record
            if record["status"] == "failed":
                reporter.say(f"FAILED {key}: {record['reason']}")
            reporter.advance(max(0, epochs - record.get("epochs", epochs)), f"{key}: done")
    return records


def _announce(course: Course, tasks: Sequence[RunTask], records: Records, reporter: Reporter) -> None:
    """What this round has to do; the bar counts the epochs of all rounds that those who still race have before them."""
    config = course.config
    epochs, jobs = config.training.epochs, min(jobs_of(config, len(records)), len(tasks))
    ahead = len(course.race.racing) * sum(map(len, course.rounds[course.number + 1 :]))
    before = len(course.keys) + len(course.wanted()) - len(tasks)
    which = f"Round {course.number + 1} of {len(course.rounds)}: " if len(course.rounds) > 1 else ""
    at_once = f"{jobs} at once" if jobs else "as many at once as Ray has room for"
    longest = max(task.training.epochs for task in tasks)
    reporter.say(f"{which}{len(tasks)} of {len(records)} runs to do, {at_once}, at most {longest} epochs each")
    done = epochs * before + sum(_trained(task.folder) for task in tasks)
    reporter.stage("Training (epochs)", epochs * (before + ahead) + sum(task.training.epochs for task in tasks), done)


def _conclude(course: Course, records: Records, reporter: Reporter) -> StudyOutcome:
    config = course.config
    course.write()
    known = [record for key in course.keys if (record := records[key]) is not None]
    failed = tuple(record for record in known if record["status"] != "done")
    finished = [record for record in known if record["status"] == "done"]
    if not finished:
        reasons = "; ".join(sorted({record["reason"] for record in failed}))
        message = f"every run failed ({reasons}); their folders under {config.out / 'runs'} hold what they left"
        raise StudyFailedError(message)
    places = [config.out / RunKey(r["loss"], r["fold"], r["seed"]).place for r in finished]
    with stage("joining scores"):
        _join_scores(config.out, places)
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


def _join_scores(out: Path, places: Sequence[Path]) -> None:
    kept_as_text = {"case": str, "patient": str, "value": str, "reason": str, "unit": str}
    parts = [pd.read_csv(place / "scores.csv", dtype=kept_as_text, keep_default_na=False) for place in places]
    write_table(out / "scores.csv", pd.concat(parts, ignore_index=True))


def _trained(folder: Path) -> int:
    try:
        return len(pd.read_csv(folder / "history.csv"))
    except (OSError, pd.errors.EmptyDataError):
        return 0
