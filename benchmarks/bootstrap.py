"""How long the bootstrap takes, and all of an analysis with it.

python benchmarks/bootstrap.py
python benchmarks/bootstrap.py --patients 1000 --losses 4 --rounds 5

Every mean of a loss and every difference of two, for each metric, gets its intervals from the same resamples. Beside it
SciPy's `stats.bootstrap` for the same columns, timed on a few of them and multiplied.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from unifocal.metrics import METRICS
from unifocal.statistics import analyse
from unifocal.statistics.bootstrap import resample

_PEER_COLUMNS = 3


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median time of some rounds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def scores(values: np.ndarray, metrics: list[str]) -> pd.DataFrame:
    """The table of a study from (patients, losses, metrics)."""
    patient, loss, metric = (index.ravel() for index in np.indices(values.shape))
    names = np.array([f"case{i:04d}" for i in range(len(values))])[patient]
    units = np.array([METRICS[name].unit for name in metrics])[metric]
    return pd.DataFrame(
        {
            "loss": np.array([f"loss{i}" for i in range(values.shape[1])])[loss],
            "fold": patient % 5,
            "seed": 0,
            "case": names,
            "patient": names,
            "label": 1,
            "metric": np.array(metrics)[metric],
            "value": values.ravel(),
            "unit": units,
        }
    )


def measure(
    patients: int = 300, losses: int = 8, metrics: int = 10, resamples: int = 10_000, rounds: int = 3
) -> dict[str, float]:
    """Seconds for the intervals alone, for a whole analysis, and for SciPy's BCa intervals of the same columns."""
    rng = np.random.default_rng(0)
    names = [name for name, metric in METRICS.items() if metric.direction][:metrics]
    base = rng.beta(5, 2, (patients, 1, len(names)))
    values = np.clip(base + rng.normal(0, 0.05, (patients, losses, len(names))), 0, 1)
    pairs = list(combinations(range(losses), 2))
    first, second = np.array(pairs, dtype=int).reshape(-1, 2).T
    sheets = [np.hstack([values[:, :, k], values[:, first, k] - values[:, second, k]]) for k in range(len(names))]
    columns = np.hstack(sheets)
    margins, ranges = np.full(columns.shape[1], 0.02), np.tile([-1.0, 1.0], (columns.shape[1], 1))
    table = scores(values, names)

    def peer() -> None:
        for column in columns.T[:_PEER_COLUMNS]:
            stats.bootstrap((column,), np.mean, n_resamples=resamples, method="BCa", rng=1)

    return {
        "columns": columns.shape[1],
        "intervals_s": seconds(lambda: resample(columns, resamples, 0, margins, ranges), rounds),
        "analysis_s": seconds(lambda: analyse(table, metric=names[0], resamples=resamples), rounds),
        "scipy_s": seconds(peer, 1) * columns.shape[1] / _PEER_COLUMNS,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--losses", type=int, default=8)
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    found = measure(given.patients, given.losses, given.metrics, given.resamples, given.rounds)
    print(f"{given.resamples} resamples of {given.patients} patients, {given.losses} losses, {given.metrics} metrics")
    print(f"{found['columns']:.0f} means and differences, each with its intervals: {found['intervals_s']:.2f} s")
    print(f"the whole analysis: {found['analysis_s']:.2f} s")
    print(f"scipy.stats.bootstrap, one column after another: {found['scipy_s']:.0f} s")


if __name__ == "__main__":
    main()
