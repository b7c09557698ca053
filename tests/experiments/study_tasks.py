"""The runs of a tiny study, to be done one by one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from unifocal.experiments.run import RunTask

TINY = (
    "--folds", "2", "--size", "32", "--set", "network.width=4", "--set", "network.depth=2",
    "--set", "resamples=200", "--set", "training.threads=1", "--set", "training.precision=float32",
    "--set", "training.augmentation=none",
)  # fmt: skip


def tasks_of(data: str | Path, out: Path, *arguments: str) -> list[RunTask]:
    """What `compare` would do."""
    from unifocal.cli.app import run
    from unifocal.experiments import compare

    found: list[RunTask] = []

    def collect(work: Sequence[RunTask], **_: Any) -> list[tuple[int, dict[str, Any]]]:
        found.extend(work)
        return [(index, task.lost("not done")) for index, task in enumerate(work)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "execute_all", collect)
        assert run(["compare", "--data", str(data), "--out", str(out), "--jobs", "1", *TINY, *arguments]) == 1
    return found
