"""`unifocal status`."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unifocal.cli import options as o

if TYPE_CHECKING:
    from unifocal.experiments.status import StudyStatus

_SECONDS = 2.0


def status(
    study: Annotated[
        Path | None,
        typer.Argument(help="The folder of a study, a training or a tuning.", show_default=False),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on showing it until all is done, or until Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Show how far the runs of a study, a training or a tuning are, also from another terminal while they go on.

    A run is waiting, running, stopped (begun, but nobody is at work on it), done, failed, dropped (its loss left
    the race), or not needed (the race was decided before). Nothing in the folder is changed.

    \b
      unifocal status studies/brain
      unifocal status studies/brain --watch
      unifocal status studies/brain --json
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.verbs import StatusConfig
    from unifocal.problems import bad_input

    resolved = resolve(StatusConfig, config=config, settings=set_ or [], flags={"study": study})
    if watch and as_json:
        raise bad_input("--json", "does not go together with --watch", "Leave one of them away.")

    from unifocal.experiments.status import read_status

    found = read_status(resolved.study)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2, allow_nan=False))
    elif watch:
        _watch(found)
    else:
        _show(found)


def _show(found: "StudyStatus") -> None:
    from rich.console import Console

    from unifocal.cli.show_status import overview

    Console(highlight=False).print(overview(found))


def _watch(found: "StudyStatus") -> None:
    from rich.console import Console
    from rich.live import Live

    from unifocal.cli.show_status import overview, summary_line
    from unifocal.experiments.status import read_status

    console = Console(highlight=False)
    said = ""
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while not found.is_over:
                if console.is_terminal:
                    live.update(overview(found, rows=max(3, console.height - 12)), refresh=True)
                elif summary_line(found) != said:
                    said = summary_line(found)
                    console.print(said, soft_wrap=True, markup=False)
                time.sleep(_SECONDS)
                found = read_status(found.folder)
        console.print(overview(found))
    except KeyboardInterrupt:
        return
