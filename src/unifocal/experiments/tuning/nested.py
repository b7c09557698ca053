"""Tuning inside every fold of a study: as many trials for every loss with parameters, and no test patient in them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from unifocal.config.schema import LossConfig, NetworkConfig, TrainingConfig
from unifocal.config.sections import ComputeConfig, TuningConfig
from unifocal.data.split_plan import unit_of
from unifocal.experiments.folder import RunKey, read_run, slug, write_table
from unifocal.experiments.progress import Reporter
from unifocal.experiments.run import RunTask
from unifocal.experiments.storage import STATE
from unifocal.experiments.tuning.asked import directions_of, spaces_of
from unifocal.experiments.tuning.best import best_of
from unifocal.experiments.tuning.engine import Plan, search_all
from unifocal.experiments.tuning.inner import deal
from unifocal.experiments.tuning.plans import plan_search
from unifocal.experiments.tuning.space import Space, with_values
from unifocal.problems import InputError, bad_input
from unifocal.training.seeds import derive_seed

FOLDER = "tuning"
TABLE = "tuning.csv"


@dataclass(frozen=True)
class TuningRequest:
    """One loss inside one fold of a study.

    Attributes:
        loss: As given.
        fold: The outer fold's number.
        patients: Who may be seen: the outer fold's patients for training and validation (cases where the split is
            over images).
        template: The outer run: settings, seed, prepared cases; its test cases are never touched.
        by: What the split moves as a whole: `patient` or `image`.
        label: The label that trials are judged by; None: the mean over all.
        sizes: Per patient the foreground share, in which inner folds are made alike; may be empty.
        validation_share: Of the patients that an inner fold does not test on.
    """

    loss: LossConfig
    fold: int
    patients: Sequence[str]
    template: RunTask
    by: str = "patient"
    label: int | None = None
    sizes: Mapping[str, float] = field(default_factory=dict)
    validation_share: float = 0.2

    @property
    def key(self) -> tuple[str, int]:
        """Which it is among the others."""
        return self.loss.label, self.fold


@dataclass(frozen=True)
class Tuned:
    """What tuning chose for a loss in a fold.

    Attributes:
        loss: With the chosen parameters.
        training: With the chosen settings.
        network: Likewise.
        values: What was chosen, by the names of the dimensions.
        trial: Its number; 0 where the settings as given did best.
    """

    loss: LossConfig
    training: TrainingConfig
    network: NetworkConfig
    values: Mapping[str, Any]
    trial: int


def tune_inside(
    requests: Sequence[TuningRequest], *, tuning: TuningConfig, jobs: int, compute: ComputeConfig, reporter: Reporter
) -> dict[tuple[str, int], Tuned]:
    """Tune every loss inside every fold, all together, and write the study's `tuning.csv`.

    Trials that ended before are not done again. No trial is stopped early, so that every loss has the same budget;
    a loss without anything to search has the settings as given as its only trial. Where every trial failed,
    the settings as given are chosen.

    Args:
        requests: One per loss and fold.
        tuning: How settings are searched.
        jobs: Trials at once.
        compute: Where they are done.
        reporter: Hears of progress.

    Returns:
        By the loss's label and the fold.

    Raises:
        InputError: If something cannot be searched, or a fold has too few patients for inner folds.
        ValueError: If a request names a patient that its fold tests on.
    """
    if not requests:
        return {}
    losses = tuple({request.loss.label: request.loss for request in requests}.values())
    own = requests[0].template
    spaces = spaces_of(losses, tuning, own.training, own.network)
    plans = [_plan(request, spaces[request.loss.label], tuning) for request in requests]
    found = search_all(plans, jobs=jobs, compute=compute, reporter=reporter)
    records = {request.key: mine for request, mine in zip(requests, found, strict=True)}
    chosen = {key: best_of(mine, tuning.objective, directions_of(tuning)).best or 0 for key, mine in records.items()}
    write_table(own.study / TABLE, _table(records, chosen, tuning.objective))
    return {request.key: _tuned(request, records[request.key][chosen[request.key]]) for request in requests}


def is_settled(study: Path, loss: str, fold: int) -> bool:
    """Whether a run of a loss on a fold is done or under way, so that its settings, which tuning chose, are to stay."""
    places = (study / RunKey(loss, fold, 0).place.parent).glob(f"fold-{fold}-seed-*")
    return any((place / STATE).is_file() or (read_run(place) or {}).get("status") == "done" for place in places)


def _table(
    records: Mapping[tuple[str, int], Sequence[Mapping[str, Any]]],
    chosen: Mapping[tuple[str, int], int],
    objectives: Sequence[str],
) -> pd.DataFrame:
    """All of `tuning.csv`: a row per loss, fold and trial."""
    rows = []
    for (loss, fold), mine in records.items():
        for record in mine:
            known = {"loss": loss, "fold": fold, "trial": record["trial"], "status": record["status"]}
            known |= {"values": json.dumps(record["values"])}
            known |= {metric: record["objective"][metric] for metric in objectives}
            known |= {"chosen": record["trial"] == chosen[loss, fold], "default": record["trial"] == 0}
            rows.append(known | {name: record[name] for name in ("epochs", "seconds", "reason")})
    return pd.DataFrame(rows)


def _plan(request: TuningRequest, space: Space, tuning: TuningConfig) -> Plan:
    template, allowed = request.template, set(request.patients)
    cases = template.prepared.cases
    tested = {unit_of(cases[index], request.by) for index in template.test}
    if allowed & tested:
        message = f"fold {request.fold} tests on {min(allowed & tested)}, whom its tuning must not see"
        raise ValueError(message)
    seed = derive_seed(tuning.seed, request.fold)
    try:
        folds = deal(
            cases, [request.sizes.get(unit_of(case, request.by), 0.0) for case in cases], allowed,
            folds=tuning.inner_folds, by=request.by, validation_share=request.validation_share, seed=seed,
        )  # fmt: skip
    except InputError as error:
        what = f"{error.problems[0].what} (inside fold {request.fold})"
        raise bad_input("tuning.inner_folds", what, "Give fewer inner folds, or fewer folds.") from None
    return plan_search(
        template,
        folds,
        space,
        tuning,
        by=request.by,
        title=f"{request.loss.label}, fold {request.fold}",
        place=PurePosixPath(FOLDER) / slug(request.loss.label) / f"fold-{request.fold}",
        seed=seed,
        label=request.label,
        is_settled=is_settled(template.study, request.loss.label, request.fold),
    )


def _tuned(request: TuningRequest, record: Mapping[str, Any]) -> Tuned:
    own, values = request.template, record["values"]
    if record["trial"] == 0:
        return Tuned(request.loss, own.training, own.network, values, 0)
    return Tuned(*with_values(values, request.loss, own.training, own.network), values, int(record["trial"]))
