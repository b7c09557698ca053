"""How often verdicts and intervals are right, on studies drawn at random of which the truth is known.

python benchmarks/verdict_simulations.py --write docs/results/verdict_simulations.md
python benchmarks/verdict_simulations.py --quick

It takes about 20 minutes of one core. Every row is kept in --kept when it is done, so an interrupted run continues
with the next.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from report import circumstances
from report import table as markdown
from scipy.stats import ttest_1samp
from verdict_models import DIFFERENCES, MEANS, dice_like, table

from unifocal.statistics import analyse
from unifocal.statistics.bootstrap import intervals, resampled_means
from unifocal.statistics.paired import sign_test, signed_rank
from unifocal.statistics.retraining import retrained
from unifocal.statistics.sign_flips import flip_tests

Floats = NDArray[np.float64]
Row = list[str]

_INTRODUCTION = """# How often verdicts and intervals are right

Studies drawn at random, of which the truth is known; `benchmarks/verdict_models.py` says how. Behind each share stands
its standard error. What follows from these numbers is in [decision 0009](../decisions/0009-verdict.md).
"""

_LOSSES = 8
_RESAMPLES = 2000
_CHUNK = 250
_NO_BOUNDS = (-np.inf, np.inf)


def percent(share: float, n: int) -> str:
    """A share with the standard error of its estimate."""
    return f"{100 * share:.1f} ± {100 * np.sqrt(max(share * (1 - share), 1 / n) / n):.1f}"


def seeded(*numbers: int) -> np.random.Generator:
    """Random numbers that depend on the row alone."""
    return np.random.default_rng(numbers)


def claims(studies: int, n: int, *, seeds: int = 1, folds: int = 5, between: float = 0.0) -> tuple[float, float]:
    """The share of studies without a difference whose verdict claims one, and one for more than these networks."""
    found = beyond = 0
    for study in range(studies):
        rng = seeded(1, study, n, seeds, folds, round(1e4 * between))
        dice = dice_like(rng, n, _LOSSES, seeds=seeds, folds=folds, between_trainings=between)
        verdict = analyse(table(dice, folds), resamples=20, seed=study).verdict
        found += bool(verdict.told_apart)
        beyond += bool(verdict.told_apart) and "these trained networks" not in verdict.sentence
    return found / studies, beyond / studies


def no_difference(studies: int, n: int) -> Row:
    """Verdicts among 8 losses that are all alike."""
    return [f"{n}", f"{studies}", percent(claims(studies, n)[0], studies)]


def trained(studies: int, between: float, folds: int, seeds: int) -> Row:
    """The same, with networks that turn out a little better or worse each time."""
    shares = claims(studies, 50, seeds=seeds, folds=folds, between=between)
    return [f"{between}", f"{folds}", f"{seeds}", *(percent(share, studies) for share in shares)]


def coverage(repetitions: int, kind: str, name: str, n: int) -> Row:
    """How often 95 % intervals hold the true mean, or mean difference."""
    shapes, bounds = (MEANS, (0.0, 1.0)) if kind == "means" else (DIFFERENCES, _NO_BOUNDS)
    draw, mean = shapes[name]
    hits: dict[str, int] = dict.fromkeys(("shown", "bca", "percentile"), 0)
    for chunk in range(0, repetitions, _CHUNK):
        values = draw(seeded(2, list(shapes).index(name), n, chunk, kind == "means"), (n, _CHUNK))
        found = intervals(values, resampled_means(values, _RESAMPLES, chunk), np.tile(bounds, (_CHUNK, 1)))
        for which in hits:
            low, high = getattr(found, which).T
            hits[which] += int(np.sum((low <= mean) & (mean <= high)))
    return [name, f"{n}", *(percent(hit / repetitions, repetitions) for hit in hits.values())]


def power(repetitions: int, name: str, *, is_shifted: bool) -> Row:
    """How often each test finds a difference of 0.02 in 50 patients; or one of nothing."""
    draw, mean = DIFFERENCES[name]
    values = draw(seeded(3, list(DIFFERENCES).index(name)), (50, repetitions)) - (0.0 if is_shifted else mean)
    tests = flip_tests(values, 0, 9_999)
    ranks = [signed_rank(column) for column in values.T]
    agree = np.sign([each.effect_size for each in ranks]) == np.sign(values.mean(axis=0))
    means = resampled_means(values, _RESAMPLES, 0)
    low, high = intervals(values, means, np.tile(_NO_BOUNDS, (repetitions, 1))).shown.T
    is_clear = (low > 0) | (high < 0)
    p = (
        np.where(agree | is_clear, tests.either, 1.0),
        np.where(is_clear, tests.either, 1.0),
        np.array([each.p for each in ranks]),
        tests.mean,
        ttest_1samp(values, 0).pvalue,
        np.array([sign_test(column) for column in values.T]),
    )
    return [name, *(percent(float(np.mean(each < 0.05)), repetitions) for each in p)]


def repeated(repetitions: int, between: float, seeds: int) -> Row:
    """How often a difference of 0.02 is found in 50 patients and 5 folds whose networks vary, and one of nothing."""
    folds = np.arange(50) % 5
    found = {size: np.zeros(2) for size in (0.02, 0.0)}
    for size, shares in found.items():
        for start in range(0, repetitions, _CHUNK):
            rng = seeded(4, start, seeds, round(1e4 * between), round(1e4 * size))
            luck = np.sqrt(2) * between * rng.normal(size=(5, seeds, _CHUNK))[folds]
            apart = size + 0.05 * rng.normal(size=(50, 1, _CHUNK)) + 0.03 * rng.normal(size=luck.shape) + luck
            mean = apart.mean(axis=1)
            again = [retrained(mean[:, k], apart[:, :, k], folds).p for k in range(_CHUNK)]
            p = flip_tests(mean, start, 4_999).either
            shares += [np.sum(p < 0.05), np.sum(np.fmax(p, again) < 0.05)]
    shown = [percent(float(share) / repetitions, repetitions) for shares in found.values() for share in shares]
    return [f"{between}", f"{seeds}", *shown]


@dataclass(frozen=True)
class Table:
    """One table: its text, its head, and how each row is found, under a name that is its own."""

    title: str
    text: str
    head: Row
    rows: dict[str, Callable[[], Row]]


def tables(*, quick: bool) -> list[Table]:
    """All tables, with few repetitions or many."""
    studies, fewer, repetitions = (4, 1, _CHUNK) if quick else (1000, 300, 4000)
    tests = ["verdict, %", "of the mean, %", "signed-rank, %", "permutation of the mean, %", "t, %", "sign, %"]
    trainings = [*product((0.01,), (5, 1), (1, 2, 3, 5)), *product((0.02,), (5,), (1, 2, 3, 5))]
    return [
        Table(
            "No difference",
            "8 losses, none better; their Dice are alike in each patient; small lesions scatter more and are sometimes "
            "missed. The verdict may claim a difference in at most 5 % of the studies. (With 10 patients and 28 pairs "
            "no difference could be told apart, and the verdict says so.)",
            ["patients", "studies", "verdicts that claim one, %"],
            {f"no_difference {n}": partial(no_difference, studies, n) for n in (10, 30, 50, 100)},
        ),
        Table(
            "Trainings",
            "8 losses, none better, 50 patients, but every network adds its own luck to the patients of its fold.",
            ["sd between trainings", "folds", "seeds", "verdicts that claim one, %", "not only of these networks, %"],
            {f"trainings {between} {f} {s}": partial(trained, fewer, between, f, s) for between, f, s in trainings},
        ),
        Table(
            "Two losses and several seeds",
            "50 patients, 5 folds: how often a difference of 0.02, and one of 0, is told apart at 5 % by the test over "
            "patients alone, and by it and the t test over trainings together, as the verdict demands. With one seed "
            "there is nothing for the second test to see.",
            ["sd between trainings", "seeds", "0.02: patients, %", "verdict, %", "0: patients, %", "verdict, %"],
            {
                f"repeated {between} {seeds}": partial(repeated, repetitions, between, seeds)
                for between, seeds in product((0.0, 0.01, 0.02), (1, 2, 3, 5))
            },
        ),
        *(
            Table(
                f"Coverage of {kind}",
                f"How often the 95 % interval holds the true {what}.",
                ["shape", "patients", "shown, %", "BCa, %", "percentile, %"],
                {
                    f"coverage {kind} {name} {n}": partial(coverage, repetitions, kind, name, n)
                    for name, n in product(shapes, (30, 100, 300))
                },
            )
            for kind, what, shapes in (
                ("means", "mean Dice", MEANS),
                ("differences", "mean of paired differences", DIFFERENCES),
            )
        ),
        Table(
            "A difference of 0.02 in 50 patients",
            "How often two losses are told apart at 5 %, by the verdict's rule and by each test alone. Of the mean: "
            "without the remark that the difference of the means may be chance.",
            ["differences", *tests],
            {f"power True {name}": partial(power, repetitions, name, is_shifted=True) for name in DIFFERENCES},
        ),
        Table(
            "The same with a mean of 0",
            "Where differences are not symmetric, a mean of 0 still leaves one loss better on most patients. The ranks "
            "see that; the verdict then says better on most patients, while the difference of the means may be chance.",
            ["differences", *tests],
            {f"power False {name}": partial(power, repetitions, name, is_shifted=False) for name in DIFFERENCES},
        ),
    ]


def measure(kept: Path, *, quick: bool) -> dict[str, list[Row]]:
    """All rows of all tables, those of an earlier run from its file."""
    done: dict[str, Row] = {}
    if kept.is_file():
        done = dict(json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines())
    kept.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[Row]] = {}
    for each in tables(quick=quick):
        for name, row in each.rows.items():
            if name not in done:
                start = time.perf_counter()
                done[name] = row()
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([name, done[name]]) + "\n")
                print(f"{name}: {done[name]} ({time.perf_counter() - start:.0f} s)", flush=True)
        found[each.title] = [done[name] for name in each.rows]
    return found


def page(found: dict[str, list[Row]], command: str) -> str:
    """The tables with what they show."""
    shown = [
        f"## {each.title}\n\n{each.text}\n\n{markdown(each.head, found[each.title])}" for each in tables(quick=True)
    ]
    return "\n".join([_INTRODUCTION, circumstances(command, packages=("unifocal", "numpy", "scipy")), *shown])


def main() -> None:
    """Draw the studies and print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few studies of each kind, to see that it runs")
    parser.add_argument("--kept", type=Path, default=None, help="where finished rows are kept")
    parser.add_argument("--write", type=Path, help="write the tables to this file")
    given = parser.parse_args()
    kept = given.kept or Path("studies") / f"verdict_simulations{'_quick' if given.quick else ''}.jsonl"
    command = "python benchmarks/verdict_simulations.py" + (" --quick" if given.quick else "")
    text = page(measure(kept, quick=given.quick), command)
    if given.write:
        given.write.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
