"""Studies of the same patients beside each other: each loss's mean in each, and how far the studies are apart.

python benchmarks/beside_studies.py "as it is=docs/results/a" "stripped=docs/results/b" --losses bce,focal

Takes folders of studies, or of published ones, each with what to call it; all are compared with the first, on the
cases that every one of them scored. Prints Markdown. Intervals are over patients; with several seeds, also over
patients and trainings.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from beside_paper import read
from report import table

from unifocal.config.schema import StudyConfig
from unifocal.metrics import METRICS
from unifocal.statistics import analyse


def page(studies: dict[str, pd.DataFrame], losses: list[str], metric: str) -> str:
    """A table of means and one of differences, with 95 % intervals.

    Args:
        studies: The scores of each by name; others are compared with the first.
        losses: As the studies call them.
        metric: Which.
    """
    studies = on_shared_cases(studies)
    first, *others = studies
    is_retrained = all(scores["seed"].nunique() > 1 for scores in studies.values())
    columns = [(name, retrained) for retrained in ((False, True) if is_retrained else (False,)) for name in others]
    means, apart = [], []
    rows = {f"`{loss}`": [loss] for loss in losses} | ({"their mean": losses} if len(losses) > 1 else {})
    for title, members in rows.items():
        analysis = analyse(pd.concat(mean_of(scores, members, name) for name, scores in studies.items()), noun="method")
        summary = analysis.summary[analysis.summary["metric"] == metric].set_index("loss")
        comparison = analysis.comparison[analysis.comparison["metric"] == metric]
        own = [
            f"{row.mean:.3f} ({row.lower:.3f} to {row.upper:.3f})" for row in summary.loc[list(studies)].itertuples()
        ]
        means.append([title, *own])
        apart.append([title, *(difference(comparison, name, first, retrained=kind) for name, kind in columns)])
    heading = f"{METRICS[metric].title}, mean of patients"
    told = [f"{name} minus {first}{', over trainings too' if retrained else ''}" for name, retrained in columns]
    cases = studies[first].drop_duplicates("case")
    return "\n".join(
        [
            f"{len(cases)} cases of {cases['patient'].nunique()} patients.\n",
            table([heading, *studies], means),
            table(["difference", *told], apart),
        ]
    )


def on_shared_cases(studies: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The scores of the cases that all studies have; ends the program where there is none."""
    shared = set.intersection(*(set(scores["case"]) for scores in studies.values()))
    if not shared:
        sys.exit("no case was scored in all of these studies")
    return {name: scores[scores["case"].isin(shared)] for name, scores in studies.items()}


def mean_of(scores: pd.DataFrame, losses: list[str], name: str) -> pd.DataFrame:
    """The scores of one loss, or the mean of several where all have one, under a new name."""
    own = scores[scores["loss"].isin(losses)]
    keys = [column for column in own.columns if column not in ("loss", "value", "reason")]
    values = own.groupby(keys, dropna=False)["value"].agg(lambda value: value.mean(skipna=False))
    return values.reset_index().assign(loss=name)


def difference(comparison: pd.DataFrame, name: str, base: str, *, retrained: bool = False) -> str:
    """The difference of two, whichever the table has first, with its interval over patients or over trainings too."""
    pair = comparison[comparison["loss_a"].isin([name, base]) & comparison["loss_b"].isin([name, base])].iloc[0]
    sign = 1 if pair["loss_a"] == name else -1
    kind = "_retrained" if retrained else ""
    low, high = sorted((sign * pair[f"lower{kind}"], sign * pair[f"upper{kind}"]))
    # Adding 0 takes the sign from -0.
    return f"{sign * pair['difference'] + 0:+.3f} ({low + 0:+.3f} to {high + 0:+.3f})"


def labels_of(losses: str) -> list[str]:
    """Losses, written as `--losses` of `compare` takes them, as scores call them."""
    return [loss.label for loss in StudyConfig.model_validate({"losses": losses}).losses]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--losses", required=True, help="as --losses of compare takes them")
    parser.add_argument("--metric", default="dice", choices=METRICS)
    given = parser.parse_args()
    studies = {name: read(Path(folder)) for name, _, folder in (each.partition("=") for each in given.studies)}
    losses = labels_of(given.losses)
    missing = [
        f"{name} has no {loss}" for name, own in studies.items() for loss in losses if loss not in set(own["loss"])
    ]
    if missing:
        sys.exit("\n".join(missing))
    print(page(studies, losses, given.metric))


if __name__ == "__main__":
    main()
