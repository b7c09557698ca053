"""`unifocal compare`."""

from pathlib import Path
from typing import Annotated

import typer

from unifocal.cli import options as o


def compare(
    data: o.Data = None,
    losses: Annotated[
        str | None,
        typer.Option(
            "--losses",
            rich_help_panel="Study",
            help="Losses, with commas; parameters in brackets: 'bce,focal(gamma=3),my.module:MyLoss'.",
        ),
    ] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", rich_help_panel="Study", help="Folds over patients. Default: 5.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", rich_help_panel="Study", help="Seeds, with commas. Default: 0.")
    ] = None,
    epochs: o.Epochs = None,
    size: o.Size = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The study folder. Default: studies/<name of the data>.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", rich_help_panel="Study", help="Runs at once. Default: one per core, or one on a GPU."),
    ] = None,
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
    """Compare losses on one data set: train each on the same folds, score every case, give the verdict.

    The same command continues an interrupted study. Examples:

    \b
      unifocal compare                                         (built-in phantom)
      unifocal compare --data brain --losses bce,focal,unified_focal
      unifocal compare --data drive/training --masks 1st_manual --pair-by number --size 512
      unifocal compare --data d --losses 'focal(gamma=1),focal(gamma=3)' --set training.batch_size=8
    """
    from unifocal.cli.show import show_study
    from unifocal.config.resolve import resolve
    from unifocal.config.schema import StudyConfig

    flags = o.data_flags(
        data=data, images=images, masks=masks, pair_by=pair_by, mask_suffix=mask_suffix,
        mask_threshold=mask_threshold, cases=cases, case_column=case_column, patient_column=patient_column,
        patient_pattern=patient_pattern, spacing=spacing,
    )  # fmt: skip
    flags |= {
        "losses": losses, "split.folds": folds, "seeds": seeds, "training.epochs": epochs,
        "preprocessing.size": size, "out": out, "jobs": jobs,
    }  # fmt: skip
    resolved = resolve(StudyConfig, config=config, settings=set_ or [], flags=flags)

    from unifocal.experiments import ConsoleReporter
    from unifocal.experiments import compare as run_study

    with ConsoleReporter() as reporter:
        outcome = run_study(resolved, command=o.command_line(), reporter=reporter)
    show_study(outcome)
    if outcome.failed:
        raise typer.Exit(1)
