"""The GPU kernels: checked on a GPU or, without one, under Triton's interpreter; and compiled without a GPU.

Triton has to be told to interpret before anything imports it, and other tests' libraries do. So the checks run in
processes of their own.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python; without what the environment says about this pytest and about Triton."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "TRITON_"))}
    command = (sys.executable, *command)
    return subprocess.run(
        command, cwd=ROOT, env=inherited | environment, capture_output=True, text=True, timeout=600, check=False
    )


def test_sums_and_gradients():
    environment = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    options = ("-p", "no:randomly", "-p", "no:cacheprovider", "-o", "addopts=", "-q")
    files = (str(HERE / f"losses_kernel_{what}.py") for what in ("checks", "weights"))
    done = run("-m", "pytest", *options, *files, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert " failed" not in done.stdout


def test_they_compile_and_fit_the_registers(tmp_path):
    environment = {"TRITON_CACHE_DIR": str(tmp_path), "TRITON_DUMP_PTXAS_LOG": "1"}
    done = run("-W", "error", str(HERE / "losses_kernel_builds.py"), "80", "90", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    reports = json.loads(done.stdout)
    assert {report["kernel"] for report in reports} == {"_sums_kernel", "_gradient_kernel"}
    assert {report["capability"] for report in reports} == {80, 90}
    assert not [report for report in reports if report["spilled"]]


def test_importing_the_losses_does_not_import_triton():
    done = run("-c", "import sys, unifocal.losses; sys.exit('triton' in sys.modules)")
    assert done.returncode == 0, done.stderr
