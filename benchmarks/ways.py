"""A script that does the same study in several ways, each in a process of its own, side by side."""

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def add_options(parser: argparse.ArgumentParser, ways: Iterable[str]) -> None:
    """What all such scripts take."""
    parser.add_argument("data", type=Path, help="images and masks, with a table cases.csv that names patients")
    parser.add_argument("--way", choices=ways, help="only this one, into --folder; for the processes of this script")
    parser.add_argument("--folder", type=Path, help="where the studies go, to be continued; else a temporary folder")
    parser.add_argument("--write", type=Path)


@contextmanager
def side_by_side(
    script: str, parser: argparse.ArgumentParser, given: argparse.Namespace, ways: Iterable[str], names: Sequence[str]
) -> Iterator[tuple[Path, str]]:
    """Do all ways.

    Args:
        script: The script's own file, which is run with `--way`.
        parser: Of its options.
        given: As it was called.
        ways: By name.
        names: The options that decide what is done.

    Yields:
        The folder with each way's study, and the command as it can be given on any machine.
    """
    values = {name: getattr(given, name) for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        own = [sys.executable, script, str(given.data), "--folder", str(folder)]
        own += [f"--{name}={value}" for name, value in values.items()]
        running = [subprocess.Popen([*own, f"--way={way}"]) for way in ways]
        codes = [process.wait() for process in running]
        if any(codes):
            sys.exit("one of the studies failed")
        kept = [f"--{name}={value}" for name, value in values.items() if value != parser.get_default(name)]
        yield folder, shlex.join(["python", f"benchmarks/{Path(script).name}", str(given.data), *kept])
