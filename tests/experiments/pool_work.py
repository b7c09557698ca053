"""Work that does what a test says, in whatever process it is given to."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unifocal.training.records import EpochRecord


def epoch(number: int) -> EpochRecord:
    return EpochRecord(number, 0.5, 0.5, 0.25, 1e-3, 0.1)


@dataclass(frozen=True)
class Scripted:
    """Counts how often it was begun in a file, and dies as often as it is told.

    Attributes:
        study: Holds the counts.
        name: Of the work.
        deaths: How often its process dies.
        signal: By which signal; 0: with an exit code.
        epochs: That it closes before it dies, each time.
        pause: Seconds of each epoch.
        seconds: That it takes beside.
    """

    study: Path
    name: str
    deaths: int = 0
    signal: int = signal.SIGKILL
    epochs: int = 0
    pause: float = 0.0
    seconds: float = 0.0
    threads: int = field(default=1)

    @property
    def folder(self) -> Path:
        return self.study / self.name

    @property
    def begun(self) -> int:
        return len(list(self.folder.glob("begun-*")))

    def execute(self, on_epoch: Callable[[EpochRecord], None]) -> dict[str, Any]:
        self.folder.mkdir(exist_ok=True)
        before = self.begun
        partial = self.folder / "partial"
        partial.write_text(str(os.getpid()))
        partial.replace(self.folder / f"begun-{before}")
        for number in range(self.epochs):
            time.sleep(self.pause)
            on_epoch(epoch(number))
        time.sleep(self.seconds)
        if before < self.deaths:
            if self.signal:
                os.kill(os.getpid(), self.signal)
                time.sleep(60)
            os._exit(3)
        return self.close("done", "")

    def lost(self, reason: str) -> dict[str, Any]:
        return self.close("failed", reason)

    def close(self, status: str, reason: str) -> dict[str, Any]:
        record = {"name": self.name, "status": status, "reason": reason}
        (self.folder / "record.json").write_text(json.dumps(record))
        return record


class Heard:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.steps = 0
        self.ended: list[str] = []
        self.epochs: list[tuple[str, int]] = []
        self.said: list[str] = []

    def stage(self, title: str, total: int, done: int = 0) -> None:
        pass

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.steps += steps

    def run(self, name: str, record: EpochRecord | None) -> None:
        if record is None:
            self.ended.append(name)
        else:
            self.epochs.append((name, record.epoch))

    def say(self, text: str) -> None:
        self.said.append(text)
