"""A process that trains uses its memory again."""

import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource, sys, torch
from unifocal.training.process import prepare_process

ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: large pages would hide what is counted

if sys.argv[1] == "prepared":
    prepare_process(2)
    assert torch.get_num_threads() == 2

def step():
    for _ in range(8):
        torch.ones(16_000_000)

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Pages that the system handed out for four steps like the one before."""
    done = subprocess.run([sys.executable, "-c", FAULTS, how], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is not glibc")
def test_large_blocks_are_not_asked_for_anew() -> None:
    # One block may be asked for anew: something small can have been put into one that was freed.
    assert 10 * faults("prepared") < faults("plain")
