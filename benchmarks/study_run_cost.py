"""What one run of a study takes beside its training; see `study.py`."""

import argparse
from collections import defaultdict
from pathlib import Path

import pandas as pd
from report import circumstances
from report import table as markdown
from study_overhead import LOSSES, Stopwatch

from unifocal.config.schema import StudyConfig
from unifocal.data.phantom import write_phantom
from unifocal.experiments.compare import compare
from unifocal.experiments.time_spent import IDLE

FOLDS = 2
TRAINING = ("training steps", "waiting for batches", "validation")

_PAGE = """# What one run of a study takes beside its training

{runs} runs ({losses} losses x {folds} folds, {epochs} epochs each, source A's network, 128x128 pixels, one thread per
run) that test {tested} cases each, with all of a study's metrics: overlap, surface distances, lesions, probabilities.
Seconds per run from the study's own `--profile`, medians of {rounds} studies: everything but training steps, waiting
for batches and validation. Starting processes is shared by the runs of a process.
"""


def run_cost(given: argparse.Namespace, folder: Path) -> str:
    """A page with the stages of a run, at one and at two jobs."""
    write_phantom(folder / "data", patients=given.patients, seed=0, size=128)
    found: dict[int, list[dict[str, float]]] = defaultdict(list)
    for turn in range(given.rounds):
        for jobs in (1, 2):
            config = _config(folder, folder / f"{jobs}-{turn}", given.epochs, jobs)
            compare(config, command="benchmarks/study.py run", reporter=Stopwatch())
            found[jobs].append(_stages(config.out))
            print(f"{jobs} at once: {sum(found[jobs][-1].values()):.2f} s per run", flush=True)
    stages = list(dict.fromkeys(name for each in found.values() for stages in each for name in stages))
    rows = [[name, *(_median(each, name) for each in found.values())] for name in stages]
    totals = [f"{pd.Series([sum(stages.values()) for stages in each]).median():.2f}" for each in found.values()]
    scores = pd.read_csv(folder / "1-0" / "scores.csv", usecols=["loss", "fold", "case"])
    tested = sorted(scores.groupby(["loss", "fold"])["case"].nunique().unique())
    about = {"runs": len(LOSSES) * FOLDS, "losses": len(LOSSES), "folds": FOLDS, "epochs": given.epochs}
    text = _PAGE.format(**about, tested=" or ".join(map(str, tested)), rounds=given.rounds)
    kept = f" --epochs {given.epochs} --patients {given.patients} --rounds {given.rounds}"
    parts = [text, circumstances(f"python benchmarks/study.py run{kept}", packages=("unifocal", "torch", "lightning"))]
    head = ["seconds per run", *(f"{jobs} at once" for jobs in found)]
    return "\n".join([*parts, markdown(head, [*rows, ["**all**", *totals]])])


def _config(folder: Path, out: Path, epochs: int, jobs: int) -> StudyConfig:
    return StudyConfig.model_validate(
        {
            "data": {"folder": folder / "data"},
            "cache": {"folder": folder / "cache"},
            "losses": ",".join(LOSSES),
            "split": {"folds": FOLDS},
            "preprocessing": {"size": 128},
            "training": {"epochs": epochs, "threads": 1},
            "compute": {"profile": True},
            "out": out,
            "jobs": jobs,
        }
    )


def _stages(study: Path) -> dict[str, float]:
    """Seconds per run of all that is not training."""
    rows = pd.read_csv(study / "profile.csv")
    of_runs = rows[(rows["where"] == "runs") & ~rows["stage"].isin(TRAINING)].set_index("stage")["seconds"]
    idle = rows[rows["stage"] == IDLE].set_index("stage")["seconds"]
    return {str(name): seconds / (len(LOSSES) * FOLDS) for name, seconds in pd.concat([idle, of_runs]).items()}


def _median(measured: list[dict[str, float]], name: str) -> str:
    return f"{pd.Series([stages.get(name, 0.0) for stages in measured]).median():.2f}"
