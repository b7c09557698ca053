"""Searches small enough for tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

_LOSSES = '''
import torch


class Push(torch.nn.Module):
    """Learns nothing but a side: with push below 0 all becomes foreground, above 0 all background."""

    def __init__(self, push: float = -1.0) -> None:
        super().__init__()
        self.push = push

    def forward(self, logits, target):
        if self.push > 100 and logits.shape[-1] > 8:  # not when it is first tried
            raise ArithmeticError("pushed too hard")
        return self.push * torch.nn.functional.softplus(logits).mean()
'''


@pytest.fixture
def pushing_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A loss of one's own whose parameter decides how good a trial is."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "pushing_losses.py").write_text(_LOSSES)
    monkeypatch.syspath_prepend(folder)
    yield "pushing_losses:Push"
    import sys

    sys.modules.pop("pushing_losses", None)


@pytest.fixture
def no_tuning_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the page takes seconds."""
    import unifocal.reporting

    monkeypatch.setattr(unifocal.reporting, "write_tuning_report", lambda folder: folder / "report.html")
