"""All verbs, and how each kind of failure is told."""

import sys
from collections.abc import Sequence

import typer

from unifocal import __version__
from unifocal.cli import compare, data, evaluate, export, losses, predict, protocols, report, status, train, tune
from unifocal.cli.options import STARTED
from unifocal.clock import Moment
from unifocal.problems import InputError, WorkFailedError

INTERRUPTED = 130
INTERRUPTION = "\nInterrupted. The same command continues where it stopped.\n"

app = typer.Typer(
    name="unifocal",
    help="Which loss to train a segmentation network with, on your own data, and how sure you can be.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="compare")(compare.compare)
app.command(name="train")(train.train)
app.command(name="tune")(tune.tune)
app.command(name="predict")(predict.predict)
app.command(name="export")(export.export)
app.command(name="evaluate")(evaluate.evaluate)
app.command(name="status")(status.status)
app.command(name="report")(report.report)
app.command(name="protocols")(protocols.protocols)
app.command(name="losses")(losses.losses)
app.add_typer(data.app, name="data")


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"unifocal {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    """Which loss to train a segmentation network with, on your own data, and how sure you can be."""


def run(arguments: Sequence[str], *, started: Moment | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name.
        started: When this process began, where it runs this and nothing else.

    Returns:
        The exit code.
    """
    STARTED.set(started)
    try:
        app(list(arguments), prog_name="unifocal")
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            sys.stderr.write(INTERRUPTION)
        return stop.code if isinstance(stop.code, int) else 1
    except InputError as error:
        sys.stderr.write(describe(error))
        return 2
    except OSError as error:
        sys.stderr.write(f"Failed: {error.strerror or error}: {error.filename or ''}\n")
        return 1
    except WorkFailedError as error:
        sys.stderr.write(f"Failed: {error}.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(INTERRUPTION)
        return INTERRUPTED
    return 0


def describe(error: InputError) -> str:
    """Every problem, one per paragraph: where, what, and what to do."""
    count = len(error.problems)
    head = "There is 1 problem" if count == 1 else f"There are {count} problems"
    lines = [f"{head}; nothing was written."]
    for number, problem in enumerate(error.problems, start=1):
        lines += [f"{number:3}. {problem.where}", f"     {problem.what.rstrip('.')}.", f"     -> {problem.remedy}"]
    return "\n".join(lines) + "\n"
