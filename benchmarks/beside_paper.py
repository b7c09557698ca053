"""A study beside the table of a paper: cell by cell, and whether both rank the losses alike.

python benchmarks/beside_paper.py docs/results/source_b_drive --paper docs/results/source_b/paper_drive.csv

Takes folders of studies, or of published ones. The paper's table has a row per loss and metric (`name, loss, metric,
mean, half_width`), losses as `--losses` takes them; `--instead "A" "B"` reads the paper's loss A as B; `--by-case`
takes means over cases where the paper did, and not over patients. Prints Markdown.
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
from unifocal.statistics import analyse

RESAMPLES = 10_000


def label_of(loss: str) -> str:
    """What a study calls a loss that was given like this."""
    return StudyConfig.model_validate({"losses": loss}).losses[0].label


def read(folder: Path) -> pd.DataFrame:
    """The scores of a study, or of a published one."""
    path = next(path for path in (folder / "scores.csv", folder / "scores.csv.gz") if path.is_file())
    return pd.read_csv(path, dtype={"case": str, "patient": str})


def values_of(scores: pd.DataFrame, metric: str, labels: list[str]) -> NDArray[np.float64]:
    """Values (patients, seeds, losses): each patient's mean over cases; patients that lack one are left out."""
    own = scores[(scores["metric"] == metric) & scores["loss"].isin(labels)]
    means = own.groupby(["patient", "seed", "loss"])["value"].mean().unstack("loss")[labels]
    whole = means.dropna().groupby("patient").filter(lambda rows: len(rows) == own["seed"].nunique())
    return whole.to_numpy().reshape(-1, own["seed"].nunique(), len(labels))


def agreement(values: NDArray[np.float64], paper: NDArray[np.float64], *, seeds: bool) -> tuple[float, float, float]:
    """Kendall's tau between a paper's means and those of a study, and its 95 % interval.

    Args:
        values: (patients, seeds, losses).
        paper: The means of the same losses; they stay as they are.
        seeds: Whether trainings are drawn with replacement as patients are, those of each loss by themselves.
    """
    rng = np.random.default_rng(0)
    patients, trainings, losses = values.shape
    taus = []
    for _ in range(RESAMPLES):
        drawn = values[rng.integers(0, patients, patients)].mean(axis=0)
        if seeds:
            drawn = np.take_along_axis(drawn, rng.integers(0, trainings, (trainings, losses)), axis=0)
        taus.append(stats.kendalltau(drawn.mean(axis=0), paper).statistic)
    low, high = np.quantile(taus, [0.025, 0.975])
    return float(stats.kendalltau(values.mean(axis=(0, 1)), paper).statistic), float(low), float(high)


def ranking(values: NDArray[np.float64], paper: NDArray[np.float64], title: str, units: str) -> str:
    """Whether both rank alike, in a sentence; `units` are the patients or cases that are drawn."""
    tau, low, high = agreement(values, paper, seeds=False)
    text = (
        f"Ranking of {len(paper)} losses by {title}: Kendall's tau {tau:+.2f}, 95 % interval {low:+.2f} to {high:+.2f}"
    )
    if values.shape[1] > 1:
        _, low, high = agreement(values, paper, seeds=True)
        text += f" over {units}, {low:+.2f} to {high:+.2f} over {units} and trainings"
    return text + ".\n"


def summary_of(folders: list[Path], scores: pd.DataFrame, *, by_case: bool) -> pd.DataFrame:
    """Means and intervals of all losses by loss and metric: the studies' own, over patients, or over cases."""
    own = analyse(scores).summary if by_case else pd.concat(pd.read_csv(folder / "summary.csv") for folder in folders)
    return own.set_index(["loss", "metric"])


def page(folders: list[Path], paper: pd.DataFrame, instead: dict[str, str], *, by_case: bool = False) -> str:
    """The tables of all metrics that the paper gives."""
    scores = pd.concat([read(folder) for folder in folders])
    scores = scores[scores["metric"].isin(paper["metric"])]
    if by_case:
        scores = scores.assign(patient=scores["case"])
    summary = summary_of(folders, scores, by_case=by_case)
    labels = {loss: label_of(instead.get(loss, loss)) for loss in paper["loss"].unique()}
    parts = []
    for metric, rows in paper.groupby("metric", sort=False):
        cells = []
        for row in rows.itertuples():
            ours = summary.loc[labels[str(row.loss)], metric]
            interval = f"{ours['mean']:.3f} ({ours['lower']:.3f} to {ours['upper']:.3f})"
            told = f"{row.mean:.3f} ± {row.half_width:.3f}"
            name = f"`{row.loss}`" + (f", here `{instead[str(row.loss)]}`" if row.loss in instead else "")
            cells.append([name, told, interval, f"{ours['mean'] - row.mean:+.3f}"])
        title = METRICS[str(metric)].title
        parts.append(table([title, "paper", "here", "difference"], cells))
        values = values_of(scores, str(metric), [labels[str(loss)] for loss in rows["loss"]])
        parts.append(ranking(values, rows["mean"].to_numpy(), title, "cases" if by_case else "patients"))
    return "\n".join(parts)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--paper", type=Path, required=True)
    parser.add_argument("--instead", nargs=2, action="append", default=[], metavar=("A", "B"))
    parser.add_argument("--without", nargs="*", default=[], metavar="LOSS", help="leave these out of the rankings")
    parser.add_argument("--by-case", action="store_true", help="means and intervals over cases, not over patients")
    given = parser.parse_args()
    paper = pd.read_csv(given.paper)
    kept = paper[~paper["loss"].isin(given.without)]
    print(page(given.folders, kept, dict(given.instead), by_case=given.by_case))


if __name__ == "__main__":
    main()
