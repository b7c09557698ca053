"""`unifocal data profile`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unifocal.cli import options as o

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from unifocal.experiments.profile import ProfileOutcome
    from unifocal.reporting.table import Table as Content


@o.takes_data(as_argument=True)
def profile(
    data_flags: o.DataFlags,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder for the results. Default: profile-<name of the data>.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            help="The training size, to see what resizing does: 128, 512x800, or 96x96x96. Two numbers for volumes are "
            "for each slice. Default: 128 for pictures, none for volumes.",
        ),
    ] = None,
    brain: Annotated[
        bool, typer.Option("--brain", help="Heads: find the brain, and give tumour-to-brain area ratios.")
    ] = False,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes. Default: one per core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, and nothing else.")] = False,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Describe a data set: counts, sizes, intensities, imbalance, lesions; and what follows for the losses.

    Checks the data first. Writes profile.html, profile.json and cases.csv (one row per case).

    \b
      unifocal data profile brain
      unifocal data profile drive --size 512 --out drive-profile
      unifocal data profile brain --brain --json
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.verbs import ProfileConfig
    from unifocal.experiments.profile import profile_data
    from unifocal.experiments.progress import ConsoleReporter

    flags = data_flags | {"out": out, "size": size, "brain": brain or None, "workers": workers}
    settings = resolve(ProfileConfig, config=config, settings=set_ or [], flags=flags)
    with ConsoleReporter() as reporter:
        outcome = profile_data(settings, reporter=reporter)
    if as_json:
        typer.echo(json.dumps(outcome.content, indent=2))
        return

    from rich.console import Console

    console = Console(highlight=False)
    _show(console, outcome)
    for title, name in (("Page", "profile.html"), ("Cases", "cases.csv")):
        console.print(f"{title}: {outcome.folder / name}", markup=False, soft_wrap=True)


def _show(console: "Console", outcome: "ProfileOutcome") -> None:
    from unifocal.reporting.profile_tables import brief, headline

    console.print(headline(outcome.profile), style="bold", markup=False)
    for caution in outcome.cautions:
        console.print(caution, markup=False)
    console.print(_table(brief(outcome.profile)))
    if outcome.profile.brain_ratio is not None:
        ratio = outcome.profile.brain_ratio
        console.print(
            f"Foreground over brain: median {ratio.median:.2%}, {ratio.minimum:.2%} to {ratio.maximum:.2%}",
            markup=False,
        )
    if outcome.advice:
        titles = ", ".join(advice.title for advice in outcome.advice)
        console.print(f"What follows for the losses is on the page: {titles}.", markup=False)
    if outcome.comparison:
        console.print(f"Start with: {outcome.comparison}", markup=False, soft_wrap=True)


def _table(content: "Content") -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column(content.stub)
    for column in content.columns:
        table.add_column(column, justify="right")
    for name, cells in content.rows:
        table.add_row(Text(name), *(Text(cell.text) for cell in cells))
    return table
