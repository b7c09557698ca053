"""`report`: what follows from a study's scores, built again."""

from pathlib import Path

import yaml

from unifocal.config.schema import ReportConfig
from unifocal.experiments.compare import conclude
from unifocal.metrics import METRICS
from unifocal.problems import bad_input
from unifocal.reporting import write_report
from unifocal.statistics import Analysis


def rebuild(config: ReportConfig) -> tuple[Analysis, Path]:
    """Analyse a study folder again and write its tables, figures and page.

    Returns:
        The analysis, and the page.

    Raises:
        InputError: If the folder is no study, has no scores yet, or lacks the metric or label.
    """
    for name in ("study.yaml", "scores.csv"):
        if not (config.study / name).is_file():
            remedy = "Give the folder of a study that `unifocal compare` has finished."
            raise bad_input(str(config.study), f"holds no {name}", remedy)
    try:
        settings = yaml.safe_load((config.study / "study.yaml").read_text(encoding="utf-8"))
        metric = config.metric or settings["config"]["metric"]
        resamples = settings["config"]["resamples"]
        order = [loss["label"] for loss in settings["losses"]]
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
        raise bad_input(str(config.study / "study.yaml"), "is damaged", "Run the study's command again.") from None
    if metric not in METRICS:
        raise bad_input(f"--metric {metric}", "is not a metric", f"Known: {', '.join(METRICS)}.")
    analysis = conclude(
        config.study,
        metric=metric,
        label=config.label,
        resamples=resamples,
        order=order,
    )
    return analysis, write_report(config.study, analysis)
