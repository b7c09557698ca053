"""What can be done anywhere: in this process, in another one, on another machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from unifocal.training.records import EpochRecord


class Work(Protocol):
    """A run, or a trial of several: a frozen dataclass of plain values, which any process can take."""

    @property
    def name(self) -> str:
        """For notes and messages: `focal, fold 0, seed 0`."""

    @property
    def study(self) -> Path:
        """A field: the folder of all work; with another one, the work is done elsewhere."""

    @property
    def folder(self) -> Path:
        """Its results, inside `study`; `record.json` there is written last, in one step."""

    @property
    def threads(self) -> int:
        """Of PyTorch."""

    def execute(self, on_epoch: Callable[[EpochRecord], None]) -> dict[str, Any]:
        """Do it, or what is left of it; done work returns its record at once.

        Nothing is raised for what a run dies of: the record then says `failed`, and why.
        """

    def lost(self, reason: str) -> dict[str, Any]:
        """Keep and return the failed record of work whose process died too often."""
