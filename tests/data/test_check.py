"""Every file is read before work starts; every fault is told, once, and all together."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from unifocal.data.case import Case, Source
from unifocal.data.check import CheckedData, check_cases, load_and_check
from unifocal.data.folder import DataSet, find_layout, load_cases
from unifocal.problems import InputError

SIZE = (24, 31)


def picture(seed: int, *, channels: int = 1, size: tuple[int, int] = SIZE) -> np.ndarray[Any, Any]:
    shape = size if channels == 1 else (*size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def disc(radius: float = 6, size: tuple[int, int] = SIZE) -> np.ndarray[Any, Any]:
    rows, columns = np.ogrid[: size[0], : size[1]]
    return np.where((rows - 11) ** 2 + (columns - 14) ** 2 < radius**2, 255, 0).astype(np.uint8)


def save(pixels: np.ndarray[Any, Any], path: Path, **options: Any) -> None:
    Image.fromarray(pixels).save(path, **options)


def make(folder: Path, names: list[str], *, channels: int = 1) -> Path:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for seed, name in enumerate(names):
        save(picture(seed, channels=channels), folder / "images" / f"{name}.png")
        save(disc(3 + seed % 5), folder / "masks" / f"{name}.png")
    rows = [f"{name},p{index // 2}" for index, name in enumerate(names)]
    (folder / "cases.csv").write_text("\n".join(["case,patient", *rows, ""]))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make(tmp_path / "data", ["a", "b", "c", "d"])


def check(folder: Path, *, minimum_patients: int = 0, workers: int = 2, **options: Any) -> CheckedData:
    return load_and_check(find_layout(folder, **options), minimum_patients=minimum_patients, workers=workers)


def problems_of(folder: Path, **options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        check(folder, **options)
    return [str(problem) for problem in caught.value.problems]


def test_a_sound_data_set_and_its_facts(data: Path) -> None:
    checked = check(data, minimum_patients=2)
    assert checked.labels == (1,)
    assert checked.channels == 1
    assert [fact.name for fact in checked.facts] == ["a", "b", "c", "d"]
    for seed, fact in enumerate(checked.facts):
        share = float((disc(3 + seed % 5) > 0).mean())
        assert fact.size == SIZE
        assert fact.labels == (1,)
        assert fact.foreground == pytest.approx({1: share})
        assert fact.foreground_share == pytest.approx(share)
    assert checked.foreground_share == pytest.approx(np.mean([(disc(3 + seed) > 0).mean() for seed in range(4)]))


def test_labels_are_those_of_all_masks_with_each_one_s_share(data: Path) -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[:2], mask[2:3] = 2, 5
    for name in "abcd":
        save(np.minimum(mask, 2) if name == "a" else mask, data / "masks" / f"{name}.png")
    checked = check(data)
    assert checked.labels == (2, 5)
    assert checked.facts[0].labels == (2,)
    assert checked.facts[1].foreground == pytest.approx({2: 2 / 24, 5: 1 / 24})


def test_the_content_hash_is_that_of_the_bytes_in_the_order_of_the_cases(data: Path) -> None:
    digests = b"".join(
        hashlib.sha256((data / part / f"{name}.png").read_bytes()).digest()
        for name in "abcd"
        for part in ("images", "masks")
    )
    expected = hashlib.sha256(digests).hexdigest()
    assert {check(data, workers=workers).content_hash for workers in (1, 4)} == {expected}
    save(picture(99), data / "images" / "b.png")
    assert check(data).content_hash != expected


def test_one_empty_mask_is_fine_but_not_all(data: Path) -> None:
    empty = np.zeros(SIZE, np.uint8)
    save(empty, data / "masks" / "a.png")
    assert check(data).facts[0].foreground == {}
    for name in "bcd":
        save(empty, data / "masks" / f"{name}.png")
    (problem,) = problems_of(data)
    assert "all 4 masks are empty" in problem
    (problem,) = problems_of(data, mask_threshold=3)
    assert "lower --mask-threshold than 3" in problem


def test_an_unreadable_mask_may_be_the_one_that_is_not_empty(data: Path) -> None:
    for name in "abc":
        save(np.zeros(SIZE, np.uint8), data / "masks" / f"{name}.png")
    (data / "masks" / "d.png").write_bytes(b"")
    (problem,) = problems_of(data)
    assert "0 bytes" in problem


def test_a_threshold_mends_blurred_masks(data: Path) -> None:
    for name in "abcd":
        (data / "masks" / f"{name}.png").unlink()
        save(disc(), data / "masks" / f"{name}.jpg", quality=60)
    problems = problems_of(data)
    assert len(problems) == 4
    assert all("--mask-threshold 128" in problem for problem in problems)
    checked = check(data, mask_threshold=128)
    share = float((disc() > 0).mean())
    assert [fact.foreground_share for fact in checked.facts] == pytest.approx([share] * 4, rel=0.1)


def test_colour_with_equal_channels_counts_as_grey(data: Path) -> None:
    save(np.dstack([picture(7)] * 3), data / "images" / "a.png")
    checked = check(data)
    assert checked.channels == 1
    assert checked.facts[0].channels == 1


def test_grey_shades_stored_as_colour_fit_into_a_colour_data_set(tmp_path: Path) -> None:
    data = make(tmp_path / "colour", ["a", "b", "c"], channels=3)
    save(np.dstack([picture(7)] * 3), data / "images" / "a.png")
    checked = check(data)
    assert checked.channels == 3
    assert [fact.channels for fact in checked.facts] == [1, 3, 3]


@pytest.mark.parametrize(("usual", "odd", "says"), [(1, 3, "in colour"), (3, 1, "is grey")])
def test_the_fewer_of_grey_and_colour_are_named(tmp_path: Path, usual: int, odd: int, says: str) -> None:
    data = make(tmp_path / "mixed", ["a", "b", "c"], channels=usual)
    save(picture(7, channels=odd), data / "images" / "b.png")
    (problem,) = problems_of(data)
    assert problem.startswith(str(data / "images" / "b.png"))
    assert says in problem


@pytest.mark.parametrize("patients", [1, 3])
def test_fewer_patients_than_folds(tmp_path: Path, patients: int) -> None:
    data = make(tmp_path / "few", [f"n{index}" for index in range(2 * patients)])
    (problem,) = problems_of(data, minimum_patients=5)
    assert f"{patients} patient" in problem
    assert ("--folds 3" in problem) == (patients == 3)
    (data / "cases.csv").unlink()
    assert len(check(data, minimum_patients=2 * patients).facts) == 2 * patients
    (problem,) = problems_of(data, minimum_patients=2 * patients + 1)
    assert "every image counts as one" in problem


def test_a_patient_behind_another_fault_is_still_counted(data: Path) -> None:
    for name in "cd":
        (data / "masks" / f"{name}.png").unlink()
    problems = problems_of(data, minimum_patients=2)
    assert len(problems) == 2
    assert all("no mask" in problem for problem in problems)


def test_images_alone_are_checked_too(data: Path) -> None:
    layout = find_layout(None, images=data / "images", with_masks=False)
    checked = load_and_check(layout)
    assert checked.labels == ()
    assert [fact.foreground_share for fact in checked.facts] == [0] * 4
    (data / "images" / "c.png").write_bytes(b"")
    with pytest.raises(InputError, match="0 bytes"):
        load_and_check(layout)


def test_check_cases_by_themselves(data: Path) -> None:
    dataset = load_cases(find_layout(data))
    assert check_cases(dataset, minimum_patients=2).dataset == dataset
    with pytest.raises(InputError, match="2 patients"):
        check_cases(dataset, minimum_patients=3)
    with pytest.raises(InputError, match="no cases"):
        check_cases(DataSet((), patients_known=False))
    gone = Case("x", Source.of(data / "images" / "x.png"), None, "p")
    with pytest.raises(InputError, match=r"x\.png: cannot be opened"):
        check_cases(DataSet((*dataset.cases, gone), patients_known=True))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def animate(path: Path) -> None:
    frames = [Image.fromarray(disc(radius)) for radius in (3, 4, 5)]
    path.unlink()
    frames[0].save(path.with_suffix(".gif"), save_all=True, append_images=frames[1:])


def blur(path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(disc()).save(buffer, "JPEG", quality=40)
    Image.open(buffer).save(path)


def forget_row(data: Path, name: str) -> None:
    lines = (data / "cases.csv").read_text().splitlines()
    (data / "cases.csv").write_text("\n".join(line for line in lines if not line.startswith(f"{name},")))


def add_row(data: Path, row: str) -> None:
    with (data / "cases.csv").open("a") as file:
        file.write(f"\n{row}\n")


def add_not_a_number(data: Path, name: str) -> None:
    pixels = picture(3).astype(np.float32)
    pixels[2, 3] = np.nan
    (data / "images" / f"{name}.png").unlink()
    tifffile.imwrite(data / "images" / f"{name}.tif", pixels)


# What is done to the case of the given name, and what the problem's text must hold; {} is the name.
FAULTS: dict[str, tuple[Callable[[Path, str], object], str]] = {
    "missing mask": (lambda data, n: (data / "masks" / f"{n}.png").unlink(), "images/{}.png: no mask"),
    "extra mask": (lambda data, n: save(disc(), data / "masks" / f"{n}_x.png"), "masks/{}_x.png: no image"),
    "other size": (
        lambda data, n: save(disc(size=(31, 24)), data / "masks" / f"{n}.png"),
        "masks/{}.png: has 31 x 24 pixels, but its image {}.png has 24 x 31",
    ),
    "image cut short": (lambda data, n: cut_short(data / "images" / f"{n}.png"), "images/{}.png: is cut short"),
    "mask cut short": (lambda data, n: cut_short(data / "masks" / f"{n}.png"), "masks/{}.png: is cut short"),
    "empty file": (
        lambda data, n: (data / "images" / f"{n}.png").write_bytes(b""),
        "images/{}.png: is empty (0 bytes)",
    ),
    "no image": (lambda data, n: (data / "images" / f"{n}.png").write_text("hello"), "images/{}.png: is not a PNG"),
    "blurred mask": (lambda data, n: blur(data / "masks" / f"{n}.png"), "masks/{}.png: has"),
    "0/1 among 0/255": (
        lambda data, n: save(disc() // 255, data / "masks" / f"{n}.png"),
        "masks/{}.png: has the values 0, 1, but other masks have 0, 255",
    ),
    "row without image": (lambda data, n: add_row(data, f"{n}_y,p0"), "is named '{}_y'"),
    "image without row": (forget_row, "images/{}.png: has no line in"),
    "row twice": (lambda data, n: add_row(data, f"{n},p0"), "names '{}' again"),
    "no patient": (lambda data, n: (forget_row(data, n), add_row(data, f"{n},")), "the column 'patient' is empty"),
    "same name twice": (lambda data, n: save(picture(5), data / "images" / f"{n}.jpg"), "{}.jpg and {}.png"),
    "colour mask": (
        lambda data, n: save(picture(6, channels=3), data / "masks" / f"{n}.png"),
        "masks/{}.png: is a colour picture",
    ),
    "several frames": (lambda data, n: animate(data / "masks" / f"{n}.png"), "masks/{}.gif: has 3 frames"),
    "constant image": (
        lambda data, n: save(np.full(SIZE, 7, np.uint8), data / "images" / f"{n}.png"),
        "images/{}.png: shows nothing: every pixel has the value 7",
    ),
    "not finite": (add_not_a_number, "images/{}.tif: has values that are not finite (NaN or infinite): 1 of 744"),
    "colour among grey": (
        lambda data, n: save(picture(8, channels=3), data / "images" / f"{n}.png"),
        "images/{}.png: is in colour",
    ),
}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(sorted(FAULTS)), max_size=12), st.booleans())
def test_every_planted_fault_is_told_once(
    tmp_path_factory: pytest.TempPathFactory, faults: set[str], few_patients: bool
) -> None:
    """Each fault sits on a case of its own beside sound ones, so that n faults must give n problems."""
    names = {fault: f"n{index}" for index, fault in enumerate(sorted(faults))}
    data = make(tmp_path_factory.mktemp("planted") / "data", [*names.values(), *(f"sound{i}" for i in range(14))])
    expected = []
    for fault, name in names.items():
        plant, text = FAULTS[fault]
        plant(data, name)
        expected.append(text.replace("{}", name))
    if few_patients:
        expected.append("but 50 folds need 50")
    if not expected:
        check(data)
        return
    problems = problems_of(data, minimum_patients=50 if few_patients else 2)
    assert len(problems) == len(expected), problems
    for text in expected:
        assert sum(text in problem for problem in problems) == 1, (text, problems)


def test_all_faults_at_once(tmp_path: Path) -> None:
    names = {fault: f"n{index}" for index, fault in enumerate(sorted(FAULTS))}
    data = make(tmp_path / "data", [*names.values(), *(f"sound{i}" for i in range(22))])
    for fault, name in names.items():
        FAULTS[fault][0](data, name)
    problems = problems_of(data, minimum_patients=50)
    assert len(problems) == len(FAULTS) + 1, "\n".join(problems)
