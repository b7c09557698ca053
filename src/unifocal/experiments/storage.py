"""Results on object storage, for machines that share no folder: complete, or invisible."""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from unifocal.experiments.attempts import explain
from unifocal.experiments.prepare import Prepared
from unifocal.experiments.work import Work
from unifocal.problems import bad_input
from unifocal.training.loggers import Diary, open_loggers
from unifocal.training.records import EpochRecord

RECORD, STATE, HISTORY = "record.json", "state.ckpt", "history.csv"
STATE_EVERY_S = 30.0
# What is read while it may be replaced goes under another name first, as not every service writes in one step.
_IN_ONE_STEP = (RECORD, STATE, HISTORY)
_PLACES = {"study", "folder", "cache", "cases", "mirrors", "details", "compute", "is_settled"}


def open_url(url: str) -> tuple[Any, str]:
    """The file system of an address or a folder, and the path on it.

    Raises:
        InputError: If there is no library for such addresses.
    """
    import fsspec  # type: ignore[import-untyped]

    try:
        fs, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        remedy = "Install what reads such addresses (s3: pip install s3fs, gs: pip install gcsfs), or give a folder."
        raise bad_input(url, f"cannot be opened ({error})", remedy) from None
    return fs, root.rstrip("/")


class Storage:
    """A place for runs, by name.

    Args:
        url: A folder, or an address such as `s3://bucket/study`.

    Raises:
        InputError: If there is no library for such addresses.
    """

    def __init__(self, url: str) -> None:
        self.fs, self.root = open_url(url)
        self._sent: dict[Path, tuple[int, int]] = {}

    def push(self, folder: Path, name: str, *, last: str = RECORD) -> None:
        """Put all files of a folder there, `last` at the end: without it, `pull` finds nothing.

        Raises:
            OSError: If the service fails; most have errors of their own beside.
        """
        self.push_state(folder, name, last=last)
        kept = {self._path(name, path.relative_to(folder).as_posix()) for path in _files(folder)}
        for stale in set(self._find(name)) - kept:
            self.fs.rm_file(stale)
        self._put(folder / last, self._path(name, last))

    def push_state(self, folder: Path, name: str, *, last: str = RECORD) -> None:
        """Put there what changed since, but `last`: unfinished work that goes on elsewhere."""
        for path in _files(folder):
            facts = path.stat()
            version = facts.st_mtime_ns, facts.st_size
            if path != folder / last and self._sent.get(path) != version:
                self._put(path, self._path(name, path.relative_to(folder).as_posix()))
                self._sent[path] = version

    def pull(self, name: str, folder: Path, *, last: str = RECORD) -> bool:
        """Copy complete work to a folder, `last` at the end; False where there is none."""
        self.fs.invalidate_cache()
        if not self.fs.exists(self._path(name, last)):
            return False
        self.pull_state(name, folder, last=last)
        self._get(self._path(name, last), folder / last)
        return True

    def pull_state(self, name: str, folder: Path, *, last: str = RECORD, only: str = "") -> bool:
        """Copy what there is of unfinished work to a folder, or only files of a name; False where there is nothing."""
        self.fs.invalidate_cache()
        start = self._path(name, "")
        names = [path.removeprefix(start) for path in self._find(name)]
        for each in names:
            if each != last and (not only or each.rpartition("/")[2] == only):
                self._get(start + each, folder / each)
        return bool(names)

    def read(self, name: str, file: str = RECORD) -> dict[str, Any] | None:
        """A JSON file of a piece of work; None where there is none that can be read."""
        self.fs.invalidate_cache()
        try:
            content = json.loads(self.fs.cat_file(self._path(name, file)))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _path(self, name: str, file: str) -> str:
        return f"{self.root}/{name}/{file}"

    def _find(self, name: str) -> list[str]:
        return [path for path in self.fs.find(f"{self.root}/{name}") if not path.endswith(".partial")]

    def _put(self, path: Path, place: str) -> None:
        self.fs.makedirs(place.rpartition("/")[0], exist_ok=True)
        if path.name in _IN_ONE_STEP:
            self.fs.put_file(str(path), f"{place}.partial")
            self.fs.mv(f"{place}.partial", place)
        else:
            self.fs.put_file(str(path), place)

    def _get(self, place: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        self.fs.get_file(place, str(partial))
        partial.replace(path)


@dataclass(frozen=True)
class StoredWork:
    """Work whose state and results go to storage, so that any machine can begin, go on with, or fetch it.

    Attributes:
        work: The work.
        url: Of the storage.
        place: What it is called there.
        is_elsewhere: Whether it is done in a scratch folder of the machine that does it.
    """

    work: Any
    url: str
    place: str
    is_elsewhere: bool

    @property
    def name(self) -> str:
        """See `Work`."""
        return str(self.work.name)

    @property
    def study(self) -> Path:
        """See `Work`."""
        return Path(self.work.study)

    @property
    def folder(self) -> Path:
        """See `Work`."""
        return Path(self.work.folder)

    @property
    def threads(self) -> int:
        """See `Work`."""
        return int(self.work.threads)

    def execute(self, on_epoch: Callable[[EpochRecord], None]) -> dict[str, Any]:
        """See `Work`; the storage's state is newer than none, and this machine's own is newer than the storage's."""
        storage, pushed = Storage(self.url), time.monotonic()

        with self._somewhere() as work:

            def close_epoch(record: EpochRecord) -> None:
                nonlocal pushed
                on_epoch(record)
                if time.monotonic() - pushed > STATE_EVERY_S:
                    with suppress(Exception):  # it is tried again after the next epoch
                        storage.push_state(work.folder, self.place)
                    pushed = time.monotonic()

            try:
                if self.is_elsewhere and (known := self._finished(storage)) is not None:
                    return known
                if not _is_begun(work.folder):
                    storage.pull_state(self.place, work.folder)
                record = work.execute(close_epoch)
                if record["status"] == "done":
                    storage.push(work.folder, self.place)
                else:
                    with suppress(Exception):  # why it failed matters more
                        storage.push_state(work.folder, self.place)
            except Exception as error:  # noqa: BLE001 - every service has errors of its own
                return work.lost(f"{self.url}: {explain(error)}")
        return record

    def lost(self, reason: str) -> dict[str, Any]:
        """See `Work`."""
        self.fetch_epochs()
        record: dict[str, Any] = self.work.lost(reason)
        return record

    def fetch(self) -> dict[str, Any] | None:
        """Copy finished work to the study folder, and return its record; None where it is not finished."""
        storage = Storage(self.url)
        record = self._finished(storage)
        if record is None or not storage.pull(self.place, self.folder):
            return None
        self._log(finished=True)
        return record

    def fetch_epochs(self) -> None:
        """Bring what is known of the epochs of work that was done elsewhere and came to no good end."""
        if self.is_elsewhere:
            with suppress(Exception):  # that it came to none matters more
                Storage(self.url).pull_state(self.place, self.folder, only=HISTORY)
                self._log(finished=False)

    def _log(self, *, finished: bool) -> None:
        """Write the epochs where the study's loggers write: the machine that trained had none."""
        names = getattr(self.work, "runs", (self.work,))[0].compute.loggers
        for path in sorted(self.folder.rglob(HISTORY)) if names else ():
            loss, cell = path.parts[-3:-1]
            diary = Diary(open_loggers(names, path.parents[3], f"{loss}/{cell}"))
            rows = pd.read_csv(path).to_dict("records")
            diary.begin([{str(name): value for name, value in row.items()} for row in rows])
            diary.end(finished=finished)

    def _finished(self, storage: Storage) -> dict[str, Any] | None:
        record = storage.read(self.place)
        return record if record is not None and record.get("status") == "done" else None

    @contextmanager
    def _somewhere(self) -> Iterator[Work]:
        if not self.is_elsewhere:
            yield self.work
            return
        scratch = Path(tempfile.mkdtemp(prefix="unifocal-"))
        try:
            yield replace(self.work, study=scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def stored(work: Work, url: str, *, is_elsewhere: bool) -> StoredWork:
    """Work on storage, under a name that says all that its result depends on: another study's is never taken for it.

    Args:
        work: The work.
        url: Of the storage.
        is_elsewhere: See `StoredWork`.
    """
    digest = hashlib.sha256(json.dumps(_plain(work), sort_keys=True, default=str).encode()).hexdigest()[:12]
    place = work.folder.relative_to(work.study).as_posix()
    return StoredWork(work, url, f"{place}.{digest}", is_elsewhere)


def _plain(value: Any) -> Any:
    """What a result depends on: settings and content, but no paths."""
    if isinstance(value, Prepared):
        # Patients stand in the scores. Only where they are known, as studies without keep what they have on storage.
        patients = {case.name: case.patient for case in value.cases if case.patient != case.name}
        return [value.keys, value.labels, repr(value.regions), *([patients] if patients else [])]
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value) if each.name not in _PLACES}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _is_begun(folder: Path) -> bool:
    """Whether this machine has some of the work's state, which is newer than the storage's."""
    return any(folder.rglob(STATE)) or any(path.parent != folder for path in folder.rglob(RECORD))


def _files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    kept = [path for path in found if path.name != ".lock" and path.suffix != ".partial"]
    # Records last, the outermost at the very end: whoever finds one finds all that it speaks of.
    return sorted(kept, key=lambda path: (path.name == RECORD, -len(path.parts), path))
