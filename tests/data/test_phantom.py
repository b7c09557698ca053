"""The built-in data set: its files, its reproducibility, and that its task is real and hard."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from unifocal.data import phantom
from unifocal.data.phantom import PhantomSlice, phantom_slices, write_phantom
from unifocal.problems import InputError

CLASSES = {"meningioma", "glioma", "pituitary"}


@pytest.fixture(scope="module")
def slices() -> list[PhantomSlice]:
    return list(phantom_slices(patients=24, seed=0, size=128))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def best_threshold_dice(images: NDArray[np.uint8], masks: NDArray[np.bool_]) -> float:
    """The best Dice, pixels pooled, of any interval of grey values, by histograms."""
    inside = np.bincount(images[masks], minlength=256).cumsum()
    everywhere = np.bincount(images.ravel(), minlength=256).cumsum()
    inside, everywhere = np.insert(inside, 0, 0), np.insert(everywhere, 0, 0)
    hits = inside[None, :] - inside[:, None]
    marked = everywhere[None, :] - everywhere[:, None]
    dice = 2 * hits / np.maximum(marked + masks.sum(), 1)
    return float(np.triu(dice).max())


def test_the_files_are_what_the_table_says(tmp_path: Path) -> None:
    folder = tmp_path / "phantom"
    write_phantom(folder, patients=3, seed=5, size=64)
    with (folder / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["case", "patient", "class", "plane"]
    stems = [row["case"] for row in rows]
    assert len(set(stems)) == len(stems)
    for kind in ("images", "masks"):
        assert {path.name for path in (folder / kind).iterdir()} == {f"{s}.png" for s in stems}
    assert {path.name for path in folder.iterdir()} == {"images", "masks", "cases.csv"}
    for stem in stems:
        with Image.open(folder / "images" / f"{stem}.png") as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (64, 64))
            assert np.ptp(np.asarray(image)) > 100
        with Image.open(folder / "masks" / f"{stem}.png") as mask:
            assert (mask.mode, mask.size) == ("L", (64, 64))
            assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_same_arguments_same_bytes_other_seed_other_pictures(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_phantom(tmp_path / name, patients=2, seed=seed, size=48)
    first, again, other = (contents(tmp_path / name) for name in "abc")
    assert first == again
    pictures = {data for name, data in first.items() if name.startswith("images")}
    assert pictures.isdisjoint(other.values())


def test_the_seed_draws_the_head_and_not_only_the_kind_of_tumour() -> None:
    first = [next(phantom_slices(patients=1, seed=seed, size=32)) for seed in range(8)]
    assert len({one.kind for one in first}) < len(first)  # so some seeds share the kind
    assert len({one.image.tobytes() for one in first}) == len(first)


def test_a_patient_does_not_depend_on_how_many_follow() -> None:
    few = list(phantom_slices(patients=2, seed=3, size=32))
    more = list(phantom_slices(patients=4, seed=3, size=32))
    for one, same in zip(few, more, strict=False):
        assert (one.case, one.kind, one.plane) == (same.case, same.kind, same.plane)
        np.testing.assert_array_equal(one.image, same.image)
        np.testing.assert_array_equal(one.mask, same.mask)


def test_classes_are_even_and_planes_vary(slices: list[PhantomSlice]) -> None:
    kinds: dict[str, set[str]] = defaultdict(set)
    planes: dict[str, list[str]] = defaultdict(list)
    for one in slices:
        kinds[one.patient].add(one.kind)
        planes[one.patient].append(one.plane)
    assert Counter(kind for each in kinds.values() for kind in each) == dict.fromkeys(CLASSES, 8)
    for taken in planes.values():
        assert 2 <= len(taken) <= 4
        assert len(set(taken[:3])) == len(taken[:3])
    counts = Counter(one.plane for one in slices)
    assert set(counts) == {"axial", "coronal", "sagittal"}
    assert min(counts.values()) > len(slices) / 5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_slice_shows_its_tumour_and_the_tumours_are_small(seed: int) -> None:
    shares = np.array([s.mask.mean() for s in phantom_slices(patients=24, seed=seed, size=48)])
    assert shares.min() > 0
    assert 0.01 <= shares.mean() <= 0.03
    low, high = np.percentile(shares, [5, 95])
    assert high > 6 * low  # sizes vary widely


def test_brightness_alone_does_not_find_the_tumour(slices: list[PhantomSlice]) -> None:
    images = np.stack([one.image for one in slices])
    masks = np.stack([one.mask for one in slices])
    assert best_threshold_dice(images, masks) < 0.3
    one_by_one = [best_threshold_dice(one.image, one.mask) for one in slices]
    assert np.mean(one_by_one) < 0.5  # not even with the best interval for each picture


def test_the_threshold_oracle_finds_what_brightness_can_find() -> None:
    mask = np.zeros((20, 20), dtype=np.bool_)
    mask[5:9, 5:9] = True
    assert best_threshold_dice(np.where(mask, 200, 50).astype(np.uint8), mask) == 1.0


def test_every_picture_is_a_head_on_a_dark_ground(slices: list[PhantomSlice]) -> None:
    for one in slices:
        head = ndimage.binary_fill_holes(ndimage.gaussian_filter(one.image.astype(float), 1) > 30)
        labels, _ = ndimage.label(head)
        sizes = np.bincount(labels.ravel())[1:]
        assert 0.08 < sizes.max() / head.size < 0.85
        assert (labels == 1 + sizes.argmax())[one.mask].mean() > 0.99
        assert np.median(one.image[:, :3]) < 40 or np.median(one.image[:, -3:]) < 40


def test_tumours_differ_in_contrast_and_some_have_little(slices: list[PhantomSlice]) -> None:
    ratios: dict[str, float] = {}
    for one in slices:
        if one.kind == "meningioma":
            around = ndimage.binary_dilation(one.mask, iterations=8) & ~ndimage.binary_dilation(one.mask, iterations=3)
            image = one.image.astype(float)
            ratios[one.patient] = float(np.median(image[one.mask]) / np.median(image[around]))
    assert max(ratios.values()) > 1.6
    assert min(ratios.values()) < 1.5


@pytest.mark.parametrize("size", [64, 256])
def test_size_changes_the_pixels_not_the_anatomy(size: int) -> None:
    usual = list(phantom_slices(patients=3, seed=4, size=128))
    scaled = list(phantom_slices(patients=3, seed=4, size=size))
    for one, other in zip(usual, scaled, strict=True):
        assert other.image.shape == other.mask.shape == (size, size)
        assert other.mask.mean() == pytest.approx(one.mask.mean(), rel=0.15)
        small, large = sorted((one, other), key=lambda s: s.image.shape[0])
        factor = large.image.shape[0] // small.image.shape[0]
        rows, columns = small.image.shape
        pooled = large.image.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
        assert np.corrcoef(pooled.ravel(), small.image.ravel())[0, 1] > 0.9


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    write_phantom(folder, patients=1, size=32)
    assert (folder / "cases.csv").is_file()


def test_missing_parents_are_made(tmp_path: Path) -> None:
    write_phantom(tmp_path / "a" / "b", patients=1, size=32)
    assert (tmp_path / "a" / "b" / "cases.csv").is_file()


def test_a_full_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        write_phantom(tmp_path, patients=1, size=32)
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "phantom"
    target.write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        write_phantom(target, patients=1, size=32)
    assert target.read_text() == "mine"


def test_every_argument_out_of_range_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        write_phantom(tmp_path / "new", patients=0, seed=-1, size=31)
    assert [problem.where for problem in caught.value.problems] == ["patients", "seed", "size"]
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = phantom.take_slice

    def failing(*args: object) -> object:
        calls.append(args)
        if len(calls) == 3:
            raise OSError("disk full")
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(phantom, "take_slice", failing)
    with pytest.raises(OSError, match="disk full"):
        write_phantom(tmp_path / "new", patients=2, size=32)
    assert len(calls) == 3
    assert not list(tmp_path.iterdir())
