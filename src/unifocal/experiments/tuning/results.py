"""What a search leaves: the table of trials, the best settings as a file, how much each setting mattered."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import yaml

from unifocal.config.schema import TuneConfig
from unifocal.experiments.folder import write_table, write_text
from unifocal.experiments.tuning.asked import directions_of
from unifocal.experiments.tuning.best import RULE, Best, best_of
from unifocal.experiments.tuning.engine import Record
from unifocal.experiments.tuning.importance import importance_table
from unifocal.experiments.tuning.search import Tried
from unifocal.experiments.tuning.space import Space, with_values

TRIALS, BEST, IMPORTANCE = "trials.csv", "best.yaml", "importance.csv"


def write_results(config: TuneConfig, space: Space, records: Sequence[Record], tried: Sequence[Tried]) -> Best:
    """Write `trials.csv`, `importance.csv` and, if a trial was finished, `best.yaml`.

    Args:
        config: What was asked for.
        space: What was searched.
        records: Of the trials, by number.
        tried: The same for the search.
    """
    objectives, directions = config.tuning.objective, directions_of(config.tuning)
    best = best_of(records, objectives, directions)
    write_table(config.out / TRIALS, trials_table(space, records, objectives, best))
    write_table(config.out / IMPORTANCE, importance_table(space, tried, objectives, directions))
    if best.best is not None:
        write_text(config.out / BEST, best_text(config, records[best.best]))
    return best


def trials_table(space: Space, records: Sequence[Record], objectives: Sequence[str], best: Best) -> pd.DataFrame:
    """All of `trials.csv`: a row per trial, with a column per setting and per objective, which follow the status."""
    rows = []
    for record in records:
        known = {"trial": record["trial"], "status": record["status"]}
        known |= {dimension.name: record["values"][dimension.name] for dimension in space}
        known |= {metric: record["objective"][metric] for metric in objectives}
        known |= {"pareto": record["trial"] in best.pareto, "best": record["trial"] == best.best}
        # `epochs` may be a setting that is searched.
        known |= {"epochs_trained": record["epochs"], "seconds": record["seconds"], "reason": record["reason"]}
        rows.append(known)
    return pd.DataFrame(rows)


def best_text(config: TuneConfig, record: Mapping[str, Any]) -> str:
    """All of `best.yaml`, which `--config` of `compare` and of `train` takes: what was given and what was chosen."""
    given = config.training, config.network
    values = record["values"] if record["trial"] else {}
    loss, training, network = with_values(values, config.loss, *given)
    content: dict[str, Any] = {"loss": {"name": loss.name, "parameters": dict(loss.parameters)}}
    for name, section in (("training", training), ("network", network), ("preprocessing", config.preprocessing)):
        said = section.model_dump(mode="json", exclude_unset=True)
        if said:
            content[name] = said
    reached = ", ".join(f"{metric} {record['objective'][metric]:.4g}" for metric in config.tuning.objective)
    head = [
        f"# Trial {record['trial']} of `unifocal tune`, the best: {reached}, the mean over the patients of",
        f"# {config.tuning.inner_folds} inner folds. These folds chose it, so that the number flatters: only patients",
        "# that took no part can tell how good it is.",
        *([f"# Several objectives: {RULE}."] if len(config.tuning.objective) > 1 else []),
        "# unifocal train --config best.yaml --data ... --out model",
        "# unifocal compare --config best.yaml --data ... --out study",
    ]
    return "\n".join(head) + "\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
