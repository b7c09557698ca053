"""What folders hold, with every refusal of the system told as a problem."""

import os
from collections.abc import Iterator
from pathlib import Path

from unifocal.data.pairing import natural_key
from unifocal.data.read import stem_of
from unifocal.problems import Problem, bad_input

DEEPEST = 12
LONGEST_NAME = 150
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".tar.gz", ".tar.bz2", ".tar.xz")


def files_in(folder: Path) -> list[Path]:
    """The files of a folder in natural order, without hidden ones (`.DS_Store`, AppleDouble `._x`).

    Raises:
        InputError: If the folder cannot be listed.
    """
    return _listed(folder, folders=False)


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder in natural order, without hidden ones; a link that leads nowhere is none.

    Raises:
        InputError: If the folder cannot be listed.
    """
    return _listed(folder, folders=True)


def has_folders(folder: Path, *names: str) -> bool:
    """Whether a folder holds folders of exactly these names, also where the system folds capitals."""
    present = {path.name for path in folders_in(folder)} if is_folder(folder) else set()
    return present.issuperset(names)


def walk(folder: Path) -> Iterator[list[Path]]:
    """The files of a folder, then of each folder below it; a folder that links lead to again is passed over.

    Raises:
        InputError: If a folder cannot be listed, or folders are nested more than 12 deep.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [(folder, 0)]
    while waiting:
        here, depth = waiting.pop(0)
        mark = here.stat()
        if (mark.st_dev, mark.st_ino) in seen:
            continue
        seen.add((mark.st_dev, mark.st_ino))
        if depth > DEEPEST:
            raise bad_input(str(here), f"lies more than {DEEPEST} folders deep", "Flatten it.", kind="folder-too-deep")
        yield files_in(here)
        waiting += [(each, depth + 1) for each in folders_in(here)]


def link_problems(folder: Path, *, below: bool = True) -> list[Problem]:
    """A warning if images or masks are links that lead nowhere, as git-annex leaves of what it has not fetched.

    Args:
        folder: Where to look.
        below: Whether to look into its folders as well.
    """
    lost = []
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if below and not name.startswith(".")]
        paths = [Path(here, name) for name in files if not name.startswith(".")]
        lost += [path for path in paths if stem_of(path) != path.name and path.is_symlink() and not is_file(path)]
    if not lost:
        return []
    lost = sorted(lost, key=lambda path: (str(path.parent), natural_key(path)))
    names = ", ".join(path.relative_to(folder).as_posix() for path in lost[:5]) + (", ..." if len(lost) > 5 else "")
    count = (
        f"{len(lost)} images or masks are links that lead" if len(lost) > 1 else "an image or mask is a link that leads"
    )
    what = f"{count} nowhere and count as missing: {names}"
    remedy = "Fetch what they stand for (git annex get, datalad get), or remove them."
    return [Problem(str(folder), what, remedy, "link-broken", is_warning=True)]


def is_file(path: Path) -> bool:
    """Whether a file is there; a name that the system does not allow is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder is there; a name that the system does not allow is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def check_folder(folder: Path, flag: str) -> None:
    """Refuse what is not a folder: nothing, a file, or an archive that is still packed.

    Args:
        folder: What was named.
        flag: The option that names it.

    Raises:
        InputError: If it is not a folder.
    """
    if is_folder(folder):
        return
    if not is_file(folder):
        raise bad_input(str(folder), "does not exist", f"Check the path ({flag}).", kind="folder-missing")
    if folder.name.lower().endswith(_ARCHIVES):
        what = "is a packed archive, and data are read from folders"
        raise bad_input(str(folder), what, f"Unpack it, and give the unpacked folder as {flag}.", kind="archive")
    raise bad_input(str(folder), "is not a folder", f"Check {flag}.", kind="folder-missing")


def name_problem(where: str, name: str) -> Problem | None:
    """What is wrong with a case's name, which will also name files that are written for it."""
    if "\0" in name or not name.isprintable():
        what = f"the name {name!a} has characters that cannot be printed or are not UTF-8"
    elif name in {"", ".", ".."} or "/" in name or "\\" in name:
        what = f"the name {name!a} would lead to another folder"
    elif len(name.encode()) > LONGEST_NAME:
        what = f"the name {name[:40]}... is longer than {LONGEST_NAME} bytes"
    else:
        return None
    return Problem(where, what, "Rename it.", "name-invalid")


def printable(text: str) -> str:
    """A text that every terminal and file takes: bytes of file names that are not UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _listed(folder: Path, *, folders: bool) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [
                folder / entry.name
                for entry in entries
                if not entry.name.startswith(".") and (_is_folder(entry) if folders else _is_file(entry))
            ]
    except OSError as error:
        what = f"cannot be listed ({error.strerror})"
        remedy = "Check that it is a folder and that you may read it."
        raise bad_input(str(folder), what, remedy, kind="folder-unreadable") from None
    return sorted(found, key=natural_key)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False
