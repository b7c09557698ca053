"""What a person sees while runs go on: one live view of all of them, or plain lines where there is no terminal."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from unifocal.training.records import EpochRecord


class Reporter(Protocol):
    """Where progress goes."""

    def stage(self, title: str, total: int, done: int = 0) -> None:
        """A new stage of `total` steps begins, `done` of them already done."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Some steps are done; `note` says what happens now."""

    def run(self, name: str, record: "EpochRecord | None") -> None:
        """A run closed an epoch; None: it ended, however it did. This counts no steps."""

    def say(self, text: str) -> None:
        """One line that stays."""


class ConsoleReporter:
    """A `Reporter` on standard error.

    In a terminal, below the bar: a line for each run that goes on, and the best so far. The time left is estimated
    from this stage's own pace, leaving out steps that were done before it began. With several runs at once, the first
    epochs of the others are not counted yet when one run ends its own, so until a run ends its second it is a bound.
    """

    _QUIET_SECONDS = 20.0

    def __init__(self, console: Console | None = None) -> None:
        # A notebook's kernel asks for colours, but shows every redrawn line anew.
        in_notebook = "JPY_PARENT_PID" in os.environ
        self.console = console or Console(stderr=True, highlight=False, force_terminal=False if in_notebook else None)
        self.title = ""
        self.total = self.done = self.skipped = 0
        self.started = self.spoken = time.monotonic()
        self.task: TaskID | None = None
        self.runs = Runs()
        self.first: tuple[float, int] | None = None
        fixed, rest = Column(no_wrap=True), Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self.bar = _BarAndRuns(
            TextColumn("{task.description}", table_column=fixed),
            BarColumn(bar_width=16),
            MofNCompleteColumn(table_column=fixed),
            TextColumn("{task.fields[left]}", table_column=fixed),
            TextColumn("{task.fields[note]}", style="dim", markup=False, table_column=rest),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
            expand=True,
        )
        self.bar.below = lambda: self.runs.lines(self.console.height - 3)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def stage(self, title: str, total: int, done: int = 0) -> None:
        """Start a stage; see `Reporter`."""
        self.title, self.total, self.done, self.skipped = title, total, done, done
        self.started = self.spoken = time.monotonic()
        self.runs, self.first = Runs(), None
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.task = self.bar.add_task(title, total=total, completed=done, left="", note="")
        if not self.console.is_terminal and done < total:
            self.console.print(
                f"{title}: {total - done} to do" + (f", {done} done before" if done else ""), soft_wrap=True
            )

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps; see `Reporter`."""
        self.done += steps
        if self.first is None and self.runs.active:
            self.first = (time.monotonic(), self.done)
        left = self._left()
        if self.task is not None:
            # What the note says of an epoch stands in the run's own line.
            shown = "" if self.runs.active else note
            self.bar.update(self.task, completed=self.done, left=left, note=shown)
        now = time.monotonic()
        if not self.console.is_terminal and now - self.spoken > self._QUIET_SECONDS:
            self.spoken = now
            text = ", ".join(filter(None, (f"{self.title}: {self.done} of {self.total}", left)))
            text += f" ({note})" if note else ""
            self.console.print(text, soft_wrap=True, markup=False)

    def run(self, name: str, record: "EpochRecord | None") -> None:
        """Renew a run's line, or take it away; see `Reporter`."""
        self.runs.hear(name, record)

    def say(self, text: str) -> None:
        """Print a line; see `Reporter`."""
        self.console.print(text, soft_wrap=True, markup=False)

    def _left(self) -> str:
        since, before = self.started, self.skipped
        if self.first is not None and self.runs.are_paced:
            since, before = self.first
        fresh = self.done - before
        if fresh <= 0:
            return ""
        seconds = (time.monotonic() - since) / fresh * (self.total - self.done)
        is_bound = self.first is not None and not self.runs.are_paced
        return f"{'at most' if is_bound else 'about'} {describe_seconds(seconds)} left"


class Runs:
    """The runs that go on, each with its last epoch, the best epoch of any, and whether one has ended two epochs."""

    def __init__(self) -> None:
        self.active: dict[str, EpochRecord] = {}
        self.are_paced = False
        self.best: tuple[str, EpochRecord] | None = None

    def hear(self, name: str, record: "EpochRecord | None") -> None:
        """See `Reporter.run`."""
        if record is None:
            self.active.pop(name, None)
            return
        self.are_paced |= name in self.active
        self.active[name] = record
        # Where Dice is undefined, it is not a number, which is never the greater one.
        highest = self.best[1].validation_dice if self.best else -1.0
        if record.validation_dice > highest:
            self.best = (name, record)

    def lines(self, most: int) -> Iterator[RenderableType]:
        """One line per run in a table of at most so many lines, then the best so far."""
        # Another thread draws while epochs come in.
        runs = list(self.active.items())
        shown = runs if len(runs) <= most else runs[: max(0, most - 1)]
        if shown:
            columns = [Column(ratio=1, no_wrap=True, overflow="ellipsis"), *(Column(no_wrap=True) for _ in range(3))]
            table = Table.grid(*columns, padding=(0, 3, 0, 0), expand=True)
            for name, record in shown:
                dice = f"validation Dice {record.validation_dice:.2f}"
                pace = f"{describe_pace(record.seconds)} per epoch"
                table.add_row(Text(f"  {name}"), f"epoch {record.epoch + 1}", dice, Text(pace, "dim"))
            yield table
        if len(shown) < len(runs):
            yield Text(f"  and {len(runs) - len(shown)} more", "dim")
        if self.best is not None:
            name, record = self.best
            text = f"  best so far: {name}: validation Dice {record.validation_dice:.2f}, epoch {record.epoch + 1}"
            yield Text(text, "bold", no_wrap=True, overflow="ellipsis")


class _BarAndRuns(Progress):
    below: Callable[[], Iterable[RenderableType]] = tuple

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield from self.below()


def describe_pace(seconds: float) -> str:
    """A short duration with enough digits: `0.25 s`, `3.1 s`, `45 s`, `3 min`."""
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    return describe_seconds(seconds)


def describe_seconds(seconds: float) -> str:
    """A duration in words: `45 s`, `3 min`, `1 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
