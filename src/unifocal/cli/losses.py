"""`unifocal losses`."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unifocal.cli import options as o

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from unifocal.losses import Member, Parameter


def losses(
    name: Annotated[str | None, typer.Argument(help="One loss, for all about it.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the catalogue, or one loss of it, as JSON.")] = False,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """List the loss family, or all about one loss: formula, parameters, what it becomes, source.

    \b
      unifocal losses
      unifocal losses unified_focal
      unifocal losses --json
    """
    from rich.console import Console

    from unifocal.config.resolve import resolve
    from unifocal.config.verbs import LossesConfig
    from unifocal.losses import UnknownLossError, describe
    from unifocal.losses import names as loss_names
    from unifocal.problems import bad_input

    resolved = resolve(LossesConfig, config=config, settings=set_ or [], flags={"name": name})
    try:
        members = [describe(each) for each in ([resolved.name] if resolved.name else loss_names())]
    except UnknownLossError as error:
        what, _, remedy = str(error).partition(". ")
        raise bad_input(str(resolved.name), what, remedy) from None
    if as_json:
        typer.echo(json.dumps(_as_data(members), indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False, markup=False)
    if resolved.name is None:
        _show_family(console, members)
    else:
        _show_member(console, members[0])


def _show_family(console: "Console", members: "Sequence[Member]") -> None:
    table = _table("name", "kind", "own parameters")
    for member in members:
        aliases = "".join(f"\n  or {alias}" for alias in member.aliases)
        own = ", ".join(p.name if p.default is None else f"{p.name}={p.default}" for p in member.parameters)
        table.add_row(f"{member.name}{aliases}", member.kind, own)
    console.print(table)
    console.print("\n`unifocal losses NAME` says all about one. A loss of your own goes by package.module:ClassName.")


def _show_member(console: "Console", member: "Member") -> None:
    from unifocal.losses import SHARED_PARAMETERS
    from unifocal.losses.catalogue import SYMBOLS

    console.print(f"{member.title}: a {member.kind} loss", style="bold")
    console.print(f"By name: {', '.join((member.name, *member.aliases))}")
    _show_lines(console, "Formula", *member.formula.split(";  "), "", *SYMBOLS)
    if member.parameters:
        console.print("\nParameters", style="bold")
        console.print(_parameters(member.parameters))
    console.print("\nParameters that all losses share", style="bold")
    console.print(_parameters(SHARED_PARAMETERS))
    if member.reduces_to:
        _show_lines(console, "Special cases: it is", *map(str, member.reduces_to))
    _show_lines(console, "Paper", member.paper.citation, *member.paper.links)
    name = member.loss.__name__
    example = (f"from unifocal.losses import {name}", f"loss = {member.example}", "loss(logits, target)")
    _show_lines(console, "In Python, with logits, never probabilities", *example)


def _show_lines(console: "Console", heading: str, *lines: str) -> None:
    from rich.padding import Padding

    console.print(f"\n{heading}", style="bold")
    for line in lines:
        console.print(Padding(line, (0, 0, 0, 2)))


def _parameters(parameters: "Sequence[Parameter]") -> "Table":
    table = _table("name", "default", "sensible", "meaning")
    for parameter in parameters:
        symbol = f" ({parameter.symbol})" if parameter.symbol else ""
        many = "; also one per class" if parameter.per_class else ""
        name, default = f"{parameter.name}{symbol}", str(parameter.default)
        table.add_row(name, default, _sensible(parameter), f"{parameter.meaning}{many}")
    return table


def _sensible(parameter: "Parameter") -> str:
    if parameter.sensible:
        return "{:g} to {:g}".format(*parameter.sensible)
    return "" if isinstance(parameter.default, bool) else "\n".join(map(str, parameter.choices))


def _table(first: str, *headings: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading)
    return table


def _as_data(members: "Sequence[Member]") -> dict[str, Any]:
    """The catalogue in JSON's terms."""
    from unifocal.losses import SHARED_PARAMETERS
    from unifocal.losses.catalogue import SYMBOLS

    losses = []
    for member in members:
        known = {f.name: getattr(member, f.name) for f in dataclasses.fields(member) if f.name != "loss"}
        losses.append(
            known
            | {
                "python": f"unifocal.losses:{member.loss.__name__}",
                "example": member.example,
                "parameters": [dataclasses.asdict(parameter) for parameter in member.parameters],
                "reduces_to": [dataclasses.asdict(each) | {"text": str(each)} for each in member.reduces_to],
                "paper": dataclasses.asdict(member.paper) | {"links": member.paper.links},
            }
        )
    shared = [dataclasses.asdict(parameter) for parameter in SHARED_PARAMETERS]
    return {"symbols": SYMBOLS, "losses": losses, "shared_parameters": shared}
