"""`unifocal train`."""

from typing import Annotated

import typer

from unifocal.cli import options as o


@o.takes_data()
def train(
    data_flags: o.DataFlags,
    loss: Annotated[
        str | None,
        typer.Option("--loss", rich_help_panel="Study", help="The loss. Default: unified_focal."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", rich_help_panel="Study", help="Default: 0.")] = None,
    protocol: o.Protocol = None,
    budget: o.Budget = None,
    epochs: o.Epochs = None,
    size: o.Size = None,
    log: o.Log = None,
    out: o.Out = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Train one network with one loss on all patients but a validation part.

    The same command continues an interrupted training. Examples:

    \b
      unifocal train --data brain --loss unified_focal --out model
      unifocal train --data brain --loss 'focal(gamma=3)' --size 256 --epochs 100 --out model
    """
    from rich.console import Console

    from unifocal.cli.show import show_places
    from unifocal.config.resolve import resolve
    from unifocal.config.schema import TrainConfig

    flags = data_flags | {
        "loss": loss, "seed": seed, "training.epochs": epochs, "preprocessing.size": size, "out": out,
        "protocol": protocol, "budget": budget, "compute.loggers": log,
    }  # fmt: skip
    resolved = resolve(TrainConfig, config=config, settings=set_ or [], flags=flags)

    from unifocal.experiments.progress import ConsoleReporter
    from unifocal.experiments.single import train as run_training

    with ConsoleReporter() as reporter:
        outcome = run_training(resolved, command=o.command_line(), reporter=reporter)
    console = Console(highlight=False)
    record = outcome.record
    console.print(
        f"Best epoch {record['best_epoch'] + 1} of {record['epochs']}: "
        f"Dice on the validation part {record['validation_dice']:.3f}"
    )
    show_places(console, {"Model": outcome.weights, "History": outcome.weights.parent / "history.csv"})
