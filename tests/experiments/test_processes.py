"""Processes that die: their work goes on, the others' is not touched, and nothing stays behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pool_work import Heard, Scripted

from unifocal.config.sections import ComputeConfig
from unifocal.experiments.attempts import Attempts, is_out_of_memory
from unifocal.experiments.pool import execute_all


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_whoever_dies_is_tried_again_or_recorded_as_failed(tmp_path: Path) -> None:
    work = [
        Scripted(tmp_path, "good", epochs=2),
        Scripted(tmp_path, "killed-twice", deaths=2),
        Scripted(tmp_path, "killed-always", deaths=99),
        Scripted(tmp_path, "crashes", deaths=99, signal=signal.SIGSEGV),
        Scripted(tmp_path, "leaves", deaths=99, signal=0),
        Scripted(tmp_path, "slow-but-goes-on", deaths=6, epochs=1),
        Scripted(tmp_path, "also-good", epochs=1),
    ]
    heard = Heard()
    records = dict(execute_all(work, jobs=2, compute=ComputeConfig(attempts=3), reporter=heard))
    assert sorted(records) == list(range(len(work)))
    told = {record["name"]: (record["status"], record["reason"]) for record in records.values()}
    assert all(told[name] == ("done", "") for name in ("good", "killed-twice", "slow-but-goes-on", "also-good"))
    for name, how in (("killed-always", "SIGKILL"), ("crashes", "SIGSEGV"), ("leaves", "exit code 3")):
        status, reason = told[name]
        assert status == "failed"
        assert "3 times" in reason
        assert how in reason
    assert ("memory" in told["killed-always"][1], "memory" in told["crashes"][1]) == (True, False)
    assert [each.begun for each in work] == [1, 3, 3, 3, 3, 7, 1]
    assert heard.steps == len(heard.epochs) == 2 + 7 + 1
    assert sorted(heard.ended) == sorted(each.name for each in work)


def test_whoever_stops_listening_ends_the_processes(tmp_path: Path) -> None:
    work = [Scripted(tmp_path, "quick"), Scripted(tmp_path, "endless", seconds=600)]
    records = execute_all(work, jobs=2, compute=ComputeConfig(), reporter=Heard())
    assert next(records)[0] == 0
    while not work[1].begun:
        time.sleep(0.01)
    pid = int((work[1].folder / "begun-0").read_text())
    assert is_alive(pid)
    assert int(Path(f"/proc/{pid}/oom_score_adj").read_text()) == 1000
    records.close()  # type: ignore[attr-defined]
    assert not is_alive(pid)
    assert is_alive(os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
@pytest.mark.parametrize("seconds", [0.0, 0.7])
def test_an_interrupt_while_processes_start_ends_them(seconds: float, tmp_path: Path) -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\n"
        "from pool_work import Heard, Scripted\n"
        "from unifocal.config.sections import ComputeConfig\n"
        "from unifocal.experiments.pool import execute_all\n"
        f"work = [Scripted(Path({str(tmp_path)!r}), name, seconds=600) for name in 'ab']\n"
        "print('begins', flush=True)\n"
        "list(execute_all(work, jobs=2, compute=ComputeConfig(), reporter=Heard()))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begins\n"
    while not (session := others_of(process.pid)):
        time.sleep(0.01)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said.decode().strip().endswith("KeyboardInterrupt")
    deadline = time.monotonic() + 60
    while others_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not others_of(process.pid), session


def others_of(session: int) -> list[int]:
    """Processes of a session but its first, and its resource tracker, that are alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = stat.read_text().rpartition(")")[2].split()[:4]
            is_tracker = b"resource_tracker" in (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(number) == session and int(stat.parent.name) != session and state != "Z" and not is_tracker:
            found.append(int(stat.parent.name))
    return found


def test_one_job_stays_in_this_process(tmp_path: Path) -> None:
    work = [Scripted(tmp_path, "a", epochs=1), Scripted(tmp_path, "b")]
    assert [index for index, _ in execute_all(work, jobs=1, compute=ComputeConfig(), reporter=Heard())] == [0, 1]
    assert {(each.folder / "begun-0").read_text() for each in work} == {str(os.getpid())}
    assert not list(execute_all([], jobs=2, compute=ComputeConfig(), reporter=Heard()))


@given(st.integers(1, 5), st.lists(st.integers(0, 2), max_size=30))
def test_attempts_end_after_so_many_deaths_in_a_row_without_an_epoch(limit: int, epochs: list[int]) -> None:
    attempts, in_a_row = Attempts(limit), 0
    for closed in epochs:
        in_a_row = 1 if closed else in_a_row + 1
        assert attempts.died(7, closed) == (in_a_row < limit)
    assert attempts.died(8, 0) == (limit > 1)


@pytest.mark.parametrize("size", [2**45, 2**62])
def test_refused_memory_is_known_as_such(size: int) -> None:
    import numpy as np
    import torch

    for allocate in (lambda: torch.ones(size // 4), lambda: np.ones(size, np.uint8), lambda: bytearray(size)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            allocate()
        assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(OSError(28, "No space left on device"))
