"""`unifocal data ...`."""

from typing import Annotated

import typer

from unifocal.cli import data_check, data_profile
from unifocal.cli import options as o

app = typer.Typer(help="Data sets: check, profile, and the built-in phantom.", no_args_is_help=True)

app.command()(data_check.check)
app.command()(data_profile.profile)


@app.callback()
def options() -> None:
    """Data sets: check, profile, and the built-in phantom."""


@app.command()
def phantom(
    out: o.Out = None,
    patients: Annotated[int | None, typer.Option("--patients", help="How many. Default: 24.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Default: 0.")] = None,
    size: Annotated[int | None, typer.Option("--size", help="Edge in pixels. Default: 128.")] = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Write the built-in data set: synthetic contrast-enhanced T1 heads with tumours, and their masks.

    \b
      unifocal data phantom --out phantom --patients 40 --seed 1
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.verbs import PhantomConfig

    flags = {"out": out, "patients": patients, "seed": seed, "size": size}
    resolved = resolve(PhantomConfig, config=config, settings=set_ or [], flags=flags)

    from rich.console import Console

    from unifocal.cli.show import show_places
    from unifocal.data.phantom import write_phantom

    write_phantom(resolved.out, patients=resolved.patients, seed=resolved.seed, size=resolved.size)
    show_places(Console(highlight=False), {"Phantom": resolved.out})
