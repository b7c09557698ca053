"""`unifocal train`."""

from typing import Annotated

import typer

from unifocal.cli import options as o


def train(
    data: o.Data = None,
    loss: Annotated[
        str | None,
        typer.Option("--loss", rich_help_panel="Study", help="The loss. Default: unified_focal."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", rich_help_panel="Study", help="Default: 0.")] = None,
    epochs: o.Epochs = None,
    size: o.Size = None,
    out: o.Out = None,
    images: o.Images = None,
    masks: o.Masks = None,
    pair_by: o.PairBy = None,
    mask_suffix: o.MaskSuffix = None,
    mask_threshold: o.MaskThreshold = None,
    cases: o.Cases = None,
    case_column: o.CaseColumn = None,
    patient_column: o.PatientColumn = None,
    patient_pattern: o.PatientPattern = None,
    spacing: o.Spacing = None,
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

    flags = o.data_flags(
        data=data, images=images, masks=masks, pair_by=pair_by, mask_suffix=mask_suffix,
        mask_threshold=mask_threshold, cases=cases, case_column=case_column, patient_column=patient_column,
        patient_pattern=patient_pattern, spacing=spacing,
    )  # fmt: skip
    flags |= {"loss": loss, "seed": seed, "training.epochs": epochs, "preprocessing.size": size, "out": out}
    resolved = resolve(TrainConfig, config=config, settings=set_ or [], flags=flags)

    from unifocal.experiments import ConsoleReporter
    from unifocal.experiments import train as run_training

    with ConsoleReporter() as reporter:
        outcome = run_training(resolved, command=o.command_line(), reporter=reporter)
    console = Console(highlight=False)
    record = outcome.record
    console.print(
        f"Best epoch {record['best_epoch'] + 1} of {record['epochs']}: "
        f"Dice on the validation part {record['validation_dice']:.3f}"
    )
    show_places(console, {"Model": outcome.weights, "History": outcome.weights.parent / "history.csv"})
