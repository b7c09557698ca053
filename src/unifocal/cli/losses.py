"""`unifocal losses`."""

from typing import Annotated

import typer

from unifocal.cli import options as o


def losses(
    name: Annotated[str | None, typer.Argument(help="One loss, for all about it.", show_default=False)] = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """List the loss family, or all about one loss: formula, parameters, source.

    \b
      unifocal losses
      unifocal losses unified_focal
    """
    from rich.console import Console

    from unifocal.config.resolve import resolve
    from unifocal.config.schema import LossesConfig
    from unifocal.losses import UnknownLossError, describe
    from unifocal.losses import names as loss_names
    from unifocal.problems import bad_input

    resolved = resolve(LossesConfig, config=config, settings=set_ or [], flags={"name": name})
    console = Console(highlight=False)
    if resolved.name is None:
        from rich.table import Table

        table = Table("name", "loss", "own parameters")
        for each in loss_names():
            member = describe(each)
            parameters = ", ".join(f"{p.name}={p.default}" for p in member.parameters)
            table.add_row(", ".join((member.name, *member.aliases)), member.title, parameters)
        console.print(table)
        console.print("`unifocal losses NAME` says more. A loss of your own goes by package.module:ClassName.")
        return
    try:
        member = describe(resolved.name)
    except UnknownLossError as error:
        what, _, remedy = str(error).partition(". ")
        raise bad_input(resolved.name, what, remedy) from None
    console.print(f"[bold]{member.title}[/bold]  ({', '.join((member.name, *member.aliases))})")
    console.print(member.formula, markup=False)
    for parameter in member.parameters:
        sensible = f"; sensible {parameter.sensible[0]} to {parameter.sensible[1]}" if parameter.sensible else ""
        console.print(f"  {parameter.name}: {parameter.meaning} (default {parameter.default}{sensible})", markup=False)
    for line in member.reduces_to:
        console.print(f"  {line}", markup=False)
    console.print(str(member.paper), markup=False)
