"""Spoiled tables, declarations and names: opening a data set ends in listed problems, whatever they say."""

import json
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fuzz_mutants import MUTATIONS
from fuzz_samples import dicom, write_samples
from PIL import Image

from unifocal.data.datasets import Request, open_dataset
from unifocal.data.split_files import parts_of_units, read_split
from unifocal.data.workers import Failed, map_isolated
from unifocal.problems import InputError

PER_FILE = 60


@dataclass(frozen=True)
class Spoiled:
    """A data set, and a split of it."""

    folder: Path
    split: Path | None = None


def open_it(spoiled: Spoiled) -> int:
    """How many problems there are. Runs in a process of its own."""
    try:
        reading = open_dataset(Request(folder=spoiled.folder))
        for case in reading.dataset.cases:
            for path in (*case.image.paths, *(case.mask.paths if case.mask else ())):
                assert path.resolve().is_relative_to(spoiled.folder.resolve()), path
        problems = list(reading.problems)
        if spoiled.split is not None:
            problems += parts_of_units(read_split(spoiled.split), reading.dataset.cases, by="patient")[1]
    except InputError as error:
        return len(error.problems)
    return len(problems)


def opened(folders: list[Spoiled]) -> list[int | Failed]:
    return list(map_isolated(open_it, folders, workers=2, timeout_s=10.0, preload=[open_it.__module__, "pydicom"]))


def two_folders(place: Path) -> dict[str, bytes]:
    for part in ("images", "masks"):
        (place / part).mkdir(parents=True)
        for name in ("a", "b", "c"):
            Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(place / part / f"{name}.png")
    table = b"case,patient,site,spacing_mm\na,p1,x,0.5\nb,p1,y,0.5\nc,p2,y,0.5\n"
    split = b"case,fold,part\na,0,train\nb,0,train\nc,0,test\na,1,test\nb,1,test\nc,1,train\n"
    return {"cases.csv": table, "../split.csv": split}


def decathlon(place: Path) -> dict[str, bytes]:
    for part in ("imagesTr", "labelsTr"):
        (place / part).mkdir(parents=True)
        for name in ("a", "b"):
            nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.uint8), np.eye(4)), place / part / f"{name}.nii.gz")
    entries = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in "ab"]
    declared = {"name": "x", "modality": {"0": "MRI"}, "labels": {"0": "background", "1": "one"}, "numTraining": 2,
                "training": entries, "test": [], "numTest": 0, "tensorImageSize": "3D"}  # fmt: skip
    return {"dataset.json": json.dumps(declared).encode()}


def nnunet(place: Path) -> dict[str, bytes]:
    for part, names in (("imagesTr", ("a_0000", "b_0000")), ("labelsTr", ("a", "b"))):
        (place / part).mkdir(parents=True)
        for name in names:
            nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.uint8), np.eye(4)), place / part / f"{name}.nii.gz")
    declared = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "whole": [1, 2], "core": 2},
                "regions_class_order": [1, 2], "numTraining": 2, "file_ending": ".nii.gz"}  # fmt: skip
    return {"dataset.json": json.dumps(declared).encode()}


def dicom_tree(place: Path) -> dict[str, bytes]:
    (place / "images" / "p1").mkdir(parents=True)
    (place / "masks").mkdir()
    for number in range(3):
        dicom(place / "images" / "p1" / f"{number}.dcm", np.eye(8, dtype=np.int16), number=number, series="1.2.3")
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 3), np.uint8), np.eye(4)), place / "masks" / "p1.nii.gz")
    return {"images/p1/1.dcm": (place / "images" / "p1" / "1.dcm").read_bytes()}


@pytest.mark.parametrize("make", [two_folders, decathlon, nnunet, dicom_tree])
def test_spoiled_tables_and_declarations_end_in_problems(make: object, tmp_path: Path) -> None:
    assert callable(make)
    chance = random.Random(7)
    folders = [Spoiled(tmp_path / "sound" / "data")]
    for name, content in make(folders[0].folder).items():
        (folders[0].folder / name).write_bytes(content)
    for number in range(PER_FILE):
        place = tmp_path / str(number) / "data"
        for name, content in make(place).items():
            mutation = MUTATIONS[number % len(MUTATIONS)]
            (place / name).write_bytes(mutation(content, chance, [content, b"\xff\xfe\0\0{[", b"\"'\0,;\t\n" * 50]))
        split = place / "../split.csv"
        folders.append(Spoiled(place, split if split.is_file() else None))
    outcomes = opened(folders)
    assert outcomes[0] == 0
    counts = Counter(outcome if isinstance(outcome, Failed) else bool(outcome) for outcome in outcomes)
    assert not [key for key in counts if isinstance(key, Failed)], counts
    assert counts[True] >= PER_FILE // 4, counts


NAMES = ["../../outside.nii.gz", "/etc/hostname", "./../x.nii.gz", "a\0b.nii.gz", "a" * 5000, "", ".", "..", "imagesTr",
         "\ud800", "CON", "imagesTr/../../../outside.nii.gz", "~/x.nii.gz", 5, None, ["x"], {"a": 1}]  # fmt: skip


@pytest.mark.parametrize("what", ["image", "label"])
def test_names_in_json_lead_nowhere(what: str, tmp_path: Path) -> None:
    (tmp_path / "outside.nii.gz").write_bytes(b"secret")
    folders = []
    for number, name in enumerate(NAMES):
        place = tmp_path / str(number)
        declared = json.loads(decathlon(place)["dataset.json"])
        declared["training"][0][what] = name
        (place / "dataset.json").write_text(json.dumps(declared))
        folders.append(Spoiled(place))
    for name, outcome in zip(NAMES, opened(folders), strict=True):
        assert isinstance(outcome, int), (name, outcome)
        assert outcome >= 1, name


@pytest.mark.parametrize(
    "text",
    ["", "[" * 10_000, "{}", "[]", "null", "1e999", '{"labels": 5}', '{"training": {}}', '{"training": [1, null]}',
     '{"labels": {"1": {"a": []}}, "training": []}', '{"numTraining": 1e308, "labels": {"0": "b"}, "training": []}',
     '{"channel_names": [], "labels": [], "file_ending": 5, "numTraining": "x"}', "NaN", '{"a": ' * 2000],
)  # fmt: skip
@pytest.mark.parametrize("make", [decathlon, nnunet])
def test_odd_declarations(make: object, text: str, tmp_path: Path) -> None:
    assert callable(make)
    make(tmp_path / "d")
    (tmp_path / "d" / "dataset.json").write_text(text)
    assert open_it(Spoiled(tmp_path / "d")) >= 0


def test_spoiled_matlab_files_as_a_release(tmp_path: Path) -> None:
    """Their facts are read when the data set is opened, before any check."""
    samples = {sample.family: sample for sample in write_samples(tmp_path / "sound")}
    content = samples["cheng.mat"].files[0].read_bytes()
    chance = random.Random(3)
    folders = []
    for number in range(PER_FILE):
        place = tmp_path / str(number)
        place.mkdir()
        for name in ("1", "2"):
            (place / f"{name}.mat").write_bytes(content)
        mutation = MUTATIONS[number % len(MUTATIONS)]
        (place / "3.mat").write_bytes(mutation(content, chance, [content, b"\0" * 600]))
        folders.append(Spoiled(place))
    failures = [outcome for outcome in opened(folders) if isinstance(outcome, Failed)]
    assert failures == []
