"""How much longer checking takes than decoding the same files, with the same libraries in as many processes.

python benchmarks/data_check.py FOLDER [FOLDER ...] --workers 2 --rounds 5

A folder is a data set in any layout. Nothing but decoding stands in the comparison: Pillow for pictures, nibabel for
NIfTI, into an array that is thrown away. Both are timed in turn, and the median of the rounds is told; what starting
the processes costs stands apart.
"""

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from unifocal.data.case import Case, Reading
from unifocal.data.check import check_data
from unifocal.data.check.examine import Findings, examine
from unifocal.data.check.limits import cases_at_once, file_bytes, memory_for, seconds_for
from unifocal.data.datasets import Request, open_dataset
from unifocal.data.workers import Failed, map_isolated

_PRELOAD = [examine.__module__, "nibabel", "PIL.Image", "tifffile"]


def decode(path: Path) -> None:
    """One file into one array, by the library that the readers use."""
    if path.name.endswith((".nii", ".nii.gz")):
        np.asarray(nib.load(path).dataobj)
    else:
        with Image.open(path) as image:
            np.asarray(image)


def decode_case(case: Case) -> None:
    """All files of a case."""
    for source in (case.image, case.mask, case.field_of_view, *case.other_masks.values()):
        for path in () if source is None else source.paths:
            decode(path)


def nothing(_case: Case) -> None:
    """What a process is asked first, so that it has started."""


def bare(pool: ProcessPoolExecutor, cases: Sequence[Case]) -> float:
    """Seconds to decode all files in processes that run already."""
    start = time.perf_counter()
    for _ in pool.map(decode_case, cases, chunksize=4):
        pass
    return time.perf_counter() - start


def reading(cases: Sequence[Case], workers: int) -> float:
    """Seconds to read and look at all cases, in processes that have done so once already."""
    outcomes = map_isolated(
        examine, [*cases, *cases], workers=workers, timeout_s=seconds_for, memory_bytes=memory_for,
        preload=_PRELOAD, together=cases_at_once(cases),
    )  # fmt: skip
    for _ in cases:
        next(outcomes)
    start = time.perf_counter()
    found: list[Findings | Failed] = list(outcomes)
    assert not [each for each in found if isinstance(each, Failed)]
    return time.perf_counter() - start


def whole(data: Reading, workers: int) -> float:
    """Seconds for all of the check, with starting the processes and comparing the cases."""
    start = time.perf_counter()
    check_data(data, workers=workers)
    return time.perf_counter() - start


def measure(folder: Path, workers: int, rounds: int) -> str:
    """A line of the table."""
    data = open_dataset(Request(folder=folder))
    cases = data.dataset.cases
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        list(pool.map(nothing, cases[: 8 * workers]))
        bare(pool, cases)
        times = [(bare(pool, cases), reading(cases, workers), whole(data, workers)) for _ in range(rounds)]
    decoded, read, checked = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(each[1] / each[0] for each in times)
    megabytes = sum(map(file_bytes, cases)) / 1e6
    return (
        f"| {folder.name} | {len(cases)} | {megabytes:.0f} | {decoded:.2f} | {read:.2f} | {ratio:.2f} | {checked:.2f} "
        f"| {checked / decoded:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(f"{given.workers} processes, median of {given.rounds} rounds, seconds; files in the system's cache\n")
    print("| data | cases | MB | decoding | reading and checking | ratio | all, with start | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for folder in given.folders:
        print(measure(folder, given.workers, given.rounds), flush=True)


if __name__ == "__main__":
    main()
