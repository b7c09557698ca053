"""`compare`: train with every loss on every fold, score every case, give the verdict."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from unifocal import __version__
from unifocal.config.schema import LossConfig, StudyConfig, TrainingConfig
from unifocal.data.check import CheckedData
from unifocal.data.splits import Fold, draw_folds, people_of, split_hash
from unifocal.experiments.folder import (
    RunKey,
    check_out,
    lock_study,
    read_record,
    refuse_other_study,
    write_table,
    write_yaml,
)
from unifocal.experiments.inputs import (
    foreground_percent,
    load_data,
    loss_problems,
    prepared_for,
    refuse_unusable_losses,
)
from unifocal.experiments.pool import execute_all
from unifocal.experiments.prepare import Prepared, prepare
from unifocal.experiments.progress import Reporter
from unifocal.experiments.run import RunTask, build_network
from unifocal.losses import describe
from unifocal.metrics import METRICS
from unifocal.problems import InputError, Problem, WorkFailedError
from unifocal.reporting import write_report
from unifocal.statistics import Analysis, analyse
from unifocal.training.fit import choose_precision

LIBRARIES = ("torch", "lightning", "batchgeneratorsv2", "numpy", "scipy", "scikit-image", "pandas", "pillow")


class StudyFailedError(WorkFailedError):
    """No run of the study could be scored."""


@dataclass(frozen=True)
class StudyOutcome:
    """What a study came to.

    Attributes:
        folder: The study folder.
        report: Its `report.html`.
        analysis: The verdict and its tables.
        failed: The records of failed runs.
    """

    folder: Path
    report: Path
    analysis: Analysis
    failed: tuple[dict[str, Any], ...]


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
    problems = loss_problems(config.losses)
    if config.metric not in METRICS:
        problems.append(Problem("metric", f"there is no metric {config.metric!r}", f"Known: {', '.join(METRICS)}."))
    try:
        check_out(config.out, "study.yaml", allowed=("phantom",) if config.data.is_phantom else ())
    except InputError as error:
        problems += error.problems
    checked = load_data(
        config, out=config.out, minimum_patients=config.split.folds, problems=problems, reporter=reporter
    )
    prepared = prepared_for(checked, config.out / "prepared")
    refuse_unusable_losses(config.losses, prepared.out_channels)
    folds = _draw(checked, config)
    identity = _identity(config, checked, folds)
    earlier = refuse_other_study(config.out, identity)
    with lock_study(config.out):
        settings = earlier or _settings(config, checked, folds, identity, command)
        if earlier is None:
            write_table(config.out / "cases.csv", _cases_table(checked, folds))
            write_yaml(config.out / "study.yaml", settings)
        records = _run_all(config, _tasks(config, prepared, folds, settings), prepared, reporter)
        return _conclude(config, records, reporter)


def conclude(folder: Path, *, metric: str, label: int | None, resamples: int, order: Sequence[str] | None) -> Analysis:
    """Analyse a study's `scores.csv` and write what follows from it, without the report."""
    text = dict.fromkeys(("loss", "case", "patient", "unit", "reason"), str)
    # A case may be called "NA": only an empty value is a missing one.
    scores = pd.read_csv(folder / "scores.csv", dtype=text, keep_default_na=False, na_values={"value": [""]})
    analysis = analyse(scores, metric=metric, label=label, resamples=resamples, order=order)
    write_table(folder / "summary.csv", analysis.summary)
    write_table(folder / "pooled.csv", analysis.pooled)
    write_table(folder / "comparison.csv", analysis.comparison)
    return analysis


def _draw(checked: CheckedData, config: StudyConfig) -> tuple[Fold, ...]:
    cases = checked.dataset.cases
    people = people_of(
        [case.patient for case in cases], [fact.foreground_share for fact in checked.facts],
        [case.attributes for case in cases],
    )  # fmt: skip
    split = config.split
    return draw_folds(people, folds=split.folds, validation_share=split.validation_share, seed=split.seed)


