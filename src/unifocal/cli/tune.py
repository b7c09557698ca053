"""`unifocal tune`."""

from typing import TYPE_CHECKING, Annotated

import typer

from unifocal.cli import options as o

if TYPE_CHECKING:
    from unifocal.experiments.tuning.tune import TuneOutcome

_SEARCH = "Search"


@o.takes_data()
def tune(
    data_flags: o.DataFlags,
    loss: Annotated[
        str | None,
        typer.Option("--loss", rich_help_panel=_SEARCH, help="The loss. Default: unified_focal."),
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(
            "--over",
            rich_help_panel=_SEARCH,
            help="What is searched, with commas: parameters of the loss, learning_rate, epochs, width, augmentation; "
            "with a range (alpha=0.3:0.9), steps (epochs=10:60:10) or choices (symmetric=true|false), else the "
            "catalogue's. Default: loss, all of its parameters that were not given with it.",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            rich_help_panel=_SEARCH,
            help="How many, the first with the settings as given. Default: 20, or all points of a grid.",
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option("--search", rich_help_panel=_SEARCH, help="optuna, random or grid. Default: optuna."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            rich_help_panel=_SEARCH,
            help="asha stops trials that lag behind (with Ray, several at once); none lets all go to their end.",
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            "--objective",
            rich_help_panel=_SEARCH,
            help="Metrics that trials are judged by, with commas: dice,hd95. Default: dice.",
        ),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(
            "--sweep",
            rich_help_panel=_SEARCH,
            help="One parameter at given values, and its figure: gamma=0.1:0.9:0.1.",
        ),
    ] = None,
    inner_folds: Annotated[
        int | None,
        typer.Option(
            "--inner-folds",
            rich_help_panel=_SEARCH,
            help="Folds over patients that each trial is judged on. Default: 3.",
        ),
    ] = None,
    test_fold: Annotated[
        int | None,
        typer.Option(
            "--test-fold",
            rich_help_panel=_SEARCH,
            help="The patients that this fold of the split tests take no part. Default: all do.",
        ),
    ] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", rich_help_panel=_SEARCH, help="Folds of that split. Default: 5.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", rich_help_panel=_SEARCH, help="That split, as for compare. Default: k_fold."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", rich_help_panel=_SEARCH, help="Of weights and of the search. Default: 0.")
    ] = None,
    protocol: o.Protocol = None,
    budget: o.Budget = None,
    epochs: o.Epochs = None,
    size: o.Size = None,
    out: o.Out = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", rich_help_panel="Study", help="Trials at once. Default: one per core, or one on a GPU."),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address", rich_help_panel="Study", help="A Ray cluster: auto or host:port; local starts one."
        ),
    ] = None,
    gpus_per_run: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-run", rich_help_panel="Study", help="With Ray: share of a GPU for each trial, e.g. 0.25."
        ),
    ] = None,
    log: o.Log = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Search the best settings for one loss, by the mean over the patients of inner folds.

    The same command continues an interrupted search; more --trials are added to those before. The best settings
    are written as best.yaml, which --config of compare and of train takes. Examples:

    \b
      unifocal tune --data brain --loss focal --over alpha,epochs=10:60 --trials 20 --out tuned
      unifocal tune --data brain --loss unified_focal --sweep gamma=0.1:0.9:0.1 --out sweep
      unifocal tune --data brain --loss focal --test-fold 0 --folds 5 --objective dice,hd95 --out tuned
      unifocal train --data brain --config tuned/best.yaml --out model
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.schema import TuneConfig

    flags = data_flags | _sweep(sweep, over=over, search=search, scheduler=scheduler) | {
        "loss": loss, "tuning.trials": trials, "tuning.objective": objective, "tuning.inner_folds": inner_folds,
        "tuning.seed": seed, "seed": seed, "test_fold": test_fold, "split.folds": folds, "split.kind": split,
        "training.epochs": epochs, "preprocessing.size": size, "out": out, "jobs": jobs, "protocol": protocol,
        "budget": budget, "compute.ray_address": ray_address, "compute.gpus_per_run": gpus_per_run,
        "compute.loggers": log,
    }  # fmt: skip
    resolved = resolve(TuneConfig, config=config, settings=set_ or [], flags=flags)

    from unifocal.experiments.progress import ConsoleReporter
    from unifocal.experiments.tuning.tune import tune as run_search

    with ConsoleReporter() as reporter:
        outcome = run_search(resolved, command=o.command_line(), reporter=reporter)
    _show(outcome)


def _sweep(sweep: str | None, *, over: str | None, search: str | None, scheduler: str | None) -> dict[str, str | None]:
    """What `--sweep` stands for, or the flags themselves."""
    from unifocal.config.values import parse_searched
    from unifocal.problems import bad_input

    if sweep is None:
        return {"tuning.over": over, "tuning.search": search, "tuning.scheduler": scheduler}
    where = f"--sweep {sweep}"
    given = {"--over": over, "--search": search, "--scheduler": scheduler}
    others = [flag for flag, value in given.items() if value is not None]
    if others:
        raise bad_input(where, f"decides {', '.join(others)} itself", f"Leave {', '.join(others)} away.")
    try:
        asked = parse_searched(sweep)
    except ValueError as error:
        raise bad_input(where, str(error), "Write --sweep gamma=0.1:0.9:0.1.") from None
    if len(asked) != 1 or not (asked[0].get("step") or asked[0].get("choices")):
        raise bad_input(where, "is not one parameter at given values", "Write --sweep gamma=0.1:0.9:0.1.")
    return {"tuning.over": sweep, "tuning.search": "grid", "tuning.scheduler": "none"}


def _show(outcome: "TuneOutcome") -> None:
    """The best trial beside the settings as given, what did not go through, and where the results are."""
    from rich.console import Console
    from rich.table import Table

    from unifocal.cli.show import show_places

    console = Console(highlight=False)
    table = Table(title="mean over the patients of inner folds", title_justify="left", title_style="bold")
    for heading in ("", *outcome.best["values"], *outcome.best["objective"]):
        table.add_column(heading, justify="right" if heading else "left")
    for title, record in (("as given", outcome.given), (f"trial {outcome.best['trial']}, the best", outcome.best)):
        cells = [*record["values"].values(), *record["objective"].values()]
        table.add_row(
            title, *("-" if cell is None else f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells)
        )
    console.print(table)
    for status in ("stopped", "failed"):
        count = sum(record["status"] == status for record in outcome.records)
        if count:
            console.print(f"{count} of {len(outcome.records)} trials {status}; trials.csv says why.")
    places = {"Report": outcome.report, "Trials": outcome.folder / "trials.csv", "Best": outcome.folder / "best.yaml"}
    show_places(console, places)
