"""Every kind of finding, planted alone in sound volumes or pictures, is told by its kind, and nothing else is."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from fuzz_samples import dicom
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from unifocal.data.case import Case, DataSet, Declared, Reading, Source
from unifocal.data.check import CheckResult, check_data, whole
from unifocal.data.check.examine import count_values
from unifocal.data.check.limits import describe_failure, memory_for, seconds_for
from unifocal.data.workers import Failed

SHAPE = (11, 10, 9)  # (columns, rows, slices), as nibabel has them


def volume(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def labels(*values: int) -> NDArray[np.uint8]:
    mask = np.zeros(SHAPE, np.uint8)
    for value in values or (1, 2):
        mask[:, :, value % SHAPE[2]] = value
    return mask


def save(path: Path, array: NDArray[Any], affine: NDArray[Any] | None = None) -> Path:
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([1.0, 1.5, 2.0, 1.0]) if affine is None else affine), path)
    return path


def shifted(*, by: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
    affine = np.diag([scale, 1.5 * scale, 2.0 * scale, 1.0])
    affine[0, 3] = by
    return affine


@pytest.fixture
def volumes(tmp_path: Path) -> Reading:
    cases = [
        Case(
            f"c{seed}",
            Source.of(save(tmp_path / "images" / f"c{seed}.nii.gz", volume(seed))),
            Source.of(save(tmp_path / "masks" / f"c{seed}.nii.gz", labels())),
            f"p{seed}",
        )
        for seed in range(5)
    ]
    declared = Declared("test", labels={1: "one", 2: "two"}, channels=("T1",))
    return Reading(DataSet(tuple(cases), patients_known=True, declared=declared))


def image(reading: Reading, index: int) -> Path:
    return reading.dataset.cases[index].image.path


def mask(reading: Reading, index: int) -> Path:
    source = reading.dataset.cases[index].mask
    assert source is not None
    return source.path


def changed(reading: Reading, index: int, **values: Any) -> Reading:
    cases = list(reading.dataset.cases)
    cases[index] = replace(cases[index], **values)
    return replace(reading, dataset=replace(reading.dataset, cases=tuple(cases)))


def declaring(reading: Reading, **values: Any) -> Reading:
    return replace(reading, dataset=replace(reading.dataset, declared=replace(reading.dataset.declared, **values)))


def kinds(result: CheckResult) -> list[tuple[str, bool]]:
    return sorted((problem.kind, problem.is_warning) for problem in result.problems)


def test_sound_volumes(volumes: Reading) -> None:
    result = check_data(volumes, minimum_patients=5)
    assert result.problems == ()
    assert result.checked is not None
    assert (result.checked.labels, result.checked.channels) == ((1, 2), 1)
    for fact in result.checked.facts:
        assert (fact.size, fact.ndim, fact.spacing_mm) == (SHAPE[::-1], 3, (2.0, 1.5, 1.0))
        assert fact.foreground == pytest.approx({1: 1 / 9, 2: 1 / 9})


PLANTED: dict[str, tuple[Callable[[Reading], Reading | Any], list[tuple[str, bool]]]] = {
    "cut short": (
        lambda r: image(r, 2).write_bytes(image(r, 2).read_bytes()[:-40]),
        [("truncated", False)],
    ),
    "another size": (
        lambda r: save(mask(r, 2), labels()[:, 1:]),
        [("size-differs", False)],
    ),
    "another spacing": (lambda r: save(mask(r, 2), labels(), shifted(scale=1.1)), [("spacing-differs", False)]),
    "another place": (lambda r: save(mask(r, 2), labels(), shifted(by=0.6)), [("affine-differs", False)]),
    "a little beside": (lambda r: save(mask(r, 2), labels(), shifted(by=0.3)), [("affine-differs", True)]),
    "a rounding beside": (lambda r: save(mask(r, 2), labels(), shifted(by=0.01)), []),
    "mirrored": (
        lambda r: save(mask(r, 2), labels(), np.diag([-1.0, 1.5, 2.0, 1.0])),
        [("affine-differs", False)],
    ),
    "infinite": (lambda r: save(image(r, 2), np.where(volume(2) > 2, np.inf, volume(2))), [("not-finite", False)]),
    "not a number": (lambda r: save(image(r, 2), np.where(volume(2) > 2, np.nan, volume(2))), [("not-finite", False)]),
    "constant": (lambda r: save(image(r, 2), np.full(SHAPE, 3, np.int16)), [("constant-image", False)]),
    "4D": (
        lambda r: (save(image(r, 2), np.stack([volume(2), volume(12)], -1)), declaring(r, channels=()))[1],
        [("unexpected-4d", False)],
    ),
    "fewer channels": (lambda r: save(image(r, 2), np.stack([volume(2)] * 3, -1)), [("channels-differ", False)]),
    "undeclared": (lambda r: save(mask(r, 2), labels(1, 7)), [("class-undeclared", False)]),
    "absent": (lambda r: declaring(r, labels={1: "one", 2: "two", 3: "three"}), [("class-absent", True)]),
    "absent beside an undeclared": (
        lambda r: (save(mask(r, 2), labels(7)), declaring(r, labels={1: "one", 2: "two", 3: "three"}))[1],
        [("class-absent", True), ("class-undeclared", False)],
    ),
    "absent region": (lambda r: declaring(r, regions={"both": (1, 2), "none": (5, 6)}), [("class-absent", True)]),
    "empty": (lambda r: save(mask(r, 2), labels() * 0), [("mask-empty", True)]),
    "empty of what is kept": (
        lambda r: (save(mask(r, 2), labels(1)), declaring(r, keep=(2,)))[1],
        [("mask-empty", True)],
    ),
    "nothing kept": (lambda r: declaring(r, keep=(3,), labels={}), [("masks-all-empty", False)]),
    "copied across": (
        lambda r: image(r, 2).write_bytes(image(r, 1).read_bytes()),
        [("duplicate-exact", False)],
    ),
    "copied within": (
        lambda r: (image(r, 2).write_bytes(image(r, 1).read_bytes()), changed(r, 2, patient="p1"))[1],
        [("duplicate-exact", True)],
    ),
    "copied among unknown": (
        lambda r: (
            image(r, 2).write_bytes(image(r, 1).read_bytes()),
            replace(r, dataset=replace(r.dataset, patients_known=False)),
        )[1],
        [("duplicate-exact", True), ("patient-missing", True)],
    ),
    "noisier copy": (
        lambda r: save(image(r, 2), volume(1) * 1.1 + 0.02 * volume(50)),
        [("duplicate-near", True)],
    ),
    "noisier copy within": (
        lambda r: (save(image(r, 2), volume(1) * 1.1 + 0.02 * volume(50)), changed(r, 2, patient="p1"))[1],
        [],
    ),
    "image as mask": (
        lambda r: (save(image(r, 2), labels(1, 2)), mask(r, 2).write_bytes(image(r, 2).read_bytes())),
        [("mask-is-image", False)],
    ),
    "given spacing of two numbers": (lambda r: changed(r, 2, spacing_mm=(1.0, 1.0)), [("spacing-axes", False)]),
    "given spacing that differs": (
        lambda r: changed(r, 2, spacing_mm=(2.0, 1.5, 1.1)),
        [("spacing-differs", True)],
    ),
    "no mask": (lambda r: changed(r, 2, mask=None), [("mask-missing", False)]),
    "no mask in the test part": (lambda r: changed(r, 2, mask=None, part="test"), [("mask-missing", True)]),
    "no patient": (lambda r: changed(r, 2, patient=""), [("patient-missing", False)]),
    "patient in two parts": (
        lambda r: changed(changed(changed(r, 2, part="training"), 3, part="test", patient="p2"), 2, patient="p2"),
        [("patient-on-both-sides", True)],
    ),
    "a view of another size": (
        lambda r: changed(r, 2, field_of_view=Source.of(save(mask(r, 0).parent / "v.nii", labels()[1:]))),
        [("size-differs", False)],
    ),
    "another observer's mask is damaged": (
        lambda r: (
            (mask(r, 0).parent / "o.nii").write_bytes(b"x" * 400),
            changed(r, 2, other_masks={"second": Source.of(mask(r, 0).parent / "o.nii")}),
        )[1],
        [("unreadable", False)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_finding_is_told_once_and_alone(volumes: Reading, planted: str) -> None:
    plant, expected = PLANTED[planted]
    outcome = plant(volumes)
    reading = outcome if isinstance(outcome, Reading) else volumes
    result = check_data(reading)
    assert kinds(result) == sorted(expected), [str(problem) for problem in result.problems]
    assert (result.checked is None) == any(not is_warning for _, is_warning in expected)
    if result.checked is not None:
        assert result.checked.warnings == result.problems


def test_a_fault_in_one_case_hides_none_of_others(volumes: Reading) -> None:
    image(volumes, 0).write_bytes(b"")
    save(mask(volumes, 1), labels(9))
    save(mask(volumes, 2), labels() * 0)
    save(mask(volumes, 3), labels(), shifted(by=3))
    found = [kind for kind, _ in kinds(check_data(volumes, minimum_patients=9))]
    assert found == ["affine-differs", "class-undeclared", "mask-empty", "too-few-patients", "unreadable"]


def test_pictures_among_volumes(volumes: Reading, tmp_path: Path) -> None:
    picture = tmp_path / "images" / "flat.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 255, (12, 13), np.uint8)).save(picture)
    outline = tmp_path / "masks" / "flat.png"
    Image.fromarray(np.eye(12, 13, dtype=np.uint8)).save(outline)
    odd = Case("flat", Source.of(picture), Source.of(outline), "p9")
    reading = replace(volumes, dataset=replace(volumes.dataset, cases=(*volumes.dataset.cases, odd)))
    assert kinds(check_data(reading)) == [("mixed-dimensions", False), ("spacing-half-known", False)]


def test_patients_of_the_headers_count_where_nothing_else_names_them(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 900, (4, 9, 11)).astype(np.int16)
    cases = []
    for number in range(4):
        dicom(tmp_path / f"{number}.dcm", pixels[number], number=number)
        cases.append(Case(str(number), Source.of(tmp_path / f"{number}.dcm"), None, str(number)))
    reading = Reading(DataSet(tuple(cases), patients_known=False), patients=frozenset("0123"))
    result = check_data(reading, with_masks=False, minimum_patients=2)
    (few,) = result.errors
    assert few.kind == "too-few-patients"
    assert "1 patient by the files' headers" in few.what
    assert "--patient-pattern or --cases" in few.remedy
    assert result.patients == 1
    named = replace(reading, dataset=replace(reading.dataset, patients_known=True))
    assert {problem.kind for problem in check_data(named, with_masks=False).warnings} == {"patient-differs"}


def test_a_given_split(volumes: Reading, tmp_path: Path) -> None:
    split = tmp_path / "split.csv"
    split.write_text("case,fold\n" + "".join(f"c{index},{index % 2}\n" for index in range(5)))
    assert check_data(volumes, split=split).problems == ()
    torn = changed(volumes, 1, patient="p0")
    assert {kind for kind, _ in kinds(check_data(torn, split=split))} == {"patient-on-both-sides"}
    split.write_text("case,fold\nc0,0\n")
    assert [kind for kind, _ in kinds(check_data(volumes, split=split))] == ["split-missing"] * 4
    assert not check_data(volumes, split=tmp_path / "none.csv").errors[0].is_warning


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_case_that_takes_too_much_memory_is_told(volumes: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    save(image(volumes, 2), np.random.default_rng(0).normal(size=(200, 200, 90)))
    monkeypatch.setattr(whole, "memory_for", lambda case: 2**20 if case.name == "c2" else 2**32)
    (problem,) = check_data(volumes).problems
    assert problem.kind == "too-much-memory"
    assert problem.where == str(image(volumes, 2))


@pytest.mark.parametrize(
    ("failed", "kind", "says"),
    [
        (Failed("timeout", "10 s"), "too-slow", "takes longer than 10 s"),
        (Failed("crashed", "SIGSEGV"), "reader-crashed", "SIGSEGV"),
        (Failed("memory", ""), "too-much-memory", "needs more than 2.1 GB"),
        (Failed("error", "KeyError: 1"), "unreadable", "KeyError: 1"),
    ],
)
def test_what_is_said_of_a_reader_that_fails(volumes: Reading, failed: Failed, kind: str, says: str) -> None:
    problem = describe_failure(volumes.dataset.cases[0], failed)
    assert (problem.kind, problem.is_warning) == (kind, False)
    assert says in problem.what
    assert "its mask c0.nii.gz" in problem.what


def test_large_files_may_take_more(volumes: Reading, tmp_path: Path) -> None:
    case = volumes.dataset.cases[0]
    small = seconds_for(case), memory_for(case)
    (tmp_path / "scan.mhd").touch()
    with (tmp_path / "scan.raw").open("wb") as file:
        file.truncate(200 * 10**6)
    large = replace(case, image=Source.of(tmp_path / "scan.mhd"))
    assert small == pytest.approx((10, 2 * 1024**3), rel=0.01)
    assert seconds_for(large) == pytest.approx(210, rel=0.01)
    # A CT of 512 x 512 x 600: as stored with 16 bits, as float32, and its mask.
    assert memory_for(large) > 600 * 512 * 512 * (2 + 4 + 1)


@given(
    st.lists(st.integers(-3, 70_000), min_size=1, max_size=40),
    st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.int64]),
)
def test_values_are_counted_as_by_sorting(values: Sequence[int], kind: Any) -> None:
    mask = np.array(values, np.int64).astype(kind).repeat(3).reshape(3, -1)
    expected, counts = np.unique(mask, return_counts=True)
    assert count_values(mask) == dict(zip(expected.tolist(), counts.tolist(), strict=True))


def test_of_very_many_values_the_lowest_and_the_highest_are_counted() -> None:
    for step in (1, 1000):
        found = count_values(np.arange(0, 20_000 * step, step, dtype=np.int32))
        assert len(found) == 5000
        assert list(found)[-1] == 19_999 * step
        assert list(found)[:3] == [0, step, 2 * step]