def _identity(config: StudyConfig, checked: CheckedData, folds: Sequence[Fold]) -> dict[str, Any]:
    asked = config.model_dump(mode="json", include={"preprocessing", "network", "training", "losses", "seeds"})
    asked["losses"] = ", ".join(loss.label for loss in config.losses)
    asked["labels"] = list(checked.labels)
    if config.data.is_phantom:
        asked["phantom"] = {"patients": config.data.phantom_patients, "seed": config.data.phantom_seed}
    return asked | {"data_hash": checked.content_hash, "split_hash": split_hash(folds)}


def _settings(
    config: StudyConfig, checked: CheckedData, folds: Sequence[Fold], identity: dict[str, Any], command: str
) -> dict[str, Any]:
    jobs = _jobs(config)
    threads = config.training.threads or max(1, _cores() // jobs)
    prepared = prepared_for(checked, config.out)
    network = build_network(prepared, config.network, seed=0)
    cases = checked.dataset.cases
    kinds = pd.Series([case.attributes.get("class", "") for case in cases]).value_counts().to_dict()
    return {
        "unifocal": __version__,
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES},
        "machine": {
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cores": _cores(),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
            "threads_per_run": threads,
            "precision": choose_precision(config.training.precision),
        },
        "data": {
            "name": "built-in phantom" if config.data.is_phantom else _data_name(config),
            "folder": str(config.data.folder or config.data.images or config.out / "phantom"),
            "cases": len(cases),
            "patients": len({case.patient for case in cases}),
            "patients_known": checked.dataset.patients_known,
            "labels": list(checked.labels),
            "channels": checked.channels,
            "spacing_known": all(case.spacing_mm is not None for case in cases),
            "foreground_percent": foreground_percent(checked),
            "black_and_white": checked.coding.is_black_and_white,
            "mask_threshold": checked.coding.threshold,
            "classes": {} if set(kinds) == {""} else kinds,
            "hash": checked.content_hash,
        },
        "config": config.model_dump(mode="json")
        | {
            "network": config.network.model_dump(mode="json")
            | {
                "in_channels": prepared.channels,
                "out_channels": prepared.out_channels,
                "parameters": sum(weight.numel() for weight in network.parameters()),
            }
        },
        "losses": [_describe_loss(loss) for loss in config.losses],
        "split": {"by": "patient", "hash": split_hash(folds), "folds": [fold.as_dict() for fold in folds]},
        "identity": identity,
    }


def _describe_loss(loss: LossConfig) -> dict[str, Any]:
    known = loss.model_dump(mode="json") | {"label": loss.label}
    if ":" in loss.name:
        return known
    member = describe(loss.name)
    citation = f"{member.paper.citation}. doi:{member.paper.doi}"
    return known | {"title": member.title, "formula": member.formula, "citation": citation}


def _cases_table(checked: CheckedData, folds: Sequence[Fold]) -> pd.DataFrame:
    fold_of = {patient: index for index, fold in enumerate(folds) for patient in fold.test}
    rows = []
    for case, fact in zip(checked.dataset.cases, checked.facts, strict=True):
        spacing_row, spacing_column = case.spacing_mm or (None, None)
        known: dict[str, Any] = {
            "case": case.name,
            "patient": case.patient,
            "fold": fold_of[case.patient],
            "image": str(case.image.resolve()),
            "mask": str(case.mask.resolve() if case.mask else ""),
            "height": fact.size[0],
            "width": fact.size[1],
            "foreground_percent": round(100 * fact.foreground_share, 4),
            "spacing_row_mm": spacing_row,
            "spacing_column_mm": spacing_column,
        }
        rows.append(known | {key: value for key, value in case.attributes.items() if key not in known})
    return pd.DataFrame(rows)


