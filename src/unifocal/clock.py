"""Where time goes: named stages, with wall time and processor time. Without a clock nothing is measured."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

T = TypeVar("T")

OTHER = "other"
"""The stage of all time that no other stage takes."""


class Moment(NamedTuple):
    """A point in time.

    Attributes:
        wall: In seconds since some point that all moments of a process share.
        processor: Likewise, of processor time; all threads of the process count.
    """

    wall: float
    processor: float


def now() -> Moment:
    """This moment."""
    return Moment(time.perf_counter(), time.process_time())


@dataclass(frozen=True)
class Spent:
    """What a stage took.

    Attributes:
        calls: How often it was entered.
        seconds: Wall time.
        cpu_seconds: Processor time of this process, all threads together.
    """

    calls: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        seconds, cpu_seconds = self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds
        return Spent(self.calls + other.calls, seconds, cpu_seconds)

    @classmethod
    def since(cls, begun: Moment) -> "Spent":
        """One call that began then and ends now."""
        ended = now()
        return cls(1, ended.wall - begun.wall, ended.processor - begun.processor)


class Clock:
    """Charges every moment to the stage that was entered last: nested stages count once, and all add up to the whole.

    It belongs to the thread that uses it.

    Args:
        earlier: What stages took before, to which this one adds.
        keep: Writes down what stages took; called by `note`.
    """

    def __init__(
        self,
        earlier: Mapping[str, Spent] | None = None,
        keep: Callable[[Mapping[str, Spent]], None] = lambda _spent: None,
    ) -> None:
        self._spent = dict(earlier or {})
        self._keep = keep
        self._inside = [OTHER]
        self._last = now()

    def read(self) -> dict[str, Spent]:
        """What every stage took until now, in the order in which they were first entered; `OTHER` is always there."""
        self._charge()
        return dict(self._spent)

    def add(self, name: str, spent: Spent) -> None:
        """Count time that this clock could not see."""
        self._spent[name] = self._spent.get(name, Spent()) + spent

    def note(self) -> None:
        """Write down what stages took until now."""
        self._keep(self.read())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """See `stage`."""
        depth = len(self._inside)
        self._enter(name)
        try:
            yield
        finally:
            self._charge()
            del self._inside[depth:]

    def turn_to(self, name: str) -> None:
        """See `turn_to`."""
        if len(self._inside) > 1:
            self._enter(name)
            del self._inside[-2]

    def _enter(self, name: str) -> None:
        self._charge()
        self._inside.append(name)
        self.add(name, Spent(calls=1))

    def _charge(self) -> None:
        moment = now()
        self.add(self._inside[-1], Spent(0, moment.wall - self._last.wall, moment.processor - self._last.processor))
        self._last = moment


_RUNNING: ContextVar[Clock | None] = ContextVar("running", default=None)
_NOTHING = nullcontext()


def running() -> Clock | None:
    """The clock that measures what this thread does; None where nothing is measured."""
    return _RUNNING.get()


@contextmanager
def measuring(clock: Clock) -> Iterator[None]:
    """Let a clock measure what this thread does, instead of the one before, until the end."""
    token = _RUNNING.set(clock)
    try:
        yield
    finally:
        _RUNNING.reset(token)


def stage(name: str) -> AbstractContextManager[None]:
    """Charge what is done inside to a stage, but what inner stages take. No `yield` of a generator may lie inside."""
    clock = _RUNNING.get()
    return _NOTHING if clock is None else clock.stage(name)


def turn_to(name: str) -> None:
    """End the innermost stage and begin another in its place, for code that is called at turning points.

    Outside of all stages nothing happens, as nobody would end it.
    """
    clock = _RUNNING.get()
    if clock is not None:
        clock.turn_to(name)


def timed(name: str, items: Iterable[T]) -> Iterator[T]:
    """The items; the time until each has come is a stage."""
    coming, end = iter(items), object()
    while True:
        with stage(name):
            item = next(coming, end)
        if item is end:
            return
        yield item  # type: ignore[misc]  # it is no longer the end


def note() -> None:
    """Write down what stages took until now, so that it is not lost should this process end."""
    clock = _RUNNING.get()
    if clock is not None:
        clock.note()


@contextmanager
def noted() -> Iterator[None]:
    """Write down at the end what stages took, also where an error ends it."""
    try:
        yield
    finally:
        note()
