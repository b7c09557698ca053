"""The folder of a cache: its files, how much room they take, and which go first."""

import os
import re
import secrets
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

_ENTRY_SUFFIX = ".case"
_ENTRY = re.compile(r"[0-9a-f]{8,}\.case")
_TEMPORARY = re.compile(r"[0-9a-f]{8,}\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]+\.partial")
_ABANDONED_AFTER_S = 3600
_LOCK_TIMEOUT_S = 60
_SCAN_AFTER = 1 / 64
"""Share of the limit that a process writes before it looks again at what all processes wrote."""
_MARGIN = 1 / 16
"""Share of the limit that is freed beyond need, so that not every write has to free something."""


class Stored(NamedTuple):
    """A file of the cache: when it was last used (nanoseconds since 1970), its path and bytes."""

    used: int
    path: str
    size: int


class Room:
    """Writes a cache's files and keeps them within a limit.

    There is no index to get out of step: the files themselves are counted, at a process's first write and whenever it
    has since written a 64th of the limit or believes the limit reached. Counting and removing hold a lock. So n
    processes that write at the same time can exceed a large limit by n/64 of it until the next one counts.

    Args:
        folder: Made, readable by its owner alone, where it does not exist.
        limit: In bytes.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._total: int | None = None
        self._since = 0

    def path(self, key: str) -> str:
        """Where the entry with this key lies."""
        return f"{self.folder}/{key[:2]}/{key}{_ENTRY_SUFFIX}"

    def write(self, key: str, content: bytes) -> None:
        """Write an entry whole, in place of an earlier one; the least recently used ones go where room is short.

        Raises:
            OSError: If it cannot be written, or another process held the lock for a minute.
        """
        # An existing folder may be shared within a group on purpose; what is made inside is as open as it.
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._room_for(len(content)):
            path = Path(self.path(key))
            path.parent.mkdir(mode=self.folder.stat().st_mode & 0o777, exist_ok=True)
            temporary = path.with_name(f"{key}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.partial")
            try:
                # Not synced: what a power failure tears is found by its checksum and made again.
                with temporary.open("xb") as file:
                    file.write(content)
                temporary.replace(path)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
        self._since += len(content)

    def remove_until(self, target: int) -> int:
        """Remove abandoned temporary files, then the least recently used entries until the rest fits.

        Args:
            target: Bytes that may remain.

        Returns:
            The bytes that remain.
        """
        if not self.folder.is_dir():
            return 0
        with self._lock():
            return self._remove_until(target, target)

    def stored(self) -> list[Stored]:
        """All entries, and the temporary files of writers at work, which take room too."""
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.folder) as groups:
            folders = [group.path for group in groups if re.fullmatch("[0-9a-f]{2}", group.name)]
            return [file for folder in folders for file in _files_in(folder)]
        return []

    @contextmanager
    def _room_for(self, size: int) -> Iterator[None]:
        believed = None if self._total is None else self._total + self._since + size
        if believed is not None and believed <= self.limit and self._since + size <= self.limit * _SCAN_AFTER:
            yield
            return
        with self._lock():
            self._total = self._remove_until(self.limit - size, int(self.limit * (1 - _MARGIN)) - size)
            self._since = 0
            yield

    def _remove_until(self, allowed: int, target: int) -> int:
        files = [file for file in self.stored() if not (_is_abandoned(file) and _remove(file))]
        total = sum(file.size for file in files)
        if total <= allowed:
            return total
        for file in sorted(files):
            if total <= target:
                break
            if file.path.endswith(_ENTRY_SUFFIX) and _remove(file):
                total -= file.size
        return total

    def _lock(self) -> FileLock:
        return FileLock(self.folder / "lock", timeout=_LOCK_TIMEOUT_S)


def _files_in(folder: str) -> Iterator[Stored]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as files:
        for file in files:
            if _ENTRY.fullmatch(file.name) or _TEMPORARY.fullmatch(file.name):
                with suppress(FileNotFoundError):
                    state = file.stat(follow_symlinks=False)
                    yield Stored(state.st_mtime_ns, file.path, state.st_size)


def _remove(file: Stored) -> bool:
    # On Windows a file that someone reads cannot be removed.
    with suppress(OSError):
        Path(file.path).unlink(missing_ok=True)
        return True
    return False


def _is_abandoned(file: Stored) -> bool:
    if file.path.endswith(_ENTRY_SUFFIX):
        return False
    if time.time() - file.used / 1e9 > _ABANDONED_AFTER_S:
        return True
    said = _TEMPORARY.fullmatch(Path(file.path).name)
    # Windows' os.kill would end the process that it is asked about.
    if said is None or said["machine"] != _machine() or os.name == "nt":
        return False
    try:
        os.kill(int(said["process"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    return False


def _machine() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"
