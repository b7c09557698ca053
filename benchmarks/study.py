"""What a race spares and changes, and what a study and one of its runs cost beside their trainings.

python benchmarks/study.py race --write docs/results/study_race.md
python benchmarks/study.py overhead --write docs/results/study_overhead.md
python benchmarks/study.py overhead --ray-address local
python benchmarks/study.py run --write docs/results/study_run_cost.md

`race` draws studies from recorded and from invented scores and trains nothing; it takes half an hour of one core.
`overhead` trains: the same twelve short runs in a bare loop and as a study, in turn. `run` trains eight runs and says
what each took beside its training. Run these two on a machine that does nothing else.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from report import circumstances
from report import table as markdown
from study_overhead import overhead
from study_run_cost import run_cost
from verdict_models import dice_like, table

from unifocal.statistics import Analysis, analyse
from unifocal.statistics.racing import Race

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator], Floats]

RESULTS = Path(__file__).parents[1] / "docs" / "results"
FLIPS = 19_999

_RACE = """# What a race spares, and what it changes

Studies of five folds with one seed, drawn at random: with the full budget, and as a race (`compare --race`, error
0.05) on the same scores. Recorded: patients drawn with replacement from the studies of this folder (`dice.csv`: each
patient's mean Dice under each loss). Alike: the same with the losses swapped at random in each patient, so that none is
better. Invented: `dice_like` of `benchmarks/verdict_models.py`, all losses alike or one better than all others by the
difference that is named. Nothing was trained.

Budget: runs done of all runs. Another best loss: the race's verdict names another one than the full study's. Verdict
changed: another best loss, or one that the full study shows to be worse than the best and the race does not, or the
other way round; a loss that left counts as shown to be worse. Claims: studies in which any loss is shown to be worse
than another, in the verdict or by leaving.
"""


def recorded() -> dict[str, Floats]:
    """Patients by losses, of every study that keeps them."""
    found = {path.parent.name: pd.read_csv(path, index_col="patient") for path in sorted(RESULTS.glob("*/dice.csv"))}
    return {name: each.to_numpy(dtype=np.float64) for name, each in found.items()}


def resampled(values: Floats, *, is_alike: bool) -> Draw:
    """Studies of as many patients, drawn with replacement."""

    def draw(rng: np.random.Generator) -> Floats:
        drawn = values[rng.integers(0, len(values), len(values))]
        return rng.permuted(drawn, axis=1) if is_alike else drawn

    return draw


def invented(patients: int, losses: int, better: float) -> Draw:
    """Studies of which one loss is better by a given difference, and all others are alike."""

    def draw(rng: np.random.Generator) -> Floats:
        dice: Floats = dice_like(rng, patients, losses)[:, 0]
        dice[:, 1:] -= better
        return np.clip(dice, 0.0, 1.0)

    return draw


def scenarios() -> Iterator[tuple[str, str, Draw]]:
    """Name, whether it is about sparing or about changing, and how a study is drawn."""
    for name, values in recorded().items():
        yield f"{name}: {values.shape[1]} losses, {len(values)} patients", "recorded", resampled(values, is_alike=False)
        yield f"{name}, alike", "recorded", resampled(values, is_alike=True)
    for losses in (4, 8):
        for patients in (24, 60):
            name = f"{losses} losses, {patients} patients"
            for better in (0.0, 0.05, 0.15):
                what = f"one better by {better:g}" if better else "alike"
                yield f"{name}, {what}", "invented", invented(patients, losses, better)


def race(scores: pd.DataFrame, rounds: int = 5) -> tuple[Race, pd.DataFrame]:
    """A race over recorded scores: who left, and the scores of the runs that it did."""
    losses = tuple(dict.fromkeys(scores["loss"]))
    found = Race(losses, rounds=rounds, metric="dice", label=1, flips=FLIPS)
    done = scores.iloc[:0]
    for fold in range(rounds):
        done = pd.concat([done, scores[(scores["fold"] == fold) & scores["loss"].isin(found.racing)]])
        found.look(done)
        if found.is_decided:
            break
    return found, done


def shown_worse(analysis: Analysis) -> set[str]:
    """The losses that a verdict or a race shows to be worse."""
    return {*analysis.verdict.told_apart, *analysis.verdict.left}


def row(name: str, draw: Draw, studies: int) -> list[str]:
    """One scenario."""
    budgets, others, changed, claims, claims_raced, last = [], 0, 0, 0, 0, ""
    for study in range(studies):
        scores = table(draw(np.random.default_rng((11, study)))[:, None])
        full = analyse(scores, resamples=20, seed=study)
        found, done = race(scores)
        short = analyse(done, resamples=20, seed=study, left=found.left)
        runs = done.groupby(["loss", "fold"]).ngroups
        budgets.append(runs / scores.groupby(["loss", "fold"]).ngroups)
        is_other = full.verdict.best != short.verdict.best
        others += is_other
        changed += is_other or shown_worse(full) != shown_worse(short)
        claims += bool(shown_worse(full))
        claims_raced += bool(shown_worse(short))
        last = f"{100 * np.mean(budgets):.0f}"
    shares = (f"{100 * count / studies:.0f}" for count in (others, changed, claims, claims_raced))
    return [name, last, f"{100 * max(budgets):.0f}", *shares]


def race_page(studies: int, only: str, command: str) -> str:
    """The tables of all scenarios."""
    head = ["", "budget, %", "at most, %", "another best loss, %", "verdict changed, %", "claims, %", "in a race, %"]
    parts = []
    for kind in ("recorded", "invented"):
        rows = []
        for name, own, draw in scenarios():
            if own == kind and only in name:
                rows.append(row(name, draw, studies))
                print(rows[-1], flush=True)
        parts.append(f"## {kind.capitalize()} scores, {studies} studies each\n\n{markdown(head, rows)}")
    return "\n".join([_RACE, circumstances(command, packages=("unifocal", "numpy", "scipy")), *parts])


def main() -> None:
    """Measure, and print or write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    racing = verbs.add_parser("race", help="what a race spares and changes, on recorded scores")
    racing.add_argument("--studies", type=int, default=100, help="studies of each kind")
    racing.add_argument("--only", default="", help="scenarios with this in their name")
    timing = verbs.add_parser("overhead", help="a study beside the bare loop of its trainings")
    timing.add_argument("--epochs", type=int, default=30, help="of each of the twelve runs")
    timing.add_argument("--patients", type=int, default=24, help="of the phantom")
    timing.add_argument("--rounds", type=int, default=3, help="how often loop and studies take turns")
    timing.add_argument("--ray-address", help="also through Ray: local, auto or host:port")
    timing.add_argument("--folder", type=Path, help="where studies go; without it, a temporary folder")
    fixed = verbs.add_parser("run", help="what one run takes beside its training")
    fixed.add_argument("--epochs", type=int, default=2, help="of each of the eight runs")
    fixed.add_argument("--patients", type=int, default=39, help="of the phantom; half of them are tested by each run")
    fixed.add_argument("--rounds", type=int, default=3, help="how many studies")
    fixed.add_argument("--folder", type=Path, help="where studies go; without it, a temporary folder")
    for each in (racing, timing, fixed):
        each.add_argument("--write", type=Path, help="write the page to this file")
    given = parser.parse_args()
    if given.verb == "race":
        kept = f" --studies {given.studies}" if given.studies != 100 else ""
        text = race_page(given.studies, given.only, f"python benchmarks/study.py race{kept}")
    else:
        with tempfile.TemporaryDirectory() as temporary:
            measure = overhead if given.verb == "overhead" else run_cost
            text = measure(given, given.folder or Path(temporary))
    if given.write:
        given.write.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
