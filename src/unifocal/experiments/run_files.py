"""What one run's folder tells while others may be writing to it: epochs so far, how it ended, who is at work."""

import csv
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Lock = Literal["held", "free", "unknown"]

_FRESH_SECONDS = 60.0


@dataclass(frozen=True)
class History:
    """A run's epochs so far.

    Attributes:
        epochs: How many.
        dice: Validation Dice of the last one; None where there is none.
        best_dice: The highest, likewise.
        seconds: Time in epochs, all together.
        changed: When the last one was written, in seconds since 1970; 0 where there is none.
    """

    epochs: int = 0
    dice: float | None = None
    best_dice: float | None = None
    seconds: float = 0.0
    changed: float = 0.0

    @property
    def pace(self) -> float | None:
        """Seconds per epoch."""
        return self.seconds / self.epochs if self.epochs else None

    @property
    def is_fresh(self) -> bool:
        """Whether an epoch ended so lately that another one may be under way."""
        return time.time() - self.changed < max(_FRESH_SECONDS, 5 * (self.pace or 0.0))


def read_history(folder: Path) -> History:
    """A run's `history.csv`; lines that are not whole are left out, and without the file nothing was done."""
    path = folder / "history.csv"
    try:
        changed = path.stat().st_mtime
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return History()
    whole = [row for row in rows if row.get("epoch") and _number(row.get("seconds")) is not None]
    scores = [_number(row.get("validation_dice")) for row in whole]
    return History(
        epochs=len(whole),
        dice=scores[-1] if scores else None,
        best_dice=max((score for score in scores if score is not None), default=None),
        seconds=sum(_number(row["seconds"]) or 0.0 for row in whole),
        changed=changed,
    )


def join_histories(parts: list[History]) -> History:
    """Several runs as one: epochs are counted together, Dice is the mean of those that have one."""
    now = [part.dice for part in parts if part.dice is not None]
    best = [part.best_dice for part in parts if part.best_dice is not None]
    return History(
        epochs=sum(part.epochs for part in parts),
        dice=sum(now) / len(now) if now else None,
        best_dice=sum(best) / len(best) if best else None,
        seconds=sum(part.seconds for part in parts),
        changed=max((part.changed for part in parts), default=0.0),
    )


def lock_of(folder: Path) -> Lock:
    """Whether a process holds the folder's lock.

    Nothing is written, and whoever wants the lock meanwhile gets it a moment later.
    """
    try:
        import fcntl
    except ImportError:  # not a Unix system
        return "unknown"
    try:
        descriptor = os.open(folder / ".lock", os.O_RDONLY)
    except FileNotFoundError:
        return "free"
    except OSError:
        return "unknown"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return "held"
    except OSError:  # a file system without locks
        return "unknown"
    else:
        return "free"
    finally:
        os.close(descriptor)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
