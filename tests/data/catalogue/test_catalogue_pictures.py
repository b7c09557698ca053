"""The catalogue's data sets of pictures, in the documented layouts."""

from pathlib import Path

import pytest
from release_files import cases_of, opened, touch

from unifocal.data.catalogue.cvc_clinicdb import sequence_of
from unifocal.problems import InputError


def test_focal_paper_first_release_pairs_by_order_and_keeps_its_test_images(tmp_path: Path) -> None:
    touch(tmp_path, *(f"image/slice {n}.png" for n in range(1, 220)))
    touch(tmp_path, *(f"Mask2/m{n:04}.png" for n in range(1, 220)))
    touch(tmp_path, *(f"test/slice {n}.png" for n in range(1, 62)))
    reading = opened(tmp_path)
    cases = cases_of(reading)
    assert reading.problems == ()
    assert reading.dataset.declared.layout == "brain_tumours_focal"
    assert len(cases) == 219
    assert cases["slice 10"].mask is not None
    assert cases["slice 10"].mask.path.name == "m0010.png"
    everything = opened(tmp_path, with_masks=False).dataset.cases
    assert len(everything) == 280
    assert sum(case.part == "test" for case in everything) == 61


def test_focal_paper_second_release(tmp_path: Path) -> None:
    touch(tmp_path, *(f"crossimage/{n}.png" for n in range(314)), *(f"crossmask/{n}.png" for n in range(314)))
    assert len(opened(tmp_path).dataset.cases) == 314
    touch(tmp_path, "image/a.png", "Mask2/b.png")
    assert len(opened(tmp_path).dataset.cases) == 314
    reading = opened(tmp_path, options={"release": "first"})
    assert [problem.kind for problem in reading.problems] == ["count-differs"]
    assert reading.problems[0].is_warning
    (tmp_path / "crossmask" / "7.png").unlink()
    with pytest.raises(InputError, match="314 images but 313 masks"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("places", "extension", "option"),
    [(["PNG"], "png", "auto"), (["TIF"], "tif", "auto"), (["."], "tif", "auto"), (["PNG", "TIF"], "tif", "tif")],
)
def test_clinicdb_in_each_of_its_forms(tmp_path: Path, places: list[str], extension: str, option: str) -> None:
    for place in places:
        kind = "png" if place == "PNG" else "tif"
        for folder in ("Original", "Ground Truth"):
            touch(tmp_path, *(f"{place}/{folder}/{frame}.{kind}" for frame in (1, 25, 26, 612)))
    reading = opened(tmp_path, options={"format": option})
    cases = cases_of(reading)
    assert reading.problems == ()
    assert [case.patient for case in cases.values()] == ["seq01", "seq01", "seq02", "seq29"]
    assert {case.image.path.suffix for case in cases.values()} == {f".{extension}"}


def test_clinicdb_faults(tmp_path: Path) -> None:
    touch(
        tmp_path, "Original/1.tif", "Original/2.tif", "Original/613.tif", "Ground Truth/1.tif", "Ground Truth/613.tif"
    )
    (tmp_path / "sequences.csv").write_text("frame,sequence\n1,other\n")
    reading = opened(tmp_path, layout="cvc_clinicdb")
    assert sorted(problem.kind for problem in reading.problems) == ["mask-missing", "name-invalid", "table-line"]
    assert [case.patient for case in reading.dataset.cases] == ["other"]
    assert opened(tmp_path).dataset.declared.layout == "folders"
    (problem,) = [p for p in opened(tmp_path, layout="cvc_clinicdb", options={"format": "png"}).problems
                  if p.kind == "option-invalid"] or [None]  # fmt: skip
    assert problem is None
    with pytest.raises(InputError) as caught:
        opened(tmp_path, layout="cvc_clinicdb", options={"format": "bmp"})
    assert "auto, png, tif" in str(caught.value)


def test_the_frames_of_a_sequence_are_numbered_on() -> None:
    sequences = [sequence_of(frame) for frame in range(1, 613)]
    assert sequences == sorted(sequences)
    assert len(set(sequences)) == 29


