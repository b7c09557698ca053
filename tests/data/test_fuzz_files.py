"""Two thousand spoiled files: each ends in a listed problem, or reads as the size that its header says."""

import math
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fuzz_mutants import bombs, mutants, tricks
from fuzz_samples import Sample, real_samples, write_samples

from unifocal.data.case import Case, DataSet, Reading
from unifocal.data.check import check_data
from unifocal.data.check.examine import Findings, examine
from unifocal.data.check.limits import describe_failure
from unifocal.data.workers import Failed, map_isolated

MUTANTS = 2000
SECONDS, MEMORY = 10.0, 2 * 1024**3
LARGEST = 300_000_000


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return write_samples(tmp_path_factory.mktemp("sound"))


def examined(cases: list[Case]) -> list[tuple[Case, Findings | Failed]]:
    outcomes = map_isolated(
        examine, cases, workers=2, timeout_s=SECONDS, memory_bytes=MEMORY,
        preload=[examine.__module__, "nibabel", "SimpleITK", "pydicom", "h5py", "PIL.Image", "tifffile", "scipy.io"],
    )  # fmt: skip
    return list(zip(cases, outcomes, strict=True))


def problems_of(case: Case, outcome: Findings | Failed) -> list[str]:
    found = [describe_failure(case, outcome)] if isinstance(outcome, Failed) else outcome.problems
    return [problem.what for problem in found if not problem.is_warning]


def test_sound_files_have_no_problems(samples: list[Sample]) -> None:
    cases = [
        Case(sample.family, sample.image or sample.source(sample.files),
             sample.source(sample.files) if sample.image else None, sample.family)
        for sample in (*samples, *real_samples())
    ]  # fmt: skip
    assert {case.name: problems_of(case, outcome) for case, outcome in examined(cases)} == {
        case.name: [] for case in cases
    }


def test_every_mutant_ends_in_a_problem_or_reads_as_its_header_says(samples: list[Sample], tmp_path: Path) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    cases = mutants([*samples, *real_samples()], tmp_path, MUTANTS)
    for case, outcome in examined(cases):
        problems = problems_of(case, outcome)
        counts[case.patient, "problem" if problems else "harmless"] += 1
        if isinstance(outcome, Failed):
            counts[case.patient, outcome.reason] += 1
            # A reader that raises anything else than what it says it raises is at fault itself.
            assert outcome.reason != "error", (case, outcome)
        elif not problems:
            assert outcome.size is not None
            assert 0 < math.prod(outcome.size) * outcome.channels <= LARGEST
            promised = promised_size(case.image.paths[0])
            assert promised in (None, outcome.size), (case, promised, outcome.size)
    assert sum(counts[key] for key in counts if key[1] in {"problem", "harmless"}) == MUTANTS
    for family in sorted({family for family, _ in counts}):
        told = {what: counts[family, what] for _, what in counts if counts[family, what]}
        print(f"{family}: {told}")
        assert counts[family, "problem"] >= 10, family


def test_small_files_that_unfold_to_huge_ones_are_refused_or_harmless(tmp_path: Path) -> None:
    for case, outcome in examined(bombs(tmp_path / "bombs")):
        problems = problems_of(case, outcome)
        print(case.name, problems or outcome)
        is_harmless = case.name in {"text.png", "profile.png", "many.png"}
        assert problems or is_harmless, case.name
        if isinstance(outcome, Failed):
            assert outcome.reason in {"memory", "timeout"}


def test_no_file_outside_is_read(tmp_path: Path) -> None:
    import h5py

    secret = tmp_path / "secret.raw"
    secret.write_bytes(np.arange(11 * 9 * 6, dtype="<i2").tobytes())
    with h5py.File(secret.with_suffix(".mat"), "w", userblock_size=512) as file:
        file["image"] = np.arange(12.0).reshape(3, 4)
    for case, outcome in examined(tricks(tmp_path / "tricks", secret)):
        assert not isinstance(outcome, Failed), (case, outcome)
        assert problems_of(case, outcome), case.name


def test_a_data_set_of_mutants_is_checked_to_its_end(samples: list[Sample], tmp_path: Path) -> None:
    """The same through the check itself: all spoiled cases are named, and none takes a sound one with it."""
    pictures = [sample for sample in samples if sample.family in {"grey.png", "deep.png", "packed.tif", "float.tif"}]
    cases = mutants(pictures, tmp_path, 60)
    sound = [Case("sound", sample.source(sample.files), None, "p") for sample in pictures[:1]]
    result = check_data(Reading(DataSet((*sound, *cases), patients_known=True)), with_masks=False)
    named = {problem.where for problem in result.errors}
    expected = {str(case.image) for case, outcome in examined(cases) if problems_of(case, outcome)}
    assert expected <= named
    assert str(sound[0].image) not in named


def promised_size(path: Path) -> tuple[int, ...] | None:
    """What the header says, read here by hand; None where it takes a library to know."""
    data = path.read_bytes()
    if path.suffix == ".png" and data.startswith(b"\x89PNG"):
        width, height = struct.unpack(">II", data[16:24])
        return (height, width)
    if path.name.endswith((".nii", ".nii.gz")):
        header = zlib.decompressobj(31).decompress(data, 1000) if data[:2] == b"\x1f\x8b" else data
        if header[344:348] != b"n+1\0":
            return None
        order = "<" if 1 <= struct.unpack("<h", header[40:42])[0] <= 7 else ">"
        rank, *lengths = struct.unpack(order + "8h", header[40:56])
        return tuple(lengths[: min(rank, 3)][::-1])
    return None
