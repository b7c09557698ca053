"""Whatever happens to one item, the others come back, in their order, and no process stays behind."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from isolated_jobs import do, write_pid

from unifocal.data import child
from unifocal.data.workers import Failed, map_isolated

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")


def results(items: Sequence[tuple[str, float]], **options: Any) -> list[float | Failed]:
    return list(map_isolated(do, items, **options))


def held_bytes() -> int:
    """What a process holds before its item: more where an earlier test has let their server import more."""
    (held,) = results([("held", 0.0)])
    assert not isinstance(held, Failed), held
    return int(held)


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Any:
    yield
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("workers", "together"), [(1, 1), (2, 1), (2, 8), (5, 3)])
def test_results_stand_in_the_order_of_the_items(workers: int, together: int) -> None:
    items = [("wait", 0.3), *(("square", value) for value in range(100))]
    assert results(items, workers=workers, together=together) == [0.3, *(value**2 for value in range(100))]


def test_nothing_to_do() -> None:
    assert results([]) == []


@linux
@pytest.mark.parametrize("together", [1, 5])
def test_each_way_to_fail_costs_its_item_alone(together: int) -> None:
    bad = {
        "segfault": ("crashed", "SIGSEGV"),
        "leave": ("crashed", "exit code 3"),
        "killed": ("memory", "killed"),
        "eat": ("memory", "allocate"),
        "exit": ("error", "bye"),
        "unpicklable error": ("error", "OddError: 1 and 2"),
        "hang in C": ("timeout", "1.5 s"),
    }
    amount = 3e9
    items = [pair for name in bad for pair in ((name, amount), ("square", 3.0))]
    found = results(items, workers=2, timeout_s=1.5, memory_bytes=10**9, together=together)
    assert found[1::2] == [9.0] * len(bad)
    for name, outcome in zip(bad, found[::2], strict=True):
        assert isinstance(outcome, Failed)
        assert (outcome.reason, bad[name][1] in outcome.detail) == (bad[name][0], True), (name, outcome)


def test_many_crashes_one_after_another() -> None:
    items = [("leave" if index % 2 else "square", 2.0) for index in range(40)]
    found = results(items, workers=2)
    assert found[::2] == [4.0] * 20
    assert {outcome.reason for outcome in found[1::2] if isinstance(outcome, Failed)} == {"crashed"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("size", [100, 3_000_000])
def test_killed_at_any_moment_processes_leave_the_others_in_peace(size: int) -> None:
    """Also while they take an item, or send a result that is longer than the line holds."""
    chance, found, kills = random.Random(size), [], 0
    items = [("bytes", float(size))] * (5_000 if size == 100 else 400)

    def collect() -> None:
        found.extend(map_isolated(do, items, workers=2))

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    deadline, seen = time.monotonic() + 300, 0
    while thread.is_alive() and time.monotonic() < deadline:
        thread.join(chance.uniform(0, 0.02))
        # Not `active_children`, which looks after them as only their own threads are to.
        pids = sorted(each.pid for each in tuple(multiprocessing.process._children))
        if pids and len(found) > seen:  # something went on since: not whoever has but begun, again and again
            seen = len(found)
            with suppress(ProcessLookupError):
                os.kill(pids[0], signal.SIGKILL)
                kills += 1
    assert not thread.is_alive()
    assert kills > 2
    assert len(found) == len(items)
    lost = [outcome for outcome in found if isinstance(outcome, Failed)]  # killed when tried alone, too
    assert {outcome.reason for outcome in lost} <= {"memory"}
    assert len(lost) <= kills / 2
    assert {len(outcome) for outcome in found if not isinstance(outcome, Failed)} == {size}


@pytest.mark.parametrize("together", [1, 5])
@pytest.mark.parametrize("what", ["unpicklable result", "endless result", "unloadable result"])
def test_results_that_cannot_be_sent_are_errors(what: str, together: int) -> None:
    found = results([("square", 2.0), (what, 0.0), ("square", 3.0)], together=together)
    assert (found[0], found[2]) == (4.0, 9.0)
    assert isinstance(found[1], Failed)
    assert found[1].reason == "error"


@linux
def test_a_result_may_need_more_memory_than_its_item_on_its_way() -> None:
    (found,) = results([("bytes", 2e8)], memory_bytes=held_bytes() + 3 * 10**8)
    assert not isinstance(found, Failed), found
    assert len(found) == 2e8  # type: ignore[arg-type]


@linux
def test_whom_an_item_has_begun_keeps_nobody_waiting() -> None:
    start = time.monotonic()
    first, second, third = results([("leave a child", 0.0), ("fork", 5.0), ("square", 3.0)], together=2)
    assert first == Failed("crashed", "SIGSEGV")
    assert (second, third) == (5.0, 9.0)
    assert time.monotonic() - start < 30  # the child takes 45


@linux
def test_a_process_that_hangs_up_is_not_taken_for_one_that_lacked_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_PATIENCE_S", 0.5)
    (found,) = results([("close all", 0.0)], timeout_s=15.0)
    assert found == Failed("crashed", "it closed its line")


def test_processes_that_cannot_begin_are_told() -> None:
    with pytest.raises(OSError, match="end again and again"):
        results([("square", 2.0)] * 20, workers=2, preload=["no_such_module_anywhere"])


@linux
def test_limits_are_each_item_s_own() -> None:
    least = held_bytes() + 3 * 10**8

    def memory(item: tuple[str, float]) -> int:
        return least + int(item[1])

    items = [("eat", 4e8), ("eat", 1e6), ("eat", 4e8)]
    generous = results(items, workers=1, memory_bytes=memory)
    assert generous == [4e8, 1e6, 4e8]
    tight = results(items, workers=1, memory_bytes=least)
    assert [isinstance(outcome, Failed) for outcome in tight] == [True, False, True]
    slow = results([("wait", 0.6), ("wait", 0.0)], workers=1, timeout_s=lambda item: 0.2 + 2 * item[1])
    assert slow == [0.6, 0.0]


def test_progress_is_told_once_per_item() -> None:
    count = 0

    def advance() -> None:
        nonlocal count
        count += 1

    results([("square", 1.0)] * 7 + [("leave", 0.0)], workers=1, advance=advance)
    assert count == 8


def test_processes_say_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert results([("shout", 5.0)]) == [5.0]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("through", ["pipe", "script without a guard"])
def test_the_main_script_is_not_run_again(through: str, tmp_path: Path) -> None:
    code = (
        "import os; from isolated_jobs import do; from unifocal.data.workers import map_isolated\n"
        "print('main runs'); print(list(map_isolated(do, [('square', 2.0)] * 20, workers=2)))\n"
    )
    (tmp_path / "script.py").write_text(code)
    command = [sys.executable, "-" if through == "pipe" else str(tmp_path / "script.py")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, input=code, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"main runs\n{[4.0] * 20}\n"
    assert done.stderr == ""


def test_leaving_early_ends_the_processes(tmp_path: Path) -> None:
    start = time.monotonic()
    iterator = map_isolated(do, [("square", 1.0), *[("wait", 30.0)] * 20], workers=2)
    assert next(iterator) == 1.0
    iterator.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 25  # each would wait 30


@linux
def test_an_interrupt_leaves_no_process_behind(tmp_path: Path) -> None:
    code = (
        # A shell starts its background jobs with interruptions ignored.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from pathlib import Path; from isolated_jobs import write_pid; from unifocal.data.workers import map_isolated;"
        f"list(map_isolated(write_pid, [Path({str(tmp_path)!r})] * 30, workers=2, timeout_s=50))"
    )
    assert write_pid.__module__ == "isolated_jobs"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 50
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of them get it
    _, said = process.communicate(timeout=40)
    assert said.decode().strip().endswith("KeyboardInterrupt")
    assert said.decode().count("Traceback") == 1
    for name in (path.name for path in tmp_path.iterdir()):
        assert not Path("/proc", name).exists()
