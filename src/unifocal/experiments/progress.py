"""What a person sees while runs go on: a bar with the time left, or plain lines where there is no terminal."""

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column


class Reporter(Protocol):
    """Where progress goes."""

    def stage(self, title: str, total: int, done: int = 0) -> None:
        """A new stage of `total` steps begins, `done` of them already done."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Some steps are done; `note` says what happens now."""

    def say(self, text: str) -> None:
        """One line that stays."""


class ConsoleReporter:
    """A `Reporter` on standard error.

    The time left is estimated from this stage's own pace, leaving out steps that were done before it began.
    """

    _QUIET_SECONDS = 20.0

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.title = ""
        self.total = self.done = self.skipped = 0
        self.started = self.spoken = time.monotonic()
        self.task: TaskID | None = None
        fixed, rest = Column(no_wrap=True), Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self.bar = Progress(
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
        left = self._left()
        if self.task is not None:
            self.bar.update(self.task, completed=self.done, left=left, note=note)
        now = time.monotonic()
        if not self.console.is_terminal and now - self.spoken > self._QUIET_SECONDS:
            self.spoken = now
            text = f"{self.title}: {self.done} of {self.total}, {left}" + (f" ({note})" if note else "")
            self.console.print(text, soft_wrap=True, markup=False)

    def say(self, text: str) -> None:
        """Print a line; see `Reporter`."""
        self.console.print(text, soft_wrap=True, markup=False)

    def _left(self) -> str:
        fresh = self.done - self.skipped
        if fresh <= 0:
            return ""
        seconds = (time.monotonic() - self.started) / fresh * (self.total - self.done)
        return f"about {describe_seconds(seconds)} left"


def describe_seconds(seconds: float) -> str:
    """A duration in words: `45 s`, `3 min`, `1 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
