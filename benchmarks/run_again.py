"""Single runs of a published study once more: are their scores the published ones?

python benchmarks/run_again.py docs/results/source_a_family --data ../shared/data/brain_t1ce --losses bce --folds 0

Takes the settings from the published folder, from the root of this repository, and trains nothing but the runs that are
asked for: minutes instead of the study's hours. Ends with 0 where every score is the published one, with 1
where one is not, with 2 where the question or the data are wrong.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pandas as pd
import yaml
from beside_studies import labels_of
from report import table

from unifocal.config.schema import StudyConfig
from unifocal.experiments.folder import RunKey
from unifocal.experiments.inputs import load_data, make_folds_of, patients_needed, prepare_all
from unifocal.experiments.outer import OuterRuns
from unifocal.experiments.plan import training_for
from unifocal.experiments.pool import execute_all
from unifocal.experiments.progress import ConsoleReporter
from unifocal.experiments.record import describe_study, identity_of
from unifocal.metrics import METRICS
from unifocal.problems import InputError, bad_input
from unifocal.training.settings import choose_precision

RUN = ["loss", "fold", "seed"]
SCORE = [*RUN, "case", "label", "metric"]
_AS_TEXT = {"case": str, "patient": str, "value": str, "reason": str, "unit": str}
Keys = list[RunKey]


def read_settings(folder: Path, data: Path | None, out: Path) -> StudyConfig:
    """The settings of a published study, for data that lie here; without data the phantom."""
    settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    settings["data"]["folder"] = None if data is None else str(data)
    return StudyConfig.model_validate(settings | {"out": str(out)})


def read_scores(path: Path) -> pd.DataFrame:
    """Scores as they are written, so that equal means equal to the last digit."""
    return pd.read_csv(path, dtype=_AS_TEXT, keep_default_na=False)


def asked_for(
    published: pd.DataFrame, losses: list[str] | None, folds: list[int] | None, seeds: list[int] | None
) -> Keys:
    """The runs of the published study that were named; what is not named means all.

    Raises:
        InputError: If there are none.
    """
    runs = published[RUN].drop_duplicates()
    for name, wanted in zip(RUN, (losses, folds, seeds), strict=True):
        runs = runs if wanted is None else runs[runs[name].isin(wanted)]
    if runs.empty:
        known = {name: ", ".join(map(str, sorted(published[name].unique()))) for name in RUN}
        what = f"has no such run; losses: {known['loss']}; folds: {known['fold']}; seeds: {known['seed']}"
        raise bad_input("the published study", what, "Name runs among these.")
    return [RunKey(loss, fold, seed) for loss, fold, seed in runs.itertuples(index=False)]


def run_again(config: StudyConfig, keys: Keys, reporter: ConsoleReporter) -> pd.DataFrame:
    """Train and score the runs as `compare` does, and nothing else of the study.

    Raises:
        InputError: With all that is wrong with the data, or where a run depends on a search.
        RuntimeError: If a run fails.
    """
    if config.tuning is not None:
        what = "tuned its losses inside the folds, and a run of it needs its search"
        raise bad_input("the published study", what, "Run its page's whole command.")
    needed = patients_needed(config.split)
    checked = load_data(config, out=config.out, minimum_patients=needed, problems=[], reporter=reporter)
    config = config.model_copy(update={"training": training_for(config.training, checked.facts[0].ndim)})
    folds = make_folds_of(config.split, checked)
    prepared = prepare_all(config, checked, reporter)
    told = describe_study(config, checked, prepared, folds, identity_of(config, checked, folds), command="")
    runs = OuterRuns(config, checked, prepared, folds, told["machine"])
    tasks = [runs.task(key, {}) for key in keys]
    reporter.stage("Training (epochs)", sum(task.training.epochs for task in tasks))
    parts = []
    for index, record in execute_all(tasks, jobs=config.jobs, compute=config.compute, reporter=reporter):
        if record["status"] != "done":
            message = f"{keys[index]}: {record['reason']}"
            raise RuntimeError(message)
        parts.append(read_scores(tasks[index].folder / "scores.csv"))
    return pd.concat(parts, ignore_index=True)


def beside(published: pd.DataFrame, again: pd.DataFrame, keys: Keys, metric: str) -> tuple[str, bool]:
    """A table of the runs, and whether each of their scores is the published one, digit by digit."""
    wanted = pd.MultiIndex.from_tuples([(key.loss, key.fold, key.seed) for key in keys])
    own = published[published.set_index(RUN).index.isin(wanted)]
    both = own.merge(again, on=SCORE, how="outer", suffixes=("", "_again"), indicator=True)
    both["same"] = (both["_merge"] == "both") & (both["value"] == both["value_again"])
    rows = []
    for run, part in both.groupby(RUN, sort=False):
        chosen = part[part["metric"] == metric]
        values = chosen[["value", "value_again"]].apply(pd.to_numeric, errors="coerce")
        apart = (values["value"] - values["value_again"]).abs().max()
        means = [f"{values[name].mean():.6f}" for name in values]
        same = f"{part['same'].sum()} of {len(part)}"
        rows.append([f"`{run[0]}`, fold {run[1]}, seed {run[2]}", *means, f"{apart:.2g}", same])
    head = ["", f"mean {metric} of cases, published", "again", "furthest case", "scores that are the same"]
    return table(head, rows), bool(both["same"].all())


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a published study, with config.yaml and scores.csv.gz")
    parser.add_argument("--data", type=Path, help="as the page's command has it; none: the phantom")
    parser.add_argument("--losses", help="as --losses of compare takes them; else all")
    parser.add_argument("--folds", nargs="+", type=int, help="from 0; else all")
    parser.add_argument("--seeds", nargs="+", type=int, help="else all")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--metric", default="dice", choices=METRICS, help="that the table shows; all are compared")
    parser.add_argument("--out", type=Path, help="where the runs go, to be continued; else a temporary folder")
    given = parser.parse_args()
    published = read_scores(given.folder / "scores.csv.gz")
    with tempfile.TemporaryDirectory() as temporary, ConsoleReporter() as reporter:
        try:
            losses = None if given.losses is None else labels_of(given.losses)
            keys = asked_for(published, losses, given.folds, given.seeds)
            config = read_settings(given.folder, given.data, given.out or Path(temporary) / "study")
            config = config.model_copy(update={"jobs": given.jobs})
            again = run_again(config, keys, reporter)
        except InputError as error:
            print(*error.problems, sep="\n", file=sys.stderr)
            sys.exit(2)
    text, is_same = beside(published, again, keys, given.metric)
    print(text)
    if not is_same:
        own = choose_precision("auto")
        print(f"The study ran in {config.training.precision}; the default of this machine is {own}. Another processor,")
        print("precision or library version rounds differently, and training carries such differences far.")
        sys.exit(1)


if __name__ == "__main__":
    main()
