"""Several processes on one cache: writing the same keys, running out of room, being killed; and memory over time."""

import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from cache_workers import KEYS, case, hammer, is_right, rewrite_for_ever, stall_before_renaming

from unifocal.preprocessing.cache import Cache, PreparedCase

MB = 10**6

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def processes() -> Iterator[BaseContext]:
    """Processes that start quickly, from a server that has imported what they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cache_workers"])
    return context


def never() -> NoReturn:
    raise AssertionError("made again without need")


def temporaries(cache: Cache) -> list[Path]:
    return list(cache.folder.rglob("*.partial"))


@pytest.mark.parametrize("limit", [100_000, 100 * MB])
def test_many_at_once_get_the_right_cases_and_keep_the_limit(
    processes: BaseContext, tmp_path: Path, limit: int
) -> None:
    cache = Cache(tmp_path / "cache", limit)
    workers = [processes.Process(target=hammer, args=(cache, seed, 60)) for seed in range(4)]
    for worker in workers:
        worker.start()
    sizes = []
    while any(worker.is_alive() for worker in workers):
        sizes.append(cache.size_bytes())
        time.sleep(0.01)
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    # A file that is renamed while they are counted can count twice.
    assert max(sizes) <= limit + 25_000
    assert cache.size_bytes() <= limit
    assert not temporaries(cache)


def test_killed_writers_spoil_nothing(processes: BaseContext, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 100 * MB)
    moments = random.Random(0)
    for _ in range(10):
        ours, theirs = processes.Pipe()
        writer = processes.Process(target=rewrite_for_ever, args=(cache, theirs, 200))
        writer.start()
        assert ours.recv() == "ready"
        time.sleep(moments.uniform(0, 0.06))
        writer.kill()
        writer.join()
        for path in cache.folder.rglob("*.case"):
            assert is_right(cache.fetch(path.stem, never), KEYS.index(path.stem), 200)
    for number, key in enumerate(KEYS):
        assert is_right(cache.fetch(key, lambda number=number: case(number, 200)), number, 200)
    cache.prune()
    assert not temporaries(cache)


def test_what_a_killed_writer_leaves_goes_with_the_next_pruning(processes: BaseContext, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", MB)
    ours, theirs = processes.Pipe()
    writer = processes.Process(target=stall_before_renaming, args=(cache, theirs))
    writer.start()
    assert ours.recv() == "ready"
    assert len(temporaries(cache)) == 1
    writer.kill()
    writer.join()
    assert is_right(cache.fetch(KEYS[0], lambda: case(0)), 0)
    assert cache.prune() == cache.size_bytes()
    assert not temporaries(cache)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / MB


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@linux
def test_thousands_of_cases_leave_memory_files_and_threads_as_they_were(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1000 * MB)
    small = PreparedCase(np.zeros((1, 32, 32), np.float32), np.zeros((32, 32), np.uint8))
    keys = [Cache.key(str(number), pipeline="tiny") for number in range(3000)]

    def read(some: list[str]) -> None:
        for key in some:
            found = cache.fetch(key, lambda: small)
            assert found.classes is not None
            assert found.image[...].shape == (1, 32, 32)
            assert not found.classes[4:8].any()

    read(keys[:500])
    before = resident_mb(), open_files(), threads()
    read(keys)
    read(keys)
    assert resident_mb() - before[0] < 5
    assert (open_files(), threads()) == before[1:]
