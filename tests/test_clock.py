"""The clock: nested stages count once, all add up, errors end stages, and without a clock nothing happens."""

import threading
from collections.abc import Iterator, Mapping

import pytest

from unifocal import clock as clocks
from unifocal.clock import OTHER, Clock, Moment, Spent, measuring, note, noted, running, stage, timed, turn_to


class Time:
    """Time that passes when it is told to; the processor works half of it."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def passes(self, seconds: float) -> None:
        self.seconds += seconds

    def now(self) -> Moment:
        return Moment(self.seconds, self.seconds / 2)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(clocks, "now", time.now)
    return time


def test_nested_stages_count_once_and_all_add_up(time: Time) -> None:
    clock = Clock()
    with measuring(clock):
        time.passes(1)
        for _ in range(2):
            with stage("outer"):
                time.passes(2)
                with stage("inner"):
                    time.passes(4)
                    with stage("outer"):
                        time.passes(8)
                time.passes(16)
        time.passes(32)
    assert clock.read() == {
        OTHER: Spent(0, 33.0, 16.5),
        "outer": Spent(4, 52.0, 26.0),
        "inner": Spent(2, 8.0, 4.0),
    }
    assert sum(spent.seconds for spent in clock.read().values()) == time.seconds - 100


def test_an_error_ends_all_stages_that_it_leaves(time: Time) -> None:
    def fail() -> None:
        with stage("outer"):
            time.passes(1)
            with stage("first"):
                turn_to("second")
                time.passes(2)
                raise KeyError

    clock = Clock()
    with measuring(clock):
        with pytest.raises(KeyError):
            fail()
        time.passes(4)
    found = {name: spent.seconds for name, spent in clock.read().items()}
    assert found == {OTHER: 4, "outer": 1, "first": 0, "second": 2}
    assert running() is None


def test_turning_points_replace_the_innermost_stage(time: Time) -> None:
    clock = Clock()
    with measuring(clock):
        turn_to("nowhere")
        time.passes(1)
        with stage("training"):
            with stage("set-up"):
                time.passes(2)
                for _ in range(3):
                    turn_to("batches")
                    time.passes(4)
                    turn_to("steps")
                    time.passes(8)
            time.passes(16)
    found = {name: (spent.calls, spent.seconds) for name, spent in clock.read().items()}
    assert found == {OTHER: (0, 1), "training": (1, 16), "set-up": (1, 2), "batches": (3, 12), "steps": (3, 24)}


def test_items_are_waited_for_but_what_is_done_with_them_is_not(time: Time) -> None:
    def slow() -> Iterator[int]:
        for number in range(3):
            time.passes(1)
            with stage("inside"):
                time.passes(2)
            yield number

    clock, got = Clock(), []
    with measuring(clock):
        for number in timed("items", slow()):
            got.append(number)
            time.passes(10)
    assert got == [0, 1, 2]
    found = {name: spent.seconds for name, spent in clock.read().items()}
    assert found == {"items": 3, "inside": 6, OTHER: 30}


def test_without_a_clock_nothing_happens() -> None:
    assert running() is None
    assert stage("a") is stage("b")
    with stage("a"):
        turn_to("b")
    note()
    assert list(timed("items", [1, 2])) == [1, 2]


def test_a_clock_adds_to_what_was_before_and_is_noted_also_after_an_error(time: Time) -> None:
    def fail() -> None:
        with stage("work"):
            time.passes(1)
            note()
            time.passes(1)
        raise ZeroDivisionError

    kept: list[Mapping[str, Spent]] = []
    clock = Clock({"work": Spent(5, 50.0, 5.0)}, keep=kept.append)
    with measuring(clock), pytest.raises(ZeroDivisionError), noted():
        fail()
    assert [each["work"] for each in kept] == [Spent(6, 51.0, 5.5), Spent(6, 52.0, 6.0)]
    clock.add("elsewhere", Spent(1, 7.0, 0.0))
    assert clock.read()["elsewhere"] == Spent(1, 7.0, 0.0)


def test_the_clock_before_goes_on_and_other_threads_have_none(time: Time) -> None:
    outer, inner = Clock(), Clock()
    seen: list[object] = []
    with measuring(outer), stage("waiting"):
        with measuring(inner), stage("work"):
            time.passes(3)
            thread = threading.Thread(target=lambda: seen.append(running()))
            thread.start()
            thread.join()
        assert running() is outer
    assert seen == [None]
    assert outer.read()["waiting"].seconds == inner.read()["work"].seconds == 3
    assert "work" not in outer.read()
