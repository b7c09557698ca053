"""What the faults of source A's evaluation are worth: the same trainings, judged soundly and as it did.

python benchmarks/evaluation_faults.py ../shared/data/brain_t1ce --write docs/results/evaluation_faults.md

Folds over patients, folds over images, folds over images with the weights of one fold going on into the next, and the
first two once more with as many epochs in each fold as the weights that were carried over have seen in it: one, two,
... times as many. Each way has a process of its own; with --folder they can be continued.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from beside_studies import difference, labels_of
from numpy.typing import NDArray
from PIL import Image
from report import circumstances, table
from ways import add_options, side_by_side

from unifocal.config.schema import StudyConfig
from unifocal.experiments import run
from unifocal.experiments.compare import compare
from unifocal.experiments.folder import WEIGHTS, RunKey
from unifocal.experiments.progress import ConsoleReporter
from unifocal.metrics import score_case
from unifocal.models import load_bundle
from unifocal.statistics import analyse

WAYS = {
    "patients": "folds over patients",
    "images": "folds over images",
    "carried": "folds over images, weights carried over",
    "longer": "folds over patients, as long",
    "longer_images": "folds over images, as long",
}
# What is compared with what: the faults at as many epochs per fold, then at as many as the carried weights have seen:
# drawing over images, carrying over, and both.
PAIRS = (
    ("images", "patients"),
    ("carried", "patients"),
    ("longer_images", "longer"),
    ("carried", "longer_images"),
    ("carried", "longer"),
)
LOSSES = "bce,focal"
RESAMPLES, RESAMPLES_OF_DISTANCES = 10_000, 500
_COUNTS = ["true_positives", "false_positives", "false_negatives"]
Draws = NDArray[np.float64]
Mask = NDArray[np.bool_]
Unions = dict[str, tuple[Mask, Mask]]

_PAGE = """# What the faults of source A's evaluation are worth

Source A drew its folds over images, so that slices of one patient stand on both sides; created its network once, so
that weights went from fold to fold into images that they had seen; gave pooled figures; and took the Hausdorff distance
over the coordinates of all test images at once. The same trainings were done in five ways: {ways}.

Otherwise as source A: skulls stripped its way, its network at {size}x{size}, Adam 0.001, batches of {batch},
{epochs} epochs per fold, no augmentation, {folds} folds; but of each fold's epochs the one with the lowest validation
loss is kept, and carried over, as everywhere here. "As long": up to as many epochs as the carried weights have seen in
that fold ({long}), ended after 20 without a lower validation loss. {images} images of {patients}
patients, one seed, default parameters of the losses.

"""


@contextmanager
def carried_over() -> Iterator[None]:
    """Meanwhile, a run begins with the weights that its loss ended with in the fold before."""
    train: Callable[..., Any] = run._train  # noqa: SLF001
    build = run.build_network

    def train_on(task: run.RunTask, on_epoch: Callable[..., None]) -> Any:
        def begun(*given: Any) -> Any:
            network = build(*given)
            if task.key.fold:
                before = task.study / RunKey(task.key.loss, task.key.fold - 1, task.key.seed).place / WEIGHTS
                network.load_state_dict(load_bundle(before)[0].state_dict())
            return network

        with patch.object(run, "build_network", begun):
            return train(task, on_epoch)

    with patch.object(run, "_train", train_on):
        yield


@contextmanager
def as_long(epochs: int) -> Iterator[None]:
    """Meanwhile, a run trains for as many epochs as weights that are carried over have seen in its fold."""
    train: Callable[..., Any] = run._train  # noqa: SLF001

    def train_on(task: run.RunTask, on_epoch: Callable[..., None]) -> Any:
        longer = task.training.model_copy(update={"epochs": epochs * (task.key.fold + 1)})
        return train(replace(task, training=longer), on_epoch)

    with patch.object(run, "_train", train_on):
        yield


def study(given: argparse.Namespace, way: str) -> None:
    """Train and score in one way."""
    is_longer = way.startswith("longer")
    # The most that any fold has, for the record and the progress.
    most = given.epochs * (given.folds if is_longer else 1)
    training = {"epochs": most, "batch_size": given.batch, "augmentation": "none", "threads": 1}
    config = StudyConfig.model_validate(
        {
            "data": {"folder": given.data},
            "losses": given.losses,
            "split": {"folds": given.folds, "by": "patient" if way in {"patients", "longer"} else "image"},
            "preprocessing": {"size": given.size, "intensity": "unit", "skull_strip": "source_a"},
            "training": training,
            "out": given.folder / way,
            "jobs": 1,
        }
    )
    with carried_over() if way == "carried" else as_long(given.epochs) if is_longer else nullcontext():
        compare(config, command="", reporter=ConsoleReporter())


def pooled_dice(counts: pd.DataFrame) -> float:
    """Dice of the pixels of all cases together."""
    tp, fp, fn = counts[_COUNTS].sum()
    return float(2 * tp / (2 * tp + fp + fn))


def pooled_draws(counts: pd.DataFrame, weights: Draws) -> Draws:
    """The same for patients drawn with replacement: `weights` (draws, patients) says how often each was drawn."""
    tp, fp, fn = (weights @ counts.groupby("patient")[name].sum().to_numpy() for name in _COUNTS)
    return np.asarray(2 * tp / (2 * tp + fp + fn))


def pooled_hausdorff(truths: list[Mask], found: list[Mask]) -> float:
    """The Hausdorff distance, in pixels, between the coordinates of all images' pixels as if they were of one image."""
    truth, prediction = (_union(masks).astype(np.uint8) for masks in (truths, found))
    scores = score_case(truth, prediction, None, (1,))
    return next(score.value for score in scores if score.metric == "hausdorff")


