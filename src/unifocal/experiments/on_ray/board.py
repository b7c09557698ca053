"""How epochs come from tasks to the study: none is lost with a process, with a late answer, or with the board."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from unifocal.experiments.on_ray.cluster import RayFailedError
from unifocal.training.records import EpochRecord

_START_S = 300.0
_PATIENCE_S = 60.0


class Board:
    """Where tasks pin up their epochs; Ray makes an actor of it, on the machine of the study."""

    def __init__(self) -> None:
        self.epochs: dict[int, list[EpochRecord]] = {}

    def pin(self, attempt: int, first: int, records: Sequence[EpochRecord]) -> int:
        """Keep epochs of an attempt; what is known already is not kept twice, and what would leave a gap not at all.

        Args:
            attempt: Which.
            first: The place of the first of `records` among the attempt's epochs.
            records: The epochs.

        Returns:
            How many of the attempt are known now.
        """
        known = self.epochs.setdefault(attempt, [])
        if first <= len(known):
            known += records[len(known) - first :]
        return len(known)

    def read(self, told: Mapping[int, int]) -> dict[int, list[EpochRecord]]:
        """Of each attempt the epochs after the `told` ones. They stay: whoever got no answer asks again.

        Attempts are numbered in the order in which they begin; those before all that are asked about are over.
        """
        first = min(told, default=0)
        self.epochs = {attempt: known for attempt, known in self.epochs.items() if attempt >= first}
        return {attempt: self.epochs.get(attempt, [])[count:] for attempt, count in told.items()}


class Pen:
    """Pins up the epochs of one attempt, each before training goes on: a process that dies takes none along.

    Args:
        board: The actor.
        attempt: Which.
    """

    def __init__(self, board: Any, attempt: int) -> None:
        self.board, self.attempt = board, attempt
        self.epochs: list[EpochRecord] = []
        self._known = 0

    def __call__(self, record: EpochRecord) -> None:
        """One more epoch."""
        self.epochs.append(record)
        with suppress(RayError):  # the next epoch tries again, and the attempt's result brings all of them
            for _ in range(2):  # a board that was started anew knows nothing, and says so
                unknown = self.epochs[self._known :]
                pinned = self.board.pin.remote(self.attempt, self._known, unknown)
                self._known = ray.get(pinned, timeout=_PATIENCE_S)
                if self._known == len(self.epochs):
                    return


def put_up() -> Any:
    """A board on this machine. It is there when this returns: what is sent before may wait in processes that die.

    Raises:
        RayFailedError: If Ray starts no process here.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    # Calls may come twice, which harms nothing; without retries they fail while it is started anew.
    keeps_on = {"max_restarts": -1, "max_task_retries": -1}
    board: Any = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here, **keeps_on).remote()
    try:
        ray.get(board.read.remote({}), timeout=_START_S)
    except RayError as error:
        why = " ".join(str(error).split())[-300:]
        raise RayFailedError(f"Ray starts no process on the machine of the study ({why})") from error
    return board


def read(board: Any, told: Mapping[int, int]) -> dict[int, list[EpochRecord]] | None:
    """As `Board.read`; None where it does not answer in time."""
    with suppress(RayError):
        found: dict[int, list[EpochRecord]] = ray.get(board.read.remote(told), timeout=_PATIENCE_S)
        return found
    return None
