"""How far a study is, as a table for the terminal."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from unifocal.experiments.progress import describe_pace, describe_seconds
from unifocal.experiments.status import STATES, RunStatus, StudyStatus

_FIRST = ("running", "failed", "stopped", "waiting", "done", "dropped", "not needed")
_STYLES = {"running": "bold green", "failed": "bold red", "stopped": "yellow"}
_STYLES |= dict.fromkeys(("waiting", "dropped", "not needed"), "dim")


def overview(found: StudyStatus, *, rows: int | None = None) -> Group:
    """Every run in a table (trials of nested tuning: a row per search), then the sums in a line or two.

    Args:
        found: What is known.
        rows: The most rows of the table; those that go on or failed come first then.
    """
    runs, trials = _runs(found), _nested_trials(found)
    chosen = list(runs) if rows is None else sorted(runs, key=lambda run: _FIRST.index(run.state))[:rows]
    parts: list[RenderableType] = [_searches(trials, rows)] if trials else []
    parts.append(_table(chosen))
    if len(chosen) < len(runs):
        parts.append(Text(f"and {len(runs) - len(chosen)} more", "dim"))
    parts += [
        Text(f"{run.name}: {run.state}: {run.reason}", overflow="fold")
        for run in (*trials, *chosen)
        if run.reason and run.state in ("failed", "dropped", "not needed")
    ]
    parts.append(Text(summary_line(found), "bold"))
    best = found.best
    if best is not None:
        parts.append(Text(f"Best so far: {best.name}: validation Dice {best.best_dice:.3f}"))
    return Group(*parts)


def summary_line(found: StudyStatus) -> str:
    """Counts and time left in words."""
    parts = []
    for runs, noun in ((_nested_trials(found), "trials"), (_runs(found), "trials" if _is_tuning(found) else "runs")):
        counts = Counter(run.state for run in runs)
        others = [f"{counts[state]} {state}" for state in STATES if counts[state] and state != "done"]
        if runs:
            parts.append(", ".join([f"{counts['done']} of {len(runs)} {noun} done", *others]))
    return "; ".join([*parts, *_time_left(found)])


def _time_left(found: StudyStatus) -> list[str]:
    if found.is_over:
        return ["nothing left to do"]
    left = "" if found.seconds_left is None else f"about {describe_seconds(found.seconds_left)}"
    if found.is_active:
        return [f"{left} left"] if left else []
    work = f" ({left} of work is left)" if left else ""
    return [f"nobody is at work on it, the same command goes on{work}"]


def _table(runs: Sequence[RunStatus]) -> Table:
    has = {name: any(getattr(run, name) is not None for run in runs) for name in ("fold", "seed", "trial")}
    table = Table()
    table.add_column("loss")
    for name in ("fold", "seed", "trial"):
        if has[name]:
            table.add_column(name, justify="right")
    table.add_column("state")
    for heading in ("epoch", "validation Dice", "best", "per epoch"):
        table.add_column(heading, justify="right")
    for run in runs:
        places = [str(getattr(run, name)) for name in has if has[name]]
        pace = "" if run.seconds_per_epoch is None else describe_pace(run.seconds_per_epoch)
        table.add_row(
            Text(run.loss),
            *places,
            Text(run.state, _STYLES.get(run.state, "")),
            f"{run.epoch} of {run.epochs}" if run.epochs else str(run.epoch),
            _number(run.dice),
            _number(run.best_dice),
            pace,
        )
    return table


def _searches(trials: Sequence[RunStatus], rows: int | None) -> RenderableType:
    searches: dict[tuple[str, int | None], list[RunStatus]] = {}
    for trial in trials:
        searches.setdefault((trial.loss, trial.fold), []).append(trial)
    if rows is not None:
        searches = {key: runs for key, runs in searches.items() if not all(run.is_ended for run in runs)}
    table = Table(title="tuning", title_justify="left")
    table.add_column("loss")
    for heading in ("fold", "trials done", "running", "failed", "best"):
        table.add_column(heading, justify="right")
    for (loss, fold), runs in searches.items():
        counts = Counter(run.state for run in runs)
        best = max((run.best_dice for run in runs if run.best_dice is not None), default=None)
        done = f"{counts['done']} of {len(runs)}"
        table.add_row(Text(loss), str(fold), done, str(counts["running"]), str(counts["failed"]), _number(best))
    return table


def _is_tuning(found: StudyStatus) -> bool:
    return found.kind == "tuning"


def _runs(found: StudyStatus) -> tuple[RunStatus, ...]:
    return tuple(run for run in found.runs if _is_tuning(found) or run.trial is None)


def _nested_trials(found: StudyStatus) -> tuple[RunStatus, ...]:
    return tuple(run for run in found.runs if run.trial is not None and not _is_tuning(found))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