def wide(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per loss and case."""
    return scores.pivot(index=["loss", "fold", "case", "patient"], columns="metric", values="value").reset_index()


def by_fold(given: argparse.Namespace, scores: dict[str, pd.DataFrame]) -> str:
    """Pooled Dice of each fold, as source A counted."""
    rows = []
    for way, name in WAYS.items():
        for loss, own in wide(scores[way]).groupby("loss"):
            folds = [f"{pooled_dice(part):.3f}" for _, part in own.groupby("fold")]
            rows.append([f"{name}, `{loss}`", *folds, f"{pooled_dice(own):.3f}"])
    return table(["pooled Dice", *(f"fold {fold + 1}" for fold in range(given.folds)), "all"], rows)


def differences(given: argparse.Namespace, scores: dict[str, pd.DataFrame]) -> tuple[str, str]:
    """The means of all ways, and differences between two, with intervals over patients."""
    patients = sorted(scores["patients"]["patient"].unique())
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(patients), np.full(len(patients), 1 / len(patients)), RESAMPLES).astype(np.float64)
    means, rows = [], []
    for loss in labels_of(given.losses):
        own = {way: each[each["loss"] == loss] for way, each in scores.items()}
        together = pd.concat([each.assign(loss=way, fold=0) for way, each in own.items()])
        analysis = analyse(together, noun="method")
        summary = analysis.summary.query("metric == 'dice'").set_index("loss")
        comparison = analysis.comparison.query("metric == 'dice'")
        pooled = {way: pooled_dice(wide(each)) for way, each in own.items()}
        draws = {way: pooled_draws(wide(each), weights) for way, each in own.items()}
        for way, name in WAYS.items():
            mean = summary.loc[way]
            told = f"{mean['mean']:.3f} ({mean['lower']:.3f} to {mean['upper']:.3f})"
            means.append([f"`{loss}`, {name}", told, f"{pooled[way]:.3f}"])
        for way, base in PAIRS:
            cells = [f"`{loss}`, {WAYS[way]} minus {WAYS[base]}", difference(comparison, way, base)]
            low, high = np.quantile(draws[way] - draws[base], [0.025, 0.975])
            rows.append([*cells, f"{pooled[way] - pooled[base]:+.3f} ({low:+.3f} to {high:+.3f})"])
    head = ["mean Dice of patients", "pooled Dice"]
    return table(["", *head], means), table(["difference", *head], rows)


def carrying_over(given: argparse.Namespace, scores: dict[str, pd.DataFrame]) -> str:
    """What carried weights gain on fresh ones fold by fold: the two ways test the same images in each."""
    rows = []
    for loss in labels_of(given.losses):
        cells = []
        for fold in range(given.folds):
            own = [scores[way][scores[way]["loss"] == loss].assign(loss=way) for way in ("carried", "longer_images")]
            together = pd.concat(own).groupby("fold").get_group(fold)
            comparison = analyse(together, noun="method").comparison.query("metric == 'dice'")
            cells.append(difference(comparison, "carried", "longer_images"))
        rows.append([f"`{loss}`", *cells])
    head = f"{WAYS['carried']} minus {WAYS['longer_images']}, mean Dice of patients"
    return table([head, *(f"fold {fold + 1}" for fold in range(given.folds))], rows)


def epochs_of(given: argparse.Namespace) -> str:
    """Which epoch's weights each fold kept, of how many, and their validation Dice beside the highest."""
    rows = []
    for way, name in WAYS.items():
        for loss in labels_of(given.losses):
            cells = []
            for fold in range(given.folds):
                history = pd.read_csv(given.folder / way / RunKey(loss, fold, 0).place / "history.csv")
                kept, dice = history["validation_loss"].idxmin(), history["validation_dice"]
                cells.append(f"{kept + 1} of {len(history)}: {dice[kept]:.2f} of {dice.max():.2f}")
            rows.append([f"{name}, `{loss}`", *cells])
    return table(["epoch kept, its validation Dice", *(f"fold {fold + 1}" for fold in range(given.folds))], rows)


def distances(given: argparse.Namespace, scores: dict[str, pd.DataFrame]) -> str:
    """Hausdorff distances of images, and of pooled coordinates."""
    patients = sorted(scores["patients"]["patient"].unique())
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(patients), np.full(len(patients), 1 / len(patients)), RESAMPLES_OF_DISTANCES)
    rows = []
    for way, name in WAYS.items():
        for loss in labels_of(given.losses):
            own = wide(scores[way]).query("loss == @loss")
            places = [given.folder / way / RunKey(loss, fold, 0).place / "predictions" for fold in range(given.folds)]
            folds = [unions(given.data, place, own.query("fold == @at")) for at, place in enumerate(places)]
            pooled, mean = over_folds(folds, patients), own["hausdorff"].mean()
            images = own.groupby("patient")["hausdorff"].agg(["sum", "count"]).reindex(patients, fill_value=0)
            means = (weights @ images["sum"].to_numpy()) / (weights @ images["count"].to_numpy())
            draws = [np.nanmean(over_folds(folds, np.asarray(patients)[drawn > 0])) for drawn in weights]
            low, high = np.quantile(draws - means, [0.025, 0.975])
            gain = f"{np.nanmean(pooled) - mean:+.0f} ({low:+.0f} to {high:+.0f})"
            missed = int((own["true_positives"] + own["false_positives"] == 0).sum())
            told = f"{np.nanmean(pooled):.1f} ({', '.join(f'{value:.0f}' for value in pooled)})"
            rows.append([f"{name}, `{loss}`", f"{mean:.1f}", str(missed), told, gain])
    head = ["Hausdorff distance, pixels", "mean of images", "nothing found", "over pooled coordinates (of each fold)"]
    return table([*head, "pooled minus mean"], rows)


