"""A study of twelve short runs beside the bare loop of the same trainings; see `study.py`."""

import argparse
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from report import circumstances
from report import table as markdown

from unifocal.config.schema import StudyConfig
from unifocal.data.phantom import write_phantom
from unifocal.experiments.compare import compare
from unifocal.experiments.folder import RunKey, read_record
from unifocal.experiments.inputs import load_data, make_folds_of, prepare_all
from unifocal.experiments.outer import OuterRuns
from unifocal.experiments.run import RunTask, build_network, samples_for
from unifocal.experiments.segment import build_loss
from unifocal.training import derive_seed, fit
from unifocal.training.process import prepare_process

LOSSES = ("bce", "focal", "dice_cross_entropy", "unified_focal")
FOLDS = 3
RUNS = len(LOSSES) * FOLDS

_PAGE = """# What a study costs beside its trainings

Twelve short runs ({losses} x {folds} folds, {epochs} epochs, the phantom's {patients} patients at 64 pixels, one thread
each): in a bare loop that calls `fit` and nothing else, and as a study, in turn, {rounds} times each; medians. Images
were prepared before. A study also segments and scores the test cases, analyses and writes the report; scheduling is
what is left of its training stage after the runs' own time, per run.
"""


@dataclass
class Stopwatch:
    """A `Reporter` that notes when stages begin."""

    began: dict[str, float] = field(default_factory=dict)

    def stage(self, title: str, total: int, done: int = 0) -> None:  # noqa: ARG002
        """Note the time."""
        self.began.setdefault(title, time.perf_counter())

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Nothing is shown."""

    def run(self, name: str, record: Any) -> None:
        """Nothing is shown."""

    def say(self, text: str) -> None:
        """The line between the last run and the report is noted."""
        self.began.setdefault(text, time.perf_counter())


def overhead(given: argparse.Namespace, folder: Path) -> str:
    """Measure all contenders in turn; a page with the medians."""
    write_phantom(folder / "data", patients=given.patients, seed=0, size=128)
    contenders: list[tuple[str, int, str | None]] = [("study, 1 job", 1, None), ("study, 2 jobs", 2, None)]
    if given.ray_address:
        contenders.append((f"study on Ray ({given.ray_address}), 2 jobs", 2, given.ray_address))
    bare: list[float] = []
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name, *_ in contenders}
    _bare(_config(folder, folder / "warm", given.epochs, 1, None), epochs=1)
    for turn in range(given.rounds):
        bare.append(_bare(_config(folder, folder / f"bare-{turn}", given.epochs, 1, None)))
        print(f"bare loop: {bare[-1]:.1f} s", flush=True)
        for name, jobs, address in contenders:
            place = folder / f"{name.replace(' ', '-').replace('/', '-')}-{turn}"
            found[name].append(_study(_config(folder, place, given.epochs, jobs, address), jobs))
            print(f"{name}: {found[name][-1]}", flush=True)
    base = statistics.median(bare)
    rows = [["bare loop", f"{base:.1f}", "1.00", "", ""]]
    for name, measured in found.items():
        whole, training, scheduling = (statistics.median(values) for values in zip(*measured, strict=True))
        rows.append([name, f"{whole:.1f}", f"{whole / base:.2f}", f"{training / base:.2f}", f"{scheduling:.2f}"])
    head = ["", "s", "to the bare loop", "without check and report", "scheduling, s per run"]
    about = {"losses": len(LOSSES), "folds": FOLDS, "epochs": given.epochs, "patients": given.patients}
    command = f"python benchmarks/study.py overhead --epochs {given.epochs} --rounds {given.rounds}"
    command += f" --ray-address {given.ray_address}" * bool(given.ray_address)
    parts = [_PAGE.format(**about, rounds=given.rounds), circumstances(command, packages=("unifocal", "torch", "ray"))]
    return "\n".join([*parts, markdown(head, rows)])


def _config(folder: Path, out: Path, epochs: int, jobs: int, address: str | None) -> StudyConfig:
    training = {"epochs": epochs, "threads": 1, "precision": "float32", "stop_patience": epochs}
    return StudyConfig.model_validate(
        {
            "data": {"folder": folder / "data"},
            "cache": {"folder": folder / "cache"},
            "losses": ",".join(LOSSES),
            "split": {"folds": FOLDS},
            "preprocessing": {"size": 64},
            "training": training,
            "compute": {"ray_address": address},
            "out": out,
            "jobs": jobs,
        }
    )


def _tasks(config: StudyConfig) -> list[RunTask]:
    reporter = Stopwatch()
    checked = load_data(config, out=config.out, minimum_patients=FOLDS, problems=[], reporter=reporter)
    folds = make_folds_of(config.split, checked)
    prepared = prepare_all(config, checked, reporter)
    machine = {"threads_per_run": 1, "precision": "float32"}
    runs = OuterRuns(config, checked, prepared, folds, machine)
    return [runs.task(RunKey(loss.label, fold, 0), {}) for fold in range(FOLDS) for loss in config.losses]


def _bare(config: StudyConfig, epochs: int | None = None) -> float:
    """Seconds of all trainings, one after the other."""
    prepare_process(1)
    spent = 0.0
    for task in _tasks(config):
        task.folder.mkdir(parents=True, exist_ok=True)
        seed = derive_seed(task.key.seed, task.key.fold)
        settings = task.training if epochs is None else task.training.model_copy(update={"epochs": epochs})
        start = time.perf_counter()
        fit(
            build_network(task.prepared, task.network, seed),
            build_loss(task.loss, are_regions=False),
            samples_for(task.prepared, settings, len(task.train)),
            train=task.train,
            validation=task.validation,
            settings=settings,
            seed=seed,
            folder=task.folder,
        )
        spent += time.perf_counter() - start
    return spent


def _study(config: StudyConfig, jobs: int) -> tuple[float, float, float]:
    """Seconds in all, of the stage of runs, and of scheduling per run."""
    reporter = Stopwatch()
    start = time.perf_counter()
    compare(config, command="benchmarks/study.py", reporter=reporter)
    whole = time.perf_counter() - start
    training = reporter.began["Analysing and writing the report"] - reporter.began["Training (epochs)"]
    records = (read_record(path.parent) for path in config.out.glob("runs/*/*/record.json"))
    own = sum(record["wall_seconds"] for record in records if record is not None)
    return whole, training, (training - own / min(jobs, RUNS)) / RUNS
