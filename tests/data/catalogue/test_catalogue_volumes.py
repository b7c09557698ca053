"""The catalogue's data sets of volumes, and Cheng's MATLAB files, in the documented layouts."""

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
from release_files import cases_of, opened, touch
from scipy.io import savemat

from unifocal.data.read import read_mask
from unifocal.problems import InputError


def write_brats(folder: Path, *cases: str, ending: str = ".nii.gz") -> Path:
    for case in cases:
        touch(folder, *(f"{case}/{case}_{kind}{ending}" for kind in ("flair", "t1", "t1ce", "t2", "seg")))
    return folder


def test_brats(tmp_path: Path) -> None:
    write_brats(tmp_path, "BraTS20_Training_001", "BraTS20_Training_002")
    (tmp_path / "name_mapping.csv").write_text(
        "Grade,BraTS_2017_subject_ID,BraTS_2020_subject_ID\nHGG,x,BraTS20_Training_001\nLGG,y,BraTS20_Training_002\n"
    )
    reading = opened(tmp_path)
    cases = cases_of(reading)
    declared = reading.dataset.declared
    assert reading.problems == ()
    assert [case.image.path.name for case in cases.values()] == [f"{name}_t1ce.nii.gz" for name in cases]
    assert [case.attributes["class"] for case in cases.values()] == ["HGG", "LGG"]
    assert (declared.layout, declared.keep, declared.channels) == ("brats20", (4,), ("t1ce",))
    assert set(declared.labels) == {1, 2, 4}
    assert reading.dataset.patients_known


@pytest.mark.parametrize("channels", ["all", "flair,t1,t1ce,t2", ["flair", "t1", "t1ce", "t2"]])
def test_brats_with_all_sequences_and_regions(tmp_path: Path, channels: object) -> None:
    write_brats(tmp_path, "BraTS20_Training_001", ending=".nii")
    reading = opened(tmp_path, options={"channels": channels, "target": "regions"})
    (case,) = reading.dataset.cases
    assert [path.stem.rsplit("_")[-1] for path in case.image.paths] == ["flair", "t1", "t1ce", "t2"]
    declared = reading.dataset.declared
    assert declared.channels == ("flair", "t1", "t1ce", "t2")
    assert declared.keep is None
    assert declared.regions == {"whole tumour": (1, 2, 4), "tumour core": (1, 4), "enhancing tumour": (4,)}


def test_brats_until_2016_has_four_labels(tmp_path: Path) -> None:
    declared = opened(write_brats(tmp_path, "brats_2013_pat0001_1"), options={"target": "regions"}).dataset.declared
    assert set(declared.labels) == {1, 2, 3, 4}
    assert declared.regions["tumour core"] == (1, 3, 4)


def test_brats_case_355_and_missing_files(tmp_path: Path) -> None:
    write_brats(tmp_path, "BraTS20_Training_355", "BraTS20_Training_356", "BraTS20_Training_357", ending=".nii")
    odd = tmp_path / "BraTS20_Training_355"
    (odd / "BraTS20_Training_355_seg.nii").rename(odd / "W39_1998.09.19_Segm.nii")
    (tmp_path / "BraTS20_Training_356/BraTS20_Training_356_t1ce.nii").unlink()
    (tmp_path / "BraTS20_Training_357/BraTS20_Training_357_seg.nii").unlink()
    reading = opened(tmp_path)
    assert list(cases_of(reading)) == ["BraTS20_Training_355"]
    assert sorted(problem.kind for problem in reading.problems) == ["channel-missing", "mask-missing"]
    for asked in ("t3", "", "t1,t1", ["flair", "x"]):
        with pytest.raises(InputError, match="flair, t1, t1ce, t2"):
            opened(tmp_path, options={"channels": asked})


def test_brats_cases_without_enhancing_tumour_are_left_out_when_asked(tmp_path: Path) -> None:
    names = [f"BraTS20_Training_00{number}" for number in (1, 2, 3)]
    write_brats(tmp_path, *names)
    for name, value in zip(names, (4, 2, None), strict=True):
        if value is not None:
            mask = np.zeros((3, 3, 3), np.uint8)
            mask[1, 1, 1] = value
            nib.save(nib.Nifti1Image(mask, np.eye(4)), tmp_path / name / f"{name}_seg.nii.gz")
    assert len(opened(tmp_path).dataset.cases) == 3
    reading = opened(tmp_path, options={"require_label": 4})
    # The third mask cannot be read: it stays, for the check to say so.
    assert list(cases_of(reading)) == [names[0], names[2]]
    assert [(problem.kind, problem.is_warning) for problem in reading.problems] == [("left-out", True)]
    assert names[1] in reading.problems[0].what


def write_kits(folder: Path, *numbers: int, masks: bool = True) -> Path:
    for number in numbers:
        touch(folder, f"case_{number:05}/imaging.nii.gz")
        if masks:
            touch(folder, f"case_{number:05}/segmentation.nii.gz")
    return folder


