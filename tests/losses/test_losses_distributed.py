"""Pooling over two ranks gives one process' value and gradient."""

import subprocess
import sys
from pathlib import Path

import losses_rank
import pytest
import torch
from torch import distributed


@pytest.mark.skipif(not distributed.is_available(), reason="torch without distributed")
def test_ranks_together_are_one_process(tmp_path: Path) -> None:
    expected = losses_rank.losses_and_gradients(losses_rank.network(), *losses_rank.data())
    with subprocess.Popen([sys.executable, losses_rank.__file__, str(tmp_path)]) as other:
        mine = losses_rank.run(0, tmp_path)
    assert other.returncode == 0
    for found in (mine, torch.load(tmp_path / "rank-1.pt")):
        for name in losses_rank.NAMES:
            assert len(found[name]) == 3
            torch.testing.assert_close(found[name], expected[name])
