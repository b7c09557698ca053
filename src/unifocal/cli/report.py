"""`unifocal report`."""

from pathlib import Path
from typing import Annotated

import typer

from unifocal.cli import options as o


def report(
    study: Annotated[Path | None, typer.Argument(help="The study folder.", show_default=False)] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="What the verdict rests on. Default: what the study chose.")
    ] = None,
    label: Annotated[int | None, typer.Option("--label", help="The label it rests on. Default: the rarest.")] = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Build a study's tables, figures and page again from its scores.

    \b
      unifocal report studies/brain
      unifocal report studies/brain --metric hd95
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.schema import ReportConfig

    flags = {"study": study, "metric": metric, "label": label}
    resolved = resolve(ReportConfig, config=config, settings=set_ or [], flags=flags)

    from rich.console import Console

    from unifocal.cli.show import show_analysis, show_places
    from unifocal.experiments.rebuild import rebuild

    analysis, page = rebuild(resolved)
    console = Console(highlight=False)
    show_analysis(console, analysis)
    show_places(console, {"Report": page})