@pytest.mark.parametrize("place", [".", "data"])
def test_kits(tmp_path: Path, place: str) -> None:
    write_kits(tmp_path / place, 0, 1, 15, 23, 37, 68, 125, 133, 209)
    write_kits(tmp_path / place, 210, 299, masks=False)
    touch(tmp_path / place, "kits.json", "LICENSE")
    reading = opened(tmp_path)
    declared = reading.dataset.declared
    assert reading.problems == ()
    assert list(cases_of(reading)) == ["case_00000", "case_00001", "case_00209"]
    assert (declared.layout, declared.labels, declared.modality) == ("kits19", {1: "kidney", 2: "tumour"}, "CT")
    assert len(opened(tmp_path, options={"keep_doubtful": True}).dataset.cases) == 9
    assert [case.part for case in opened(tmp_path, with_masks=False).dataset.cases] == ["training"] * 3 + ["test"] * 2


def test_kits_without_the_images_that_are_fetched_apart(tmp_path: Path) -> None:
    write_kits(tmp_path / "data", 0)
    touch(tmp_path / "data", "case_00001/segmentation.nii.gz", "case_00002/imaging.nii.gz")
    reading = opened(tmp_path)
    assert [case.name for case in reading.dataset.cases] == ["case_00000"]
    assert sorted(problem.kind for problem in reading.problems) == ["channel-missing", "mask-missing"]
    with pytest.raises(InputError, match="no such option"):
        opened(tmp_path, options={"doubtful": True})
    with pytest.raises(InputError, match="keep_doubtful"):
        opened(tmp_path, options={"keep_doubtful": "no"})


def write_cheng(path: Path, patient: str, label: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group("cjdata")
        group["PID"] = np.array([[ord(letter)] for letter in patient], dtype=np.uint16)
        group["label"] = np.array([[label]], dtype=np.float64)
        group["image"] = np.arange(12, dtype=np.int16).reshape(3, 4)
        group["tumorMask"] = (np.arange(12).reshape(3, 4) == 5).astype(np.uint8)


def write_folds(path: Path, *, old: bool) -> None:
    folds = np.arange(3064, dtype=np.float64) % 5 + 1
    if old:
        savemat(path, {"cvind": folds[:, None]})
    else:
        with h5py.File(path, "w") as file:
            file["cvind"] = folds[None]


@pytest.mark.parametrize("parts", [False, True])
def test_cheng(tmp_path: Path, *, parts: bool) -> None:
    facts = {1: ("100360", 1), 2: ("100360", 1), 10: ("MR0402", 2), 3064: ("7", 3)}
    for number, (patient, label) in facts.items():
        place = f"brainTumorDataPublic_{number // 766 * 766}" if parts else "."
        write_cheng(tmp_path / place / f"{number}.mat", patient, label)
    write_folds(tmp_path / "cvind.mat", old=parts)
    reading = opened(tmp_path)
    cases = cases_of(reading)
    assert reading.problems == ()
    assert reading.dataset.declared.layout == "cheng_brain_tumours"
    assert {int(name): case.patient for name, case in cases.items()} == {n: who for n, (who, _) in facts.items()}
    classes = ("meningioma", "glioma", "pituitary tumour")
    assert [case.attributes["class"] for case in cases.values()] == [classes[label - 1] for _, label in facts.values()]
    assert [case.attributes["fold"] for case in cases.values()] == [str((number - 1) % 5 + 1) for number in facts]
    assert cases["10"].mask is not None
    assert read_mask(cases["10"].mask).array.sum() == 1


def test_cheng_with_damaged_files(tmp_path: Path) -> None:
    write_cheng(tmp_path / "1.mat", "a", 1)
    write_cheng(tmp_path / "brainTumorDataPublic_1-766" / "1.mat", "a", 1)
    (tmp_path / "2.mat").write_bytes(b"no MATLAB")
    (tmp_path / "cvind.mat").write_bytes(b"")
    reading = opened(tmp_path)
    assert list(cases_of(reading)) == ["1"]
    assert [(Path(problem.where).name, problem.is_warning) for problem in reading.problems] == [
        ("cvind.mat", True),
        ("1.mat", False),
        ("2.mat", False),
    ]
    assert "fold" not in cases_of(reading)["1"].attributes


@pytest.mark.parametrize("trick", ["outside", "group", "table", "large", "other"])
def test_folds_that_are_no_list_of_their_own(tmp_path: Path, trick: str) -> None:
    write_cheng(tmp_path / "1.mat", "a", 1)
    with h5py.File(tmp_path / "cvind.mat", "w") as file:
        match trick:
            case "outside":
                write_folds(tmp_path / "elsewhere.h5", old=False)
                file["cvind"] = h5py.ExternalLink("elsewhere.h5", "cvind")
            case "group":
                file.create_group("cvind")
            case "table":
                file["cvind"] = np.ones((3, 2))
            case "large":
                file.create_dataset("cvind", (10**12,), dtype="f8", chunks=(1000,))
            case _:
                file["other"] = np.ones((1, 3))
    reading = opened(tmp_path)
    assert [problem.is_warning for problem in reading.problems] == [True]
    assert "fold" not in cases_of(reading)["1"].attributes
