"""Whether the fast ways of training leave the final Dice as it is: the same study, fast and plain.

python benchmarks/training_dice.py ../shared/data/brain_t1ce --write docs/results/training_dice.md

Plain is what a straightforward port of source A's network does: float32, PyTorch's own dropout, concatenation and its
own gradients, and the losses' plain formula. Both ways train from the same weights, on the same batches, once per seed;
a quarter of the patients is tested. Two processes, one for each way, work side by side.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from report import circumstances, table
from scipy import stats
from ways import add_options, side_by_side

from unifocal.config.schema import LossConfig, StudyConfig
from unifocal.experiments.compare import compare
from unifocal.experiments.progress import ConsoleReporter
from unifocal.experiments.time_spent import WAITING

WAYS = ("fast", "plain")
LOSSES = ("bce", "unified_focal")
_PAGE = """# The final Dice of fast and of plain training

{images} images of {tested} patients that took part neither in training nor in validation; {epochs} epochs at most,
{size}x{size}, source A's network, default settings otherwise. Plain: float32, PyTorch's dropout and concatenation,
the losses' plain formula. Fast: what the program does (bfloat16 where the processor computes in it). Mean Dice over
the tested patients, for each of {seeds} seeds, which decide weights, order of batches, augmentation and dropout.

"""


_PROFILE = """
## Where the time went

By the studies' own `--profile`, stages of a second and more. Both ways worked side by side, with one thread each.
"""


def split_file(data: Path, folder: Path) -> Path:
    """A quarter of the patients is tested, a fifth of the others validates."""
    patients = pd.read_csv(data / "cases.csv", dtype=str)["patient"].unique()
    order = np.random.default_rng(0).permutation(sorted(patients))
    tested = len(order) // 4
    validating = (len(order) - tested) // 5
    parts = ["test"] * tested + ["validation"] * validating
    parts += ["training"] * (len(order) - len(parts))
    path = folder / "split.csv"
    pd.DataFrame({"patient": order, "part": parts}).to_csv(path, index=False)
    return path


def study(given: argparse.Namespace, way: str, folder: Path) -> pd.DataFrame:
    """All scores of one way."""
    implementation = {"implementation": "formula"} if way == "plain" else {}
    settings = {
        "data": {"folder": given.data},
        "losses": tuple(LossConfig(name=name, parameters=implementation) for name in LOSSES),
        "split": {"kind": "file", "file": split_file(given.data, folder)},
        "seeds": tuple(range(given.seeds)),
        "preprocessing": {"size": (given.size, given.size)},
        "training": {"epochs": given.epochs, "threads": 1, "precision": "float32" if way == "plain" else "auto"},
        "compute": {"profile": True},
        "out": folder / way,
        "jobs": 1,
    }
    with ExitStack() as stack:
        if way == "plain":
            stack.enter_context(patch("unifocal.models.dropped_relu._by_hand", lambda _x: False))
            stack.enter_context(patch("unifocal.models.joining._is_recorded", lambda: True))
        compare(StudyConfig(**settings), command="", reporter=ConsoleReporter())
    return pd.read_csv(folder / way / "scores.csv", dtype={"patient": str})


def dice(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over patients: a row per loss, a column per seed."""
    own = scores[scores["metric"] == "dice"].assign(loss=lambda rows: rows["loss"].str.partition("(")[0])
    of_patients = own.groupby(["loss", "seed", "patient"])["value"].mean()
    return of_patients.groupby(["loss", "seed"]).mean().unstack()


def page(given: argparse.Namespace, scores: dict[str, pd.DataFrame], spent: str, command: str) -> str:
    """What was found, how far chance reaches, and where the time went."""
    found = {way: dice(each) for way, each in scores.items()}
    rows, told = [], []
    for loss in LOSSES:
        for way in WAYS:
            values = found[way].loc[loss]
            spread = f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"
            rows.append([f"`{loss}`, {way}", *(f"{value:.3f}" for value in values), spread])
        difference = found["fast"].loc[loss] - found["plain"].loc[loss]
        error = difference.std(ddof=1) / len(difference) ** 0.5
        reach = stats.t.ppf(0.975, len(difference) - 1) * error
        told.append(
            f"- `{loss}`: fast minus plain {difference.mean():+.3f}, 95 % interval over seeds "
            f"{difference.mean() - reach:+.3f} to {difference.mean() + reach:+.3f}"
        )
    tested = scores["fast"]
    head = ["", *(f"seed {seed}" for seed in range(given.seeds)), "mean ± deviation"]
    sizes = {"images": tested["case"].nunique(), "tested": tested["patient"].nunique()}
    text = _PAGE.format(epochs=given.epochs, size=given.size, seeds=given.seeds, **sizes)
    parts = [f"{text}{circumstances(command)}\n{table(head, rows)}\n" + "\n".join(told), _PROFILE, spent]
    return "\n".join(parts)


def time_spent(folder: Path) -> str:
    """Where each way's time went, the longest stages of the plain way first."""
    read = {way: pd.read_csv(folder / way / "profile.csv") for way in WAYS}
    seconds = pd.DataFrame(
        {way: rows[rows["stage"] != WAITING].groupby("stage")["seconds"].sum() for way, rows in read.items()}
    )
    seconds = seconds.fillna(0).sort_values("plain", ascending=False)
    seconds.loc["**all**"] = seconds.sum()
    rows = [
        [str(stage), f"{plain:.1f}", f"{fast:.1f}", f"{plain / fast:.2f}" if fast >= 1 else ""]
        for stage, plain, fast in zip(seconds.index, seconds["plain"], seconds["fast"], strict=True)
        if max(plain, fast) >= 1
    ]
    return table(["stage", "plain, s", "fast, s", "plain to fast"], rows)


def main() -> None:
    """Run both ways side by side, and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, WAYS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--size", type=int, default=64)
    given = parser.parse_args()
    if given.way:
        study(given, given.way, given.folder)
        return
    with side_by_side(__file__, parser, given, WAYS, ("seeds", "epochs", "size")) as (folder, command):
        scores = {way: pd.read_csv(folder / way / "scores.csv", dtype={"patient": str}) for way in WAYS}
        text = page(given, scores, time_spent(folder), command)
    print(text)
    if given.write:
        given.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
