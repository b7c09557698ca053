"""What of a finished study goes into docs/results: its small files, and the facts and tables for its page.

python benchmarks/publish.py studies/drive docs/results/source_b_drive --commit 0d77f73 --figures distribution

Copies the scores (compressed), the summaries, the runs' epochs, the settings as `--config` takes them, and figures;
prints Markdown.
"""

import argparse
import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from unifocal.config.resolve import settings_of_record

FILES = ("summary.csv", "comparison.csv", "pooled.csv", "race.csv", "tuning.csv")
FIGURES = ("distribution", "training_curves", "precision_recall")
TABLES = ("paper",)
OF_RUNS = ["loss", "fold", "seed", "status", "epochs", "best_epoch", "wall_seconds"]


def publish(study: Path, target: Path, figures: list[str], commit: str) -> str:
    """Copy the files, and return what the page says of them.

    Args:
        study: A finished study.
        target: The folder for its files; the page beside it has its name.
        figures: By name.
        commit: Of this repository, that the study was run with.
    """
    target.mkdir(parents=True, exist_ok=True)
    scores = (study / "scores.csv").read_bytes()
    (target / "scores.csv.gz").write_bytes(gzip.compress(scores, 9, mtime=0))
    for name in FILES:
        if (study / name).is_file():
            shutil.copyfile(study / name, target / name)
    for name in figures:
        shutil.copyfile(study / "figures" / f"{name}.svg", target / f"{name}.svg")
    runs = all_runs(study)
    runs.to_csv(target / "runs.csv", index=False)
    told = yaml.safe_load((study / "study.yaml").read_text(encoding="utf-8"))
    (target / "config.yaml").write_text(yaml.safe_dump(portable(told), sort_keys=False), encoding="utf-8")
    parts = [
        "```sh",
        told["command"],
        "```",
        "",
        facts(told | {"commit": commit}, runs, trials(study), scores, target.name),
        "",
    ]
    parts += [f"![{name.replace('_', ' ')}]({target.name}/{name}.svg)" for name in figures]
    for name in TABLES:
        parts += ["", (study / "tables" / f"{name}.md").read_text(encoding="utf-8")]
    return "\n".join(parts)


def portable(told: dict[str, Any]) -> dict[str, Any]:
    """The settings without where this machine kept things, and with the precision that it had.

    Data and results are named on the command line.
    """
    config = settings_of_record(told)
    config["training"] = config["training"] | {"precision": told["machine"]["precision"]}
    config["data"] = config["data"] | {"folder": None}
    if "cache" in config:
        config["cache"] = config["cache"] | {"folder": None}
    return config


def all_runs(study: Path) -> pd.DataFrame:
    """Every run: how it ended, its epochs, the one whose weights were kept, and its time."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in study.glob("runs/*/*/record.json")]
    return pd.DataFrame(records)[OF_RUNS].sort_values(OF_RUNS[:3])


def trials(study: Path) -> float:
    """The seconds that trials of a tuned study took."""
    path = study / "tuning.csv"
    return float(pd.read_csv(path)["seconds"].sum()) if path.is_file() else 0


def facts(told: dict[str, Any], runs: pd.DataFrame, tuning: float, scores: bytes, folder: str) -> str:
    """Data, hashes, machine and time, as a table."""
    data, machine, split = told["data"], told["machine"], told["split"]
    tuned = f", and {tuning / 60:.0f} of trials" if tuning else ""
    seconds = runs["wall_seconds"].sum()
    linked = {name: f"[{name}]({folder}/{name})" for name in ("scores.csv.gz", *FILES[:3], "runs.csv", "config.yaml")}
    people = f"{data['cases']} images of {data['patients']} patients"
    python = f"torch {told['versions']['torch']}, Python {told['versions']['python']}"
    where = f"{machine['cores']} cores, {machine['precision']}, {machine['threads_per_run']} thread per run"
    rows = {
        "Data": f"{people}; {data['foreground_percent']:.2g} % foreground",
        "Hash of the files": f"`{data['hash']}`",
        "Hash of the split": f"`{split['hash']}`",
        "Versions": f"unifocal {told['unifocal']} at commit {told['commit']}, {python}",
        "Machine": f"{where}; {len(runs)} runs, {seconds / 60:.0f} minutes of run time in all{tuned}",
        "`scores.csv`": f"SHA-256 `{hashlib.sha256(scores).hexdigest()}`; compressed: {linked['scores.csv.gz']}",
        "All metrics, all pairs": ", ".join(linked[name] for name in FILES[:3]),
        "Epochs of each run": f"{linked['runs.csv']}, counted from 0",
        "Settings": linked["config.yaml"],
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def main() -> None:
    """Publish and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--figures", nargs="*", default=list(FIGURES))
    parser.add_argument("--commit", required=True, help="of this repository, that the study was run with")
    given = parser.parse_args()
    print(publish(given.study, given.target, given.figures, given.commit))


if __name__ == "__main__":
    main()