def unions(data: Path, predictions: Path, part: pd.DataFrame) -> Unions:
    """The pixels of all images of a patient in a fold as if they were of one: of the truth, and found."""
    union: Unions = {}
    for patient, own in part.groupby("patient"):
        found = [np.asarray(Image.open(predictions / f"{case}.png")) > 0 for case in own["case"]]
        union[str(patient)] = (_union([_truth(data, case) for case in own["case"]]), _union(found))
    return union


def over_folds(folds: list[Unions], patients: Iterable[str]) -> list[float]:
    """The pooled distance of these patients in each fold; not a number in a fold that tests none of them."""
    wanted = set(patients)
    own = [[pair for patient, pair in fold.items() if patient in wanted] for fold in folds]
    return [pooled_hausdorff(*map(list, zip(*pairs, strict=True))) if pairs else np.nan for pairs in own]


def _union(masks: list[Mask]) -> Mask:
    size = tuple(np.max([mask.shape for mask in masks], axis=0))
    union = np.zeros(size, dtype=bool)
    for mask in masks:
        union[: mask.shape[0], : mask.shape[1]] |= mask
    return union


def _truth(data: Path, case: str) -> Mask:
    (path,) = (data / "masks").glob(f"{case}.*")
    return np.asarray(Image.open(path).convert("L")) > 0


def cases(scores: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What the figures were counted from: a row per way, loss and case."""
    kept = ["loss", "fold", "case", "patient", "dice", *sorted([*_COUNTS, "hausdorff"])]
    return pd.concat([wide(each)[kept].assign(way=way) for way, each in scores.items()])[["way", *kept]]


def page(given: argparse.Namespace, scores: dict[str, pd.DataFrame], command: str) -> str:
    """What was found."""
    sound = scores["patients"]
    told = {
        "images": sound["case"].nunique(),
        "patients": sound["patient"].nunique(),
        "ways": "; ".join(WAYS.values()),
        "long": ", ".join(str(given.epochs * (fold + 1)) for fold in range(given.folds)),
    }
    text = _PAGE.format(size=given.size, batch=given.batch, epochs=given.epochs, folds=given.folds, **told)
    parts = [text + circumstances(command, packages=("unifocal", "torch")), by_fold(given, scores)]
    means, differing = differences(given, scores)
    intervals = (
        f"With 95 % intervals over patients (of pooled figures: {RESAMPLES:,} bootstrap resamples of patients). "
        "One training each: another seed is not in the intervals."
    )
    missed = (
        "An image in which nothing was found counts with its diagonal in the mean of images; pooled, nobody sees it. "
        f"Intervals of pooled minus mean: {RESAMPLES_OF_DISTANCES} bootstrap resamples of patients, "
        "which are rough for a largest distance."
    )
    tables = [means, differing, carrying_over(given, scores), epochs_of(given), distances(given, scores)]
    return "\n".join([*parts, f"{intervals}\n", *tables, missed + "\n"])


def main() -> None:
    """Run all ways side by side, and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, WAYS)
    parser.add_argument("--losses", default=LOSSES, help="names, without parameters")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--folds", type=int, default=5)
    given = parser.parse_args()
    if given.way:
        study(given, given.way)
        return
    deciding = ("losses", "epochs", "size", "batch", "folds")
    with side_by_side(__file__, parser, given, WAYS, deciding) as (folder, command):
        given.folder = folder
        scores = {way: pd.read_csv(folder / way / "scores.csv", dtype={"case": str, "patient": str}) for way in WAYS}
        text = page(given, scores, command)
    print(text)
    if given.write:
        given.write.write_text(text, encoding="utf-8")
        table_of_cases = given.write.with_suffix("") / "cases.csv"
        table_of_cases.parent.mkdir(exist_ok=True)
        cases(scores).to_csv(table_of_cases, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
