"""A study beside the table of a paper: cell by cell, and whether both rank the losses alike.

python benchmarks/beside_paper.py studies/drive docs/results/source_b/paper_drive.csv

The paper's table has a row per loss and metric (`name, loss, metric, mean, half_width`), losses as `--losses` takes
them. Prints Markdown.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from report import table
from scipy import stats

from unifocal.config.schema import StudyConfig
from unifocal.metrics import METRICS

RESAMPLES = 10_000


def label_of(loss: str) -> str:
    """What a study calls a loss that was given like this."""
    return StudyConfig.model_validate({"losses": loss}).losses[0].label


def of_patients(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Each patient's mean over cases and seeds: a row per patient, a column per loss."""
    own = scores[scores["metric"] == metric]
    return own.groupby(["patient", "loss"])["value"].mean().unstack()


def agreement(values: NDArray[np.float64], paper: NDArray[np.float64]) -> tuple[float, float, float]:
    """Kendall's tau between a paper's means and those of patients (patients, losses), and its 95 % interval.

    The interval is that of patients drawn with replacement; the paper's means stay as they are.
    """
    rng = np.random.default_rng(0)
    drawn = [values[rng.integers(0, len(values), len(values))].mean(axis=0) for _ in range(RESAMPLES)]
    low, high = np.quantile([stats.kendalltau(means, paper).statistic for means in drawn], [0.025, 0.975])
    return float(stats.kendalltau(values.mean(axis=0), paper).statistic), float(low), float(high)


def page(study: Path, paper: pd.DataFrame) -> str:
    """The tables of all metrics that the paper gives."""
    scores = pd.read_csv(study / "scores.csv", dtype={"case": str, "patient": str})
    summary = pd.read_csv(study / "summary.csv").set_index(["loss", "metric"])
    labels = {loss: label_of(loss) for loss in paper["loss"].unique()}
    parts = []
    for metric, rows in paper.groupby("metric", sort=False):
        cells = []
        for row in rows.itertuples():
            ours = summary.loc[labels[str(row.loss)], metric]
            interval = f"{ours['mean']:.3f} ({ours['lower']:.3f} to {ours['upper']:.3f})"
            told = f"{row.mean:.3f} ± {row.half_width:.3f}"
            cells.append([f"`{row.loss}`", told, interval, f"{ours['mean'] - row.mean:+.3f}"])
        values = of_patients(scores, str(metric))[[labels[str(loss)] for loss in rows["loss"]]].dropna().to_numpy()
        tau, low, high = agreement(values, rows["mean"].to_numpy())
        title = METRICS[str(metric)].title
        parts.append(table([title, "paper", "here", "difference"], cells))
        parts.append(
            f"Ranking of {len(rows)} losses by {title}: Kendall's tau {tau:+.2f} ({low:+.2f} to {high:+.2f}).\n"
        )
    return "\n".join(parts)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("paper", type=Path)
    given = parser.parse_args()
    print(page(given.study, pd.read_csv(given.paper)))


if __name__ == "__main__":
    main()
