"""A mended copy: right where nothing had to be guessed, without the rest, and the originals as they were."""

import csv
import hashlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from PIL import Image

from unifocal.data.case import Case, DataSet, Reading, Source
from unifocal.data.check import CheckResult, check_data
from unifocal.data.check import mend as mend_module
from unifocal.data.check.mend import write_mended
from unifocal.data.datasets import Request, open_dataset
from unifocal.problems import InputError

SIZE = (40, 52)


def grey(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, SIZE, np.uint8)


def disc(seed: int) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    disc: NDArray[np.bool_] = (rows - 18) ** 2 + (columns - 20) ** 2 < (6 + seed) ** 2
    return disc


def save(pixels: NDArray[Any], path: Path, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for seed in range(8):
        save(grey(seed), folder / "images" / f"n{seed}.png")
        save(disc(seed).astype(np.uint8) * 255, folder / "masks" / f"n{seed}.png")
    rows = "".join(f"n{seed},p{seed // 2},s{seed % 2},0.5\n" for seed in range(8))
    (folder / "cases.csv").write_text(f"case,patient,site,spacing_mm\n{rows}")
    return folder


def checked(folder: Path, **options: Any) -> CheckResult:
    return check_data(open_dataset(Request(folder=folder)), **options)


def state(folder: Path) -> dict[str, tuple[str, int, int]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), stat.st_mtime_ns, stat.st_mode)
        for path in files
        if (stat := path.stat())
    }


def fixes(out: Path) -> dict[str, tuple[str, str]]:
    with (out / "fixes.csv").open() as file:
        return {row["case"] or row["image"]: (row["action"], row["what"]) for row in csv.DictReader(file)}


