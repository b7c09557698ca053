"""Tuning and racing in words fit for a paper, from what `study.yaml` says and nothing else."""

from collections.abc import Mapping
from typing import Any

from unifocal.reporting.study import StudyView
from unifocal.reporting.tables import metric_title
from unifocal.reporting.wording import count, enumeration, share

SEARCHES = {
    "optuna": "the tree-structured Parzen estimator of Optuna (after a few trials at random)",
    "random": "values drawn at random",
    "grid": "every combination of values",
}


def tuning_passage(study: StudyView) -> str:
    """How settings were tuned inside each fold; nothing where none were."""
    tuning = study.setting("config", "tuning")
    if not isinstance(tuning, Mapping) or study.tuning.empty:
        return ""
    searched = enumeration([_searched(item) for item in tuning.get("over") or [] if isinstance(item, Mapping)])
    judged = enumeration([metric_title(str(metric)) for metric in tuning.get("objective") or []])
    search = SEARCHES.get(str(tuning.get("search")), str(tuning.get("search", "")))
    judge = f"its mean {judged} over the patients of {count(int(tuning.get('inner_folds', 0)), 'inner fold')}"
    sentences = [
        "Settings were tuned inside each fold on its training and validation patients; its test patients took no part.",
        f"Every loss that has something to search had {count(int(tuning['trials']), 'trial')} in each fold, the first "
        "with the settings as given."
        if "trials" in tuning
        else "",
        f"Searched: {searched}, by {search}." if searched and search else "",
        f"A trial was judged by {judge}." if judged and "inner_folds" in tuning else "",
        "The network of a fold was then trained anew with the settings of its best trial.",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _searched(item: Mapping[str, Any]) -> str:
    name = str(item.get("name", ""))
    if name == "loss":
        return "the loss's own parameters"
    choices = item.get("choices")
    if choices:
        return f"{name} among {', '.join(map(str, choices))}"
    if item.get("low") is not None and item.get("high") is not None:
        return f"{name} from {item['low']:g} to {item['high']:g}"
    return name


def race_passage(study: StudyView) -> str:
    """How losses left the race; nothing where there was none."""
    if not study.setting("config", "race"):
        return ""
    error = study.setting("config", "race_error")
    stated = f" at a family-wise error of {share(float(error))} over all looks and losses" if error else ""
    left = [each.loss for each in study.exits]
    who = f"{enumeration(left)} left early and have no scores of the later rounds" if left else "nobody left early"
    return (
        f"After each round, a loss that was worse than another by a sequential paired test over patients{stated} was "
        f"trained no further; {who}."
    )
