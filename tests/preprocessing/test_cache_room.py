"""The limit of the cache: who goes first, what is left alone, what the dead leave behind."""

import os
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from cache_workers import KEYS

from unifocal.preprocessing import cache_room
from unifocal.preprocessing.cache import Cache, PreparedCase

SIZE = 100_000


def noise() -> PreparedCase:
    """A case whose file is about SIZE bytes: random bits do not compress."""
    bits = np.random.default_rng(0).integers(0, 2**32, (1, 100, 250), np.uint32)
    return PreparedCase(bits.view(np.float32))


def never() -> NoReturn:
    raise AssertionError("made again without need")


def fill(cache: Cache, numbers: range) -> None:
    """Cases, each last used a minute after the one before, the last one a day ago."""
    for number in numbers:
        cache.fetch(KEYS[number], noise)
        age = 86400 - 60 * number
        os.utime(cache._room.path(KEYS[number]), (time.time() - age,) * 2)


def kept(cache: Cache) -> list[int]:
    return [number for number, key in enumerate(KEYS) if Path(cache._room.path(key)).exists()]


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, int(5.5 * SIZE))
    fill(cache, range(5))
    cache.fetch(KEYS[0], never)
    cache.fetch(KEYS[5], noise)
    assert kept(cache) == [0, 2, 3, 4, 5]
    cache.fetch(KEYS[6], noise)
    assert kept(cache) == [0, 3, 4, 5, 6]


def test_a_cache_is_filled_to_its_limit(tmp_path: Path) -> None:
    size = len(_content())
    cache = Cache(tmp_path, 8 * size)
    fill(cache, range(8))
    assert kept(cache) == list(range(8))
    assert cache.would_fit(cache.size_bytes())
    cache.fetch(KEYS[8], noise)
    assert cache.size_bytes() <= cache.limit_bytes
    assert kept(cache)[0] > 0
    assert 8 in kept(cache)


def _content() -> bytes:
    from unifocal.preprocessing.cache_entry import pack

    return pack(KEYS[0], noise())


@pytest.mark.parametrize("limit", [0, SIZE // 2])
def test_what_is_larger_than_the_limit_is_made_each_time(tmp_path: Path, limit: int) -> None:
    cache = Cache(tmp_path / "cache", limit)
    assert not cache.would_fit(SIZE)
    for _ in range(2):
        np.testing.assert_array_equal(cache.fetch(KEYS[0], noise).image[...], noise().image)
    assert not cache.folder.exists()


def test_a_negative_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="negative"):
        Cache(tmp_path, -1)


def test_a_smaller_limit_holds_from_the_next_pruning(tmp_path: Path) -> None:
    fill(Cache(tmp_path, 100 * SIZE), range(6))
    smaller = Cache(tmp_path, int(2.5 * SIZE))
    assert smaller.prune() == smaller.size_bytes() <= smaller.limit_bytes
    assert kept(smaller) == [4, 5]


def test_a_large_cache_is_not_counted_at_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scans.append(path) or scandir(path))
    cache = Cache(tmp_path, 1000 * SIZE)
    for number in range(100):
        cache.fetch(Cache.key(str(number), pipeline=""), noise)
    assert 2 <= sum(Path(path) == tmp_path for path in scans) <= 10


def test_what_others_write_counts(tmp_path: Path) -> None:
    one, other = Cache(tmp_path, int(4.5 * SIZE)), Cache(tmp_path, int(4.5 * SIZE))
    for number in range(8):
        (one if number % 2 else other).fetch(KEYS[number], noise)
        assert one.size_bytes() <= one.limit_bytes


def test_clearing_takes_cases_alone(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 100 * SIZE)
    cache.clear()
    fill(cache, range(3))
    others = [cache.folder / "notes.txt", cache.folder / KEYS[0][:2] / "notes.txt", cache.folder / f"{KEYS[0]}.case"]
    for path in others:
        path.touch()
    cache.clear()
    assert kept(cache) == []
    assert cache.size_bytes() == 0
    assert all(path.exists() for path in others)
    cache.fetch(KEYS[0], noise)
    assert kept(cache) == [0]


def test_temporary_files_stay_while_their_writer_may_be_at_work(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = f"{zlib.crc32(socket.gethostname().encode()):08x}"
    elsewhere = f"{zlib.crc32(b'another machine'):08x}"
    group = tmp_path / KEYS[0][:2]
    group.mkdir()
    stays = {
        group / f"{KEYS[0]}.{here}-{os.getpid()}-0123abcd.partial": 10,
        group / f"{KEYS[0]}.{elsewhere}-{ended.pid}-0123abcd.partial": 10,
        group / "notes.partial": 10**6,
    }
    goes = {
        group / f"{KEYS[0]}.{here}-{ended.pid}-0123abcd.partial": 10,
        group / f"{KEYS[0]}.{here}-{os.getpid()}-4567abcd.partial": 2 * cache_room._ABANDONED_AFTER_S,
        group / f"{KEYS[0]}.{elsewhere}-{ended.pid}-4567abcd.partial": 2 * cache_room._ABANDONED_AFTER_S,
    }
    for path, age in (stays | goes).items():
        path.write_bytes(bytes(1000))
        os.utime(path, (time.time() - age,) * 2)
    assert Cache(tmp_path, SIZE).prune() == 2000
    assert all(path.exists() for path in stays)
    assert not any(path.exists() for path in goes)
