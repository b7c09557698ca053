"""The program itself, in a process of its own."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_output_goes_to_files_of_any_encoding(encoding: str) -> None:
    for arguments in (["losses"], ["losses", "unified_focal"], ["losses", "unifed_focäl"]):
        done = subprocess.run(
            [sys.executable, "-c", "from unifocal.cli.entry import main; main()", *arguments],
            env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == (2 if "ä" in arguments[-1] else 0), done.stderr.decode(encoding)
        assert b"UnicodeEncodeError" not in done.stderr
