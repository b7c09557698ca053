"""An environment of its own for Keras with TensorFlow, beside the project's."""

import subprocess
import sys
from pathlib import Path

from peers import FOLDER

TENSORFLOW = "tensorflow-cpu==2.21.0"
PYTHON = FOLDER / "keras" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
"""The interpreter of the environment, once it is set up."""


def keras_python(given: Path | None) -> Path | None:
    """The interpreter that has TensorFlow: the one that is given, or one that is set up first where need be.

    Returns:
        None where that fails; the reason goes to standard error.
    """
    if given is not None or has_tensorflow(PYTHON):
        return given or PYTHON
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(PYTHON.parents[1])],
        [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", TENSORFLOW],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
            print(f"{TENSORFLOW} cannot be installed here: {reason}", file=sys.stderr)
            return None
    return PYTHON


def has_tensorflow(python: Path) -> bool:
    """Whether there is such an interpreter, and it has TensorFlow."""
    if not python.is_file():
        return False
    command = [str(python), "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('tensorflow') is None)"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
