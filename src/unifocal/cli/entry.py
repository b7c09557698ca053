"""The entry point: verbs, and what happens when one of them fails."""

import sys
from io import TextIOWrapper
from pathlib import Path

from unifocal.clock import now

_STARTED = now()  # before it loads what the verbs need


def main() -> None:
    """Run the command line and exit with its code.

    Exit codes: 0 success, 1 the work itself failed, 2 bad input, 130 interrupted.
    """
    try:
        from unifocal.cli.app import run
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"The command line needs more than the losses do ({error.name} is missing): pip install 'unifocal[all]'\n"
        )
        sys.exit(1)
    for stream in (sys.stdout, sys.stderr):
        # Sent to a file on Windows, they take few characters beyond ASCII.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.path.append(str(Path.cwd()))  # a user's own loss may stand in a module right here
    sys.exit(run(sys.argv[1:], started=_STARTED))
