"""Releases as their owners lay them out, made by the tests; most files are empty, as names alone are read."""

from pathlib import Path
from typing import Any

from unifocal.data.case import Case, Reading
from unifocal.data.datasets import Request, open_dataset


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def opened(folder: Path, *, with_masks: bool = True, **request: Any) -> Reading:
    return open_dataset(Request(folder=folder, **request), with_masks=with_masks)


def cases_of(reading: Reading) -> dict[str, Case]:
    cases = {case.name: case for case in reading.dataset.cases}
    assert len(cases) == len(reading.dataset.cases)
    return cases
