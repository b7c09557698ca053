"""`report`: what follows from the scores of a study or an evaluation, built again."""

from pathlib import Path
from typing import Any

import yaml

from unifocal.config.verbs import ReportConfig
from unifocal.experiments.conclude import Question, StudyOutcome, conclude, metric_problems, noun_of
from unifocal.experiments.folder import lock_study
from unifocal.problems import Problem, bad_input, raise_if_any
from unifocal.reporting import write_tuning_report


def rebuild(config: ReportConfig) -> StudyOutcome | Path:
    """Analyse a folder again and write its tables, figures and page.

    What is not asked for is as the study's own command had it; its margin and label hold for its own metric alone.

    Returns:
        What a study or an evaluation came to; of a search for settings the page.

    Raises:
        InputError: If the folder is no study, has no scores yet, or lacks the metric or label.
    """
    if (config.study / "trials.csv").is_file():
        asked_of_scores = {"--metric": config.metric, "--label": config.label, "--margin": config.margin,
                           "--resamples": config.resamples}  # fmt: skip
        told = "is for scores of losses, and this folder holds a search for settings"
        raise_if_any([Problem(f, told, "Leave it away.") for f, value in asked_of_scores.items() if value is not None])
        with lock_study(config.study):
            return write_tuning_report(config.study)
    for name in ("study.yaml", "scores.csv"):
        if not (config.study / name).is_file():
            remedy = "Give a folder that `unifocal compare` or `unifocal evaluate` has finished."
            raise bad_input(str(config.study), f"holds no {name}", remedy)
    try:
        settings = yaml.safe_load((config.study / "study.yaml").read_text(encoding="utf-8"))
        asked: dict[str, Any] = settings["config"]
        metric = config.metric or asked["metric"]
        resamples = config.resamples or asked["resamples"]
        order = tuple(str(loss["label"]) for loss in settings["losses"])
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
        raise bad_input(str(config.study / "study.yaml"), "is damaged", "Run the study's command again.") from None
    raise_if_any(metric_problems(metric, "--metric"))
    is_own = metric == asked["metric"]
    question = Question(
        metric=metric,
        label=config.label if config.label is not None or not is_own else asked.get("label"),
        resamples=resamples,
        order=order,
        margin=config.margin if config.margin is not None or not is_own else asked.get("margin"),
        noun=noun_of(settings),
    )
    with lock_study(config.study):
        return conclude(config.study, question)
