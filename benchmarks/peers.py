"""Libraries to compare with that the project does not depend on, in a folder of their own."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent / ".peers"
MEDPY = "medpy==0.5.2"


def medpy_metrics(*, install: bool = True) -> ModuleType | None:
    """MedPy's metrics, which are built first where need be; None where that fails."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    try:
        return importlib.import_module("medpy.metric.binary")
    except ModuleNotFoundError:
        if not install:
            return None
    # It brings NumPy and SciPy of its own choice otherwise.
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(FOLDER), "--no-deps", MEDPY]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"{MEDPY} cannot be built here: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    importlib.invalidate_caches()
    return importlib.import_module("medpy.metric.binary")
