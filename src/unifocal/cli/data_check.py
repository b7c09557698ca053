"""`unifocal data check`."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unifocal.cli import options as o

if TYPE_CHECKING:
    from unifocal.experiments.check import CheckReport
    from unifocal.problems import Problem

_SHOWN = 5


@o.takes_data(as_argument=True)
def check(
    data_flags: o.DataFlags,
    split: Annotated[
        Path | None,
        typer.Option("--split", help="A split file (.csv or .json) to check: no patient may be on two sides."),
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option("--fix", metavar="OUT", help="Write a mended copy to this new folder; the data stay untouched."),
    ] = None,
    show_all: Annotated[
        bool, typer.Option("--all", help=f"Show every problem, not only {_SHOWN} of each kind.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, and nothing else.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes. Default: one per core.")] = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Read every file of a data set and list every problem: errors first, then warnings.

    Exits with 0 if there are no errors, with 2 if there are. Examples:

    \b
      unifocal data check brain
      unifocal data check drive --split my_split.csv --json
      unifocal data check scans --mask-threshold 128 --fix scans-mended
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.verbs import CheckConfig
    from unifocal.experiments.check import run_check
    from unifocal.experiments.progress import ConsoleReporter

    flags = data_flags | {"split": split, "fix": fix, "workers": workers}
    resolved = resolve(CheckConfig, config=config, settings=set_ or [], flags=flags)
    with ConsoleReporter() as reporter:
        report = run_check(resolved, reporter=reporter)
    if as_json:
        typer.echo(json.dumps(report.content(), indent=2))
    else:
        typer.echo("\n".join(_lines(report, resolved.fix, None if show_all else _SHOWN)))
    if report.result.errors:
        raise typer.Exit(2)


def _lines(report: "CheckReport", fix: Path | None, most: int | None) -> list[str]:
    result = report.result
    lines = _listed("Errors", result.errors, most) + _listed("Warnings", result.warnings, most)
    if report.mended is not None:
        told = ", ".join(f"{count} {what}" for what, count in report.mended.items())
        lines.append(f"Mended copy: {fix} ({told}; fixes.csv says what was done)")
    cases, patients = len(result.dataset.cases), result.patients
    whose = f" of {_number(patients, 'patient')}" if result.dataset.patients_known else ""
    verdict = f"{_number(len(result.errors), 'error')}, {_number(len(result.warnings), 'warning')}"
    if not cases:
        return [*lines, f"{report.data}: nothing was read; {verdict}"]
    lines.append(f"{report.data} ({result.dataset.declared.layout}): {_number(cases, 'case')}{whose}; {verdict}")
    return lines


def _listed(title: str, problems: "Sequence[Problem]", most: int | None) -> list[str]:
    """The problems by kind, the most frequent kind last; no more of each than asked for."""
    if not problems:
        return []
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind or "other"].append(problem)
    lines = [f"{title}: {len(problems)}"]
    for kind, members in sorted(kinds.items(), key=lambda item: len(item[1])):
        lines.append(f"  {kind} ({len(members)})")
        for problem in members[:most]:
            lines += [f"    {problem.where}", f"      {problem.what.rstrip('.')}.", f"      -> {problem.remedy}"]
        if most is not None and len(members) > most:
            lines.append(f"    ... and {len(members) - most} more (--all shows them, --json lists them)")
    return [*lines, ""]


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
