"""The real images beside the repository, for the tests that want them."""

import os
from pathlib import Path

import pytest

REAL = Path(os.environ.get("UNIFOCAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def real_data(name: str = "") -> Path:
    """A folder of the real images, or that of all; the test skips where it is absent."""
    folder = REAL / name
    if not folder.is_dir():
        pytest.skip(f"needs the real images: {folder} is absent (set UNIFOCAL_DATA to the folder that holds them)")
    return folder