def _tasks(config: StudyConfig, prepared: Prepared, folds: Sequence[Fold], settings: dict[str, Any]) -> list[RunTask]:
    machine = settings["machine"]
    training = TrainingConfig.model_validate(
        config.training.model_dump() | {"threads": machine["threads_per_run"], "precision": machine["precision"]}
    )
    places: dict[str, list[int]] = {}
    for index, case in enumerate(prepared.cases):
        places.setdefault(case.patient, []).append(index)

    def indices(patients: Sequence[str]) -> tuple[int, ...]:
        return tuple(sorted(index for patient in patients for index in places[patient]))

    return [
        RunTask(
            key=RunKey(loss.label, number, seed),
            study=config.out,
            loss=loss,
            network=config.network,
            training=training,
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


def bundle_details(config: Any, prepared: Prepared, loss: str) -> dict[str, Any]:
    """What a weights file tells: how its input is prepared, what its output means, how it was trained."""
    return {
        "unifocal": __version__,
        "loss": loss,
        "labels": list(prepared.labels),
        "black_and_white": prepared.coding.is_black_and_white,
        "preprocessing": config.preprocessing.model_dump(mode="json"),
        "training": config.training.model_dump(mode="json"),
    }


def _run_all(
    config: StudyConfig, tasks: Sequence[RunTask], prepared: Prepared, reporter: Reporter
) -> list[dict[str, Any]]:
    records = {task.key: read_record(task.folder) for task in tasks}
    open_tasks = [task for task in tasks if (records[task.key] or {}).get("status") != "done"]
    if not open_tasks:
        reporter.say("All runs were done before.")
        return [record for record in records.values() if record is not None]
    reporter.stage("Preparing images", len(prepared.cases))
    prepare(prepared, config.preprocessing, lambda: reporter.advance(1))
    epochs = config.training.epochs
    trained = {task.key: _trained(task.folder) for task in open_tasks}
    done = epochs * (len(tasks) - len(open_tasks)) + sum(trained.values())
    jobs = min(_jobs(config), len(open_tasks))
    reporter.say(f"{len(open_tasks)} of {len(tasks)} runs to do, {jobs} at once, at most {epochs} epochs each")
    reporter.stage("Training (epochs)", epochs * len(tasks), done)
    for record in execute_all(open_tasks, jobs=jobs, reporter=reporter):
        key = RunKey(record["loss"], record["fold"], record["seed"])
        records[key] = record
        if record["status"] == "failed":
            reporter.say(f"FAILED {key}: {record['reason']}")
        reporter.advance(max(0, epochs - record.get("epochs", epochs)), f"{key}: done")
    return [record for record in records.values() if record is not None]


def _conclude(config: StudyConfig, records: Sequence[dict[str, Any]], reporter: Reporter) -> StudyOutcome:
    failed = tuple(record for record in records if record["status"] != "done")
    finished = [record for record in records if record["status"] == "done"]
    if not finished:
        reasons = "; ".join(sorted({record["reason"] for record in failed}))
        message = f"every run failed ({reasons}); their folders under {config.out / 'runs'} hold what they left"
        raise StudyFailedError(message)
    places = [config.out / RunKey(r["loss"], r["fold"], r["seed"]).place for r in finished]
    kept_as_text = {"case": str, "patient": str, "value": str, "reason": str, "unit": str}
    parts = [pd.read_csv(place / "scores.csv", dtype=kept_as_text, keep_default_na=False) for place in places]
    write_table(config.out / "scores.csv", pd.concat(parts, ignore_index=True))
    reporter.say("Analysing and writing the report")
    analysis = conclude(
        config.out, metric=config.metric, label=None, resamples=config.resamples,
        order=[loss.label for loss in config.losses],
    )  # fmt: skip
    report = write_report(config.out, analysis)
    for name in ("images.npy", "classes.npy"):
        if not failed:
            (config.out / "prepared" / name).unlink(missing_ok=True)
    return StudyOutcome(config.out, report, analysis, failed)


def _trained(folder: Path) -> int:
    try:
        return len(pd.read_csv(folder / "history.csv"))
    except (OSError, pd.errors.EmptyDataError):
        return 0


def _jobs(config: StudyConfig) -> int:
    runs = len(config.losses) * config.split.folds * len(config.seeds)
    return min(config.jobs or (1 if torch.cuda.is_available() else _cores()), runs)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _data_name(config: StudyConfig) -> str:
    folder = config.data.folder or config.data.images
    return folder.resolve().name if folder else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