def test_what_can_be_mended_is_and_the_rest_is_left_out(data: Path, tmp_path: Path) -> None:
    save(disc(0).astype(np.uint8), data / "masks" / "n0.png")
    Image.fromarray(disc(1).astype(np.uint8) * 255).save(data / "masks" / "x.jpg", quality=40)
    Image.open(data / "masks" / "x.jpg").save(data / "masks" / "n1.png")
    (data / "masks" / "x.jpg").unlink()
    (data / "images" / "n2.png").write_bytes((data / "images" / "n2.png").read_bytes()[:500])
    for part in ("images", "masks"):
        (data / part / "n5.png").write_bytes((data / part / "n4.png").read_bytes())
    (data / "images" / "n7.png").write_bytes((data / "images" / "n3.png").read_bytes())
    save(grey(30), data / "images" / "unpaired.png")
    before = state(data)
    out = tmp_path / "mended"
    result = checked(data)
    assert result.checked is None
    counts = write_mended(result, out, [data])
    assert state(data) == before
    told = fixes(out)
    assert {name: action for name, (action, _) in told.items()} == {
        "n0": "mended", "n1": "left out", "n2": "left out", "n3": "left out", "n4": "copied", "n5": "left out",
        "n6": "copied", "n7": "left out", str(data / "images" / "unpaired.png"): "not mended",
    }  # fmt: skip
    assert counts == {"mended": 1, "copied": 2, "left out": 5}
    assert "--mask-threshold" not in told["n0"][1]
    assert "blurred" in told["n1"][1]
    assert "copy of n4" in told["n5"][1]
    assert "another patient" in told["n7"][1]
    assert sorted(path.name for path in (out / "images").iterdir()) == ["n0.png", "n4.png", "n6.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(out / "masks" / "n0.png")), disc(0) * 255)
    np.testing.assert_array_equal(np.asarray(Image.open(out / "images" / "n6.png")), grey(6))
    again = checked(out)
    assert again.problems == ()
    assert again.checked is not None
    case = again.checked.dataset.cases[0]
    assert (case.name, case.patient, case.attributes["site"], case.spacing_mm) == ("n0", "p0", "s0", (0.5, 0.5))
    assert not list(tmp_path.glob(".mended*"))


def test_blurred_masks_are_cut_at_the_threshold_that_is_given(data: Path, tmp_path: Path) -> None:
    for seed in range(8):
        soft = np.clip((6 + seed - np.hypot(*np.ogrid[-18:22, -20:32])) * 60 + 128, 0, 255).astype(np.uint8)
        save(soft, data / "masks" / f"n{seed}.png")
    counts = write_mended(checked(data, threshold=100), tmp_path / "out", [data])
    assert counts == {"mended": 8, "copied": 0, "left out": 0}
    for seed in range(8):
        soft = np.asarray(Image.open(data / "masks" / f"n{seed}.png"))
        written = np.asarray(Image.open(tmp_path / "out" / "masks" / f"n{seed}.png"))
        np.testing.assert_array_equal(written, np.where(soft >= 100, 255, 0))
    assert checked(tmp_path / "out").problems == ()


def test_grey_pictures_among_coloured_ones_get_three_channels(data: Path, tmp_path: Path) -> None:
    for seed in range(1, 8):
        save(np.dstack([grey(seed), grey(seed + 20), grey(seed + 40)]), data / "images" / f"n{seed}.png")
    assert write_mended(checked(data), tmp_path / "out", [data])["mended"] == 1
    written = np.asarray(Image.open(tmp_path / "out" / "images" / "n0.png"))
    np.testing.assert_array_equal(written, np.dstack([grey(0)] * 3))


def test_volumes_keep_their_place_and_values(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(random.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * [0.7, 0.8, 2.5], [-20, 30, 7]
    (tmp_path / "data").mkdir()
    cases = []
    for number, kind in enumerate((np.int16, np.float32, np.uint8)):
        array = (random.normal(size=(12, 11, 9)) * 50 + 100).astype(kind)
        labels = (array > 120).astype(np.float64) * 3
        paths = tmp_path / "data" / f"i{number}.nii.gz", tmp_path / "data" / f"m{number}.nii.gz"
        nib.save(nib.Nifti1Image(array, affine), paths[0])
        moved = affine.copy()
        moved[0, 3] += 0.2 * (number == 1)
        nib.save(nib.Nifti1Image(labels, moved), paths[1])
        cases.append(Case(f"c{number}", Source.of(paths[0]), Source.of(paths[1]), f"p{number}"))
    result = check_data(Reading(DataSet(tuple(cases), patients_known=True)))
    out = tmp_path / "out"
    assert write_mended(result, out, [tmp_path / "data"]) == {"mended": 1, "copied": 2, "left out": 0}
    for number in range(3):
        for part, name in (("images", "i"), ("masks", "m")):
            source = nib.load(tmp_path / "data" / f"{name}{number}.nii.gz")
            image_affine = nib.load(tmp_path / "data" / f"i{number}.nii.gz").affine
            written = nib.load(out / part / f"c{number}.nii.gz")
            np.testing.assert_allclose(written.affine, image_affine, atol=1e-4)
            np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(source.dataobj))
            read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(out / part / f"c{number}.nii.gz"))
            np.testing.assert_array_equal(read, np.asarray(source.dataobj).T)
    assert checked(out).errors == ()


def test_pictures_that_png_cannot_hold_become_tiff(data: Path, tmp_path: Path) -> None:
    import tifffile

    values = np.random.default_rng(0).normal(size=SIZE).astype(np.float32)
    (data / "images" / "n0.png").unlink()
    tifffile.imwrite(data / "images" / "n0.tif", values)
    deep = grey(1).astype(np.uint16) * 250
    save(deep, data / "images" / "n1.png")
    write_mended(checked(data), tmp_path / "out", [data])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "images" / "n0.tif"), values)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "images" / "n1.png")), deep)
    assert checked(tmp_path / "out").errors == ()


@pytest.mark.parametrize("where", ["data", "data/new", "data/images/deep/new", "filled", "file"])
def test_places_that_are_refused(data: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled" / "x").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(data)
    before = state(tmp_path)
    for out in {tmp_path / where, tmp_path / where.replace("data/", "link/")}:
        with pytest.raises(InputError, match="--fix"):
            write_mended(checked(data), out, [data])
    assert state(tmp_path) == before


def test_nothing_half_written_stays(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mend_module, "_write_tables", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_mended(checked(data), tmp_path / "deep" / "out", [data])
    assert list((tmp_path / "deep").iterdir()) == []


def test_an_empty_folder_is_taken(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert write_mended(checked(data), tmp_path / "out", [data])["copied"] == 8
