"""Data on object storage: copied to each machine that needs them, under the same path on all."""

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from unifocal.preprocessing.cache import default_folder
from unifocal.problems import bad_input

# One letter before the colon is a drive of Windows. A path has one slash where an address has two.
_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/+(?P<rest>.+)", re.IGNORECASE)
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified")


@dataclass(frozen=True)
class Mirror:
    """A copy of a remote folder.

    Attributes:
        url: Of the folder.
        folder: The copy: complete, or not there. What it is called depends on the names, sizes and versions of the
            remote files, so that changed data are other data.
        size: Bytes.
    """

    url: str
    folder: Path
    size: int

    def fetch(self) -> Path:
        """Copy the folder to this machine, unless it is there.

        Raises:
            OSError: If the remote folder cannot be read, or there is no room for it.
        """
        if self.folder.is_dir():
            return self.folder
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.folder}.lock"):
            if not self.folder.is_dir():
                partial = self.folder.with_name(f"{self.folder.name}.partial")
                shutil.rmtree(partial, ignore_errors=True)
                try:
                    _copy(self.url, partial)
                    partial.replace(self.folder)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
        return self.folder


def address_of(path: Path) -> str | None:
    """The address that a path was made from, such as `s3://bucket/folder`; None where it is a path."""
    match = _ADDRESS.fullmatch(path.as_posix())
    if match is None:
        return None
    scheme = match["scheme"].lower()
    return f"{scheme}://{'/' if scheme in {'file', 'local'} else ''}{match['rest']}"


def mirror_of(path: Path) -> Mirror | None:
    """Where the copy of a remote folder belongs; None where the path is one of this machine.

    Raises:
        InputError: If there is no such folder, it cannot be read, or a library for such addresses is missing.
    """
    url = address_of(path)
    return None if url is None else _mirror(url, default_folder())


def local_copy(path: Path) -> Path:
    """The path itself, or that of a copy where it is an address; see `mirror_of`."""
    mirror = mirror_of(path)
    return path if mirror is None else mirror.fetch()


def describe_bytes(size: int) -> str:
    """`312 MB` (10^6 each)."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"


@lru_cache(maxsize=16)
def _mirror(url: str, cache: Path) -> Mirror:
    from unifocal.experiments.storage import open_url

    fs, root = open_url(url)
    try:
        files: Mapping[str, Mapping[str, Any]] = fs.find(root, detail=True)
    except Exception as error:  # noqa: BLE001 - every service has errors of its own
        raise bad_input(url, f"cannot be read ({error})", "Check the address, and who may read it.") from None
    if not files:
        raise bad_input(url, "holds no files", "Check the address.")
    digest = hashlib.sha256(url.encode())
    for name, facts in sorted(files.items()):
        version = next((str(facts[key]) for key in _VERSIONS if facts.get(key) is not None), "")
        digest.update(repr((name, facts["size"], version)).encode())
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", root.rstrip("/").rpartition("/")[2]) or "data"
    folder = cache.resolve() / "remote" / f"{name}-{digest.hexdigest()[:16]}" / name
    return Mirror(url, folder, sum(int(facts["size"]) for facts in files.values()))


def _copy(url: str, folder: Path) -> None:
    from unifocal.experiments.storage import open_url

    fs, root = open_url(url)
    for name in fs.find(root):
        path = folder / name.removeprefix(root).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        fs.get_file(name, str(path))
