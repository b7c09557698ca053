"""`unifocal compare`."""

from pathlib import Path
from typing import Annotated

import typer

from unifocal.cli import options as o


@o.takes_data()
def compare(
    data_flags: o.DataFlags,
    losses: Annotated[
        str | None,
        typer.Option(
            "--losses",
            rich_help_panel="Study",
            help="Losses, with commas; parameters in brackets: 'bce,focal(gamma=3),my.module:MyLoss'. "
            "Default: bce,focal,dice_cross_entropy,unified_focal.",
        ),
    ] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", rich_help_panel="Study", help="Folds over patients. Default: 5.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            rich_help_panel="Study",
            help="k_fold, official, leave_one_group_out, or a file (.csv, .json). Default: k_fold.",
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", rich_help_panel="Study", help="How often the folds are drawn. Default: 1."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group", rich_help_panel="Study", help="The table's column of groups to leave out. Default: site."
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", rich_help_panel="Study", help="Seeds, with commas. Default: 0.")
    ] = None,
    tune: Annotated[
        int | None,
        typer.Option(
            "--tune",
            rich_help_panel="Study",
            help="Tune every loss inside every fold with this many trials; the test part takes no part. Over the "
            "loss's own parameters; --set tuning.over=loss,learning_rate gives losses without any as many trials.",
        ),
    ] = None,
    race: Annotated[
        bool | None,
        typer.Option(
            "--race",
            rich_help_panel="Study",
            help="Fold after fold, and losses that are clearly worse leave (--set race_error=0.05).",
        ),
    ] = None,
    metric: o.Metric = None,
    label: o.Label = None,
    margin: o.Margin = None,
    resamples: o.Resamples = None,
    protocol: o.Protocol = None,
    budget: o.Budget = None,
    epochs: o.Epochs = None,
    size: o.Size = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The study folder. Default: studies/<name of the data>.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", rich_help_panel="Study", help="Runs at once. Default: one per core, or one on a GPU."),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address", rich_help_panel="Study", help="Runs on Ray: auto or host:port joins, local starts one."
        ),
    ] = None,
    gpus_per_run: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-run", rich_help_panel="Study", help="With Ray: share of a GPU for each run, e.g. 0.25."
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            rich_help_panel="Study",
            help="With Ray, where machines share no folder: runs pass through it, e.g. s3://bucket/study.",
        ),
    ] = None,
    log: o.Log = None,
    profile: Annotated[
        bool | None,
        typer.Option("--profile", rich_help_panel="Study", help="Also tell where the time went: profile.csv, report."),
    ] = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Compare losses on one data set: train each on the same folds, score every case, give the verdict.

    The same command continues an interrupted study. Examples:

    \b
      unifocal compare                                         (built-in phantom)
      unifocal compare --data brain --losses bce,focal,unified_focal
      unifocal compare --data drive --split official --size 512
      unifocal compare --data d --losses 'focal(gamma=1),focal(gamma=3)' --set training.batch_size=8
      unifocal compare --data brain --tune 10 --race --log tensorboard
      unifocal compare --data brain --profile                   (where the time went)
      unifocal compare --data brain --ray-address auto --gpus-per-run 0.25 --jobs 16
    """
    from unifocal.cli.show import show_study, show_times
    from unifocal.config.resolve import resolve
    from unifocal.config.schema import StudyConfig

    flags = data_flags | {
        "losses": losses, "split.folds": folds, "split.kind": split, "split.repeats": repeats,
        "split.group": group, "seeds": seeds, "training.epochs": epochs, "metric": metric, "label": label,
        "margin": margin,
        "resamples": resamples, "protocol": protocol, "budget": budget,
        "preprocessing.size": size, "out": out, "jobs": jobs,
        "tuning.trials": tune, "race": race, "compute.ray_address": ray_address,
        "compute.gpus_per_run": gpus_per_run, "compute.storage": storage, "compute.loggers": log,
        "compute.profile": profile,
    }  # fmt: skip
    resolved = resolve(StudyConfig, config=config, settings=set_ or [], flags=flags)

    from unifocal.experiments.compare import compare as run_study
    from unifocal.experiments.progress import ConsoleReporter

    with ConsoleReporter() as reporter:
        outcome = run_study(resolved, command=o.command_line(), reporter=reporter, started=o.STARTED.get())
    show_study(outcome)
    if resolved.compute.profile:
        show_times(outcome.folder)
    if outcome.failed:
        raise typer.Exit(1)
