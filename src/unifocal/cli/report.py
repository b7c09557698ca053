"""`unifocal report`."""

from pathlib import Path
from typing import Annotated

import typer

from unifocal.cli import options as o


def report(
    study: Annotated[
        Path | None, typer.Argument(help="The folder of a study or an evaluation.", show_default=False)
    ] = None,
    metric: o.Metric = None,
    label: o.Label = None,
    margin: o.Margin = None,
    resamples: o.Resamples = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Build the tables, figures and page of a study, an evaluation or a search again from its scores.

    What is not given is as the study's own command had it.

    \b
      unifocal report studies/brain
      unifocal report studies/brain --metric hd95 --margin 1
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.verbs import ReportConfig

    flags = {"study": study, "metric": metric, "label": label, "margin": margin, "resamples": resamples}
    resolved = resolve(ReportConfig, config=config, settings=set_ or [], flags=flags)

    from rich.console import Console

    from unifocal.cli.show import show_places, show_study
    from unifocal.experiments.conclude import StudyOutcome
    from unifocal.experiments.rebuild import rebuild

    outcome = rebuild(resolved)
    if isinstance(outcome, StudyOutcome):
        show_study(outcome)
    else:
        show_places(Console(highlight=False), {"Report": outcome})
