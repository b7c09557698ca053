"""The one error that every reader raises, and how a library's own errors become it."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unifocal.problems import InputError, Problem

COPY_AGAIN = "Copy it again from its source."
QUIET_LOCK = threading.RLock()


class UnreadableError(InputError):
    """A file that cannot be used: damaged, of an unknown format, or stored in a way that would lose something.

    Args:
        path: The file.
        what: What is wrong with it.
        remedy: What the user can do about it.
        kind: What sort of problem it is, for programs.
    """

    def __init__(self, path: Path, what: str, remedy: str, *, kind: str = "unreadable") -> None:
        super().__init__([Problem(str(path), what, remedy, kind)])


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Make an `UnreadableError` of whatever a library raises while it reads a file.

    Raises:
        UnreadableError: If the system does not give the file, or the library cannot make sense of it.
    """
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        if error.errno is None or error.strerror is None:
            raise damaged(path, error) from error
        what = f"cannot be opened ({error.strerror})"
        raise UnreadableError(path, what, "Check that it exists and that you may read it.") from None
    except MemoryError:
        what, remedy = "needs more memory than there is", "Cut it into smaller parts."
        raise UnreadableError(path, what, remedy, kind="too-much-memory") from None
    except Exception as error:
        raise damaged(path, error) from error


def damaged(path: Path, reason: object) -> UnreadableError:
    """The error for a damaged file, with a library's reason in one line."""
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()] or [type(reason).__name__]
    said = lines[-1] if len(lines[-1]) <= 160 else f"{lines[-1][:157]}..."
    return UnreadableError(path, f"cannot be read: it is damaged or incomplete ({said.rstrip('.')})", COPY_AGAIN)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Silence Python warnings, which odd headers give by the dozen; they are a setting of the process, hence a lock."""
    with QUIET_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