def write_drive(folder: Path) -> Path:
    for number in (21, 22):
        touch(folder, f"training/images/{number}_training.tif", f"training/1st_manual/{number}_manual1.gif")
        touch(folder, f"training/mask/{number}_training_mask.gif")
    for number in (1, 2):
        touch(folder, f"test/images/{number:02}_test.tif", f"test/1st_manual/{number:02}_manual1.gif")
        touch(folder, f"test/2nd_manual/{number:02}_manual2.gif", f"test/mask/{number:02}_test_mask.gif")
    return folder


def test_drive(tmp_path: Path) -> None:
    reading = opened(write_drive(tmp_path))
    cases = cases_of(reading)
    assert reading.problems == ()
    assert {name: case.part for name, case in cases.items()} == {
        "21_training": "training", "22_training": "training", "01_test": "test", "02_test": "test"
    }  # fmt: skip
    second = cases["02_test"]
    assert second.field_of_view is not None
    assert second.field_of_view.path == tmp_path / "test/mask/02_test_mask.gif"
    assert {name: str(mask) for name, mask in second.other_masks.items()} == {
        "second observer": str(tmp_path / "test/2nd_manual/02_manual2.gif")
    }
    assert cases["21_training"].other_masks == {}


def test_drive_without_the_test_masks(tmp_path: Path) -> None:
    write_drive(tmp_path)
    for path in (tmp_path / "test/1st_manual").iterdir():
        path.unlink()
    (tmp_path / "test/1st_manual").rmdir()
    reading = opened(tmp_path)
    assert [(problem.kind, problem.is_warning) for problem in reading.problems] == [("part-without-masks", True)]
    assert [case.part for case in reading.dataset.cases] == ["training", "training"]
    assert len(opened(tmp_path, with_masks=False).dataset.cases) == 4


def test_drive_with_missing_files(tmp_path: Path) -> None:
    write_drive(tmp_path)
    (tmp_path / "training/1st_manual/21_manual1.gif").unlink()
    (tmp_path / "test/mask/01_test_mask.gif").unlink()
    reading = opened(tmp_path)
    assert sorted(problem.kind for problem in reading.problems) == ["mask-missing", "mask-missing"]
    assert len(reading.dataset.cases) == 3


def test_bus2017(tmp_path: Path) -> None:
    touch(tmp_path, "original/000001.png", "original/000002.png", "GT/000001.png", "GT/000002.png", "DatasetB.xlsx")
    reading = opened(tmp_path)
    assert reading.dataset.declared.layout == "bus2017"
    assert list(cases_of(reading)) == ["000001", "000002"]
    touch(tmp_path, "original/other.png", "GT/other.png")
    assert opened(tmp_path).dataset.declared.layout == "folders"


def test_busi(tmp_path: Path) -> None:
    touch(tmp_path, "benign/benign (1).png", "benign/benign (1)_mask.png", "benign/benign (1)_mask_1.png")
    touch(tmp_path, "benign/benign (2).png", "malignant/malignant (1).png", "malignant/malignant (1)_mask.png")
    touch(tmp_path, "malignant/malignant (9)_mask.png", "normal/normal (1).png", "normal/normal (1)_mask.png")
    reading = opened(tmp_path)
    cases = cases_of(reading)
    assert reading.dataset.declared.layout == "busi"
    assert {name: case.attributes["class"] for name, case in cases.items()} == {
        "benign (1)": "benign", "malignant (1)": "malignant", "normal (1)": "normal"
    }  # fmt: skip
    several = cases["benign (1)"].mask
    assert several is not None
    assert several.joined == "union"
    assert [path.name for path in several.paths] == ["benign (1)_mask.png", "benign (1)_mask_1.png"]
    assert cases["normal (1)"].mask is not None
    assert cases["normal (1)"].mask.joined == "one"
    assert sorted(problem.kind for problem in reading.problems) == ["image-missing", "mask-missing"]
    assert not reading.dataset.patients_known
    assert "normal (1)" not in cases_of(opened(tmp_path, options={"normal": False}))
