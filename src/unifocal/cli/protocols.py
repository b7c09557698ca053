"""`unifocal protocols`."""

from typing import Annotated

import typer


def protocols(
    name: Annotated[
        str | None, typer.Argument(help="Print this one as a file for --config.", show_default=False)
    ] = None,
) -> None:
    """List the papers' protocols, or print one as YAML to read, change and give to --config.

    \b
      unifocal protocols
      unifocal protocols drive > drive.yaml
      unifocal compare --data DRIVE --protocol drive --budget quick
    """
    from unifocal.config.protocols import protocol_names, read_protocol

    if name is not None:
        typer.echo(read_protocol(name).as_config(), nl=False)
        return
    for each in map(read_protocol, protocol_names()):
        typer.echo(f"{each.name:14} {each.title}. {each.source}")
