"""Prepared cases, kept between runs: found by content and pipeline, made again when missing or damaged."""

import hashlib
import mmap
import os
import re
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from unifocal.preprocessing.cache_entry import CachedCase, PreparedCase, pack, unpack
from unifocal.preprocessing.cache_room import Room
from unifocal.preprocessing.cache_tiles import DamagedError
from unifocal.problems import bad_input

__all__ = ["Cache", "CachedCase", "PreparedCase", "default_folder", "fingerprint", "parse_bytes"]

_FORMAT = "1"
"""Part of every key: entries of another format are never looked at, and go as the least recently used."""
_TOUCH_AFTER_NS = 60 * 10**9
_KEY = re.compile(r"[0-9a-f]{8,}")
_warned: set[Path] = set()


class Cache:
    """A folder of prepared cases, at most so large, that any number of processes read and write at the same time.

    Each case is one file, written under another name and renamed: it is whole or not there. Whatever goes wrong with
    the folder (read-only, full, damaged, emptied meanwhile), `fetch` still returns the right case, only slower.

    Cheap to make and to send to another process. Not meant for untrusted folders: who can write there can forge cases.

    Args:
        folder: Where; made at the first write, readable by its owner alone.
        limit_bytes: The least recently used cases are removed beyond it; 0 keeps nothing.

    Raises:
        ValueError: If the limit is negative.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        if limit_bytes < 0:
            message = f"the limit of a cache cannot be negative: {limit_bytes}"
            raise ValueError(message)
        self.folder = Path(folder)
        self.limit_bytes = limit_bytes
        self._room = _room(self.folder, limit_bytes)

    def __reduce__(self) -> tuple[type["Cache"], tuple[Path, int]]:
        return Cache, (self.folder, self.limit_bytes)

    def __repr__(self) -> str:
        return f"Cache({str(self.folder)!r}, {self.limit_bytes})"

    @staticmethod
    def key(*content: bytes | str, pipeline: str) -> str:
        """The key of a case: SHA-256 of all that its prepared arrays depend on.

        Args:
            content: For instance the `fingerprint` of the image and of the mask, or what says that there is no mask.
            pipeline: The identity of the preparation, everything that changes its result included.
        """
        digest = hashlib.sha256()
        for part in (_FORMAT, pipeline, *content):
            data = part.encode() if isinstance(part, str) else part
            # The lengths keep ("ab", "c") and ("a", "bc") apart.
            digest.update(len(data).to_bytes(8, "little") + data)
        return digest.hexdigest()

    def fetch(self, key: str, make: Callable[[], PreparedCase]) -> CachedCase:
        """The case with this key, from the folder or, where it is missing or damaged, made and kept.

        Args:
            key: From `Cache.key`.
            make: Prepares the case. Called again later where a tile of the stored case turns out to be damaged when it
                is read, so it must stay callable as long as the result is used.

        Raises:
            ValueError: If the key is not hexadecimal.
        """
        if not _KEY.fullmatch(key):
            message = f"not a key of this cache: {key!r}"
            raise ValueError(message)
        with suppress(OSError, DamagedError):
            return self._open(key, make)
        content = pack(key, make())
        if self._keep(key, content):
            with suppress(OSError, DamagedError):
                return self._open(key, make)
        return self._view(key, content, make)

    def would_fit(self, size: int) -> bool:
        """Whether so many bytes, compressed, can all be kept.

        A data set that does not fit is made again and again: read in turn, each case is removed before its next use.
        """
        return size <= self.limit_bytes

    def holds(self, keys: Iterable[str]) -> bool:
        """Whether all these cases are there now."""
        return all(Path(self._room.path(key)).is_file() for key in keys)

    def size_bytes(self) -> int:
        """What the folder's cases take, counted now."""
        return sum(file.size for file in self._room.stored())

    def prune(self) -> int:
        """Remove what killed writers left, and the least recently used cases beyond the limit.

        Returns:
            The bytes that remain.

        Raises:
            OSError: If the folder cannot be locked.
        """
        return self._room.remove_until(self.limit_bytes)

    def clear(self) -> None:
        """Remove all cases, and no other file.

        Raises:
            OSError: If the folder cannot be locked.
        """
        self._room.remove_until(0)

    def _open(self, key: str, make: Callable[[], PreparedCase]) -> CachedCase:
        path = self._room.path(key)
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            state = os.fstat(handle)
            if state.st_size == 0:
                raise DamagedError
            content = mmap.mmap(handle, state.st_size, access=mmap.ACCESS_READ)
        finally:
            os.close(handle)
        case = self._view(key, content, make)
        if time.time_ns() - state.st_mtime_ns > _TOUCH_AFTER_NS:
            with suppress(OSError):
                os.utime(path)
        return case

    def _view(self, key: str, content: bytes | mmap.mmap, make: Callable[[], PreparedCase]) -> CachedCase:
        return unpack(key, memoryview(content), lambda: self._renew(key, make))

    def _renew(self, key: str, make: Callable[[], PreparedCase]) -> CachedCase:
        content = pack(key, make())
        self._keep(key, content)
        # From memory: should the disk damage it again, the reader is right all the same.
        return self._view(key, content, make)

    def _keep(self, key: str, content: bytes) -> bool:
        if not self.would_fit(len(content)):
            return False
        try:
            self._room.write(key, content)
        except OSError as error:
            self._warn(error)
            return False
        return True

    def _warn(self, error: OSError) -> None:
        if self.folder not in _warned:
            _warned.add(self.folder)
            what = (
                f"{self.folder}: prepared cases cannot be kept here ({error.strerror or error}) and are made each time."
            )
            remedy = "Free room there, or name another folder in UNIFOCAL_CACHE."
            warnings.warn(f"{what} {remedy}", RuntimeWarning, stacklevel=2)


@lru_cache(maxsize=16)
def _room(folder: Path, limit_bytes: int) -> Room:
    """One per process: a cache that arrives with each piece of work must not count the folder each time."""
    return Room(folder, limit_bytes)


def fingerprint(*paths: Path) -> str:
    """SHA-256 of the files' content, in the order given; names and dates do not count.

    Raises:
        OSError: If a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def default_folder() -> Path:
    """The folder that the environment variable `UNIFOCAL_CACHE` names, else the user's cache folder."""
    if named := os.environ.get("UNIFOCAL_CACHE"):
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("unifocal", appauthor=False)


def parse_bytes(text: str) -> int:
    """A number of bytes: `20 GB` (10^9 each), `1.5 GiB` (2^30 each), `500 MB`, `0`.

    Raises:
        InputError: If it is none.
    """
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text.strip()))
    except ValidationError:
        remedy = "Write a number and a unit, such as 20 GB, 500 MB or 1.5 GiB."
        raise bad_input("cache.limit", f"{text!r} is no size", remedy, kind="size-invalid") from None
