"""nnU-Net's raw layout, both versions, and each of its faults."""

import copy
from pathlib import Path
from typing import Any

import pytest
from layout_files import NNUNET_2, cases_of, kinds_of, opened, touch, write_json, write_nnunet

from unifocal.problems import InputError


def changed(**keys: Any) -> dict[str, Any]:
    return {**copy.deepcopy(NNUNET_2), **keys}


def test_version_two(tmp_path: Path) -> None:
    reading = opened(write_nnunet(tmp_path))
    declared = reading.dataset.declared
    cases = cases_of(reading)
    assert reading.problems == ()
    assert list(cases) == ["a_1", "b_2"]
    assert [path.name for path in cases["a_1"].image.paths] == ["a_1_0000.nii.gz", "a_1_0001.nii.gz"]
    assert cases["a_1"].image.joined == "channels"
    assert cases["b_2"].mask is not None
    assert cases["b_2"].mask.path == tmp_path / "labelsTr" / "b_2.nii.gz"
    assert (declared.layout, declared.channels, declared.modality) == ("nnunet", ("T1", "FLAIR"), "MR")
    assert declared.labels == {1: "oedema", 2: "tumour"}
    assert not reading.dataset.patients_known


def test_version_one_lists_files_that_are_not_there_under_that_name(tmp_path: Path) -> None:
    training = [{"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"} for case in ("a_1", "b_2")]
    content = {
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "liver"},
        "numTraining": 2,
        "training": training,
    }
    reading = opened(write_nnunet(tmp_path, content, channels=1))
    declared = reading.dataset.declared
    assert (declared.layout, declared.labels, declared.modality) == ("nnunet", {1: "liver"}, "CT")
    assert reading.problems == ()
    assert all(case.image.joined == "one" for case in reading.dataset.cases)


def test_regions_overlap(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    declared = opened(write_nnunet(tmp_path, changed(labels=labels, regions_class_order=[1, 2, 3]))).dataset.declared
    assert declared.regions == {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}
    assert declared.labels == {1: "label 1", 2: "label 2", 3: "enhancing"}
    reading = opened(write_nnunet(tmp_path, changed(labels=labels)))
    assert kinds_of(reading.problems) == [("json-broken", True)]


def test_the_label_to_ignore_is_no_class(tmp_path: Path) -> None:
    reading = opened(write_nnunet(tmp_path, changed(labels={"background": 0, "tumour": 1, "ignore": 2})))
    assert kinds_of(reading.problems) == [("label-ignored", True)]
    assert reading.dataset.declared.labels == {1: "tumour"}
    assert reading.dataset.declared.keep == (1,)


def test_colour_pictures_hold_three_channels_in_one_file(tmp_path: Path) -> None:
    content = changed(channel_names={"0": "R", "1": "G", "2": "B"}, file_ending=".png")
    reading = opened(write_nnunet(tmp_path, content, ".png", channels=1))
    assert reading.problems == ()
    assert [len(case.image.paths) for case in reading.dataset.cases] == [1, 1]


def test_a_labelled_test_part_makes_a_split(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    touch(tmp_path, "imagesTs/t_0000.nii.gz", "imagesTs/t_0001.nii.gz")
    assert [case.part for case in opened(tmp_path).dataset.cases] == ["", ""]
    shown = cases_of(opened(tmp_path, with_masks=False))
    assert {name: (case.part, case.mask) for name, case in shown.items()} == {
        "a_1": ("", None), "b_2": ("", None), "t": ("test", None)
    }  # fmt: skip
    touch(tmp_path, "labelsTs/t.nii.gz")
    parts = {name: case.part for name, case in cases_of(opened(tmp_path)).items()}
    assert parts == {"a_1": "training", "b_2": "training", "t": "test"}


def test_a_name_in_both_parts_is_told(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    touch(tmp_path, "imagesTs/a_1_0000.nii.gz", "imagesTs/a_1_0001.nii.gz", "labelsTs/a_1.nii.gz")
    reading = opened(tmp_path)
    assert kinds_of(reading.problems) == [("image-ambiguous", False)]
    assert [case.name for case in reading.dataset.cases] == ["a_1", "b_2"]


def test_every_missing_and_superfluous_file_is_told(tmp_path: Path) -> None:
    write_nnunet(tmp_path, changed(numTraining=7))
    (tmp_path / "imagesTr" / "a_1_0001.nii.gz").unlink()
    touch(tmp_path, "imagesTr/c_0000.nii.gz", "imagesTr/c_0001.nii.gz", "imagesTr/stray.nii.gz")
    touch(tmp_path, "imagesTr/b_2_0002.nii.gz", "labelsTr/d.nii.gz", "imagesTr/notes.txt")
    reading = opened(tmp_path)
    assert [case.name for case in reading.dataset.cases] == ["b_2"]
    assert kinds_of(reading.problems) == [
        ("channel-missing", False),
        ("channel-undeclared", False),
        ("count-differs", True),
        ("file-extra", True),
        ("image-missing", False),
        ("mask-missing", False),
    ]
    named = "\n".join(map(str, reading.problems))
    for name in ("a_1_0001.nii.gz", "b_2_0002.nii.gz", "stray.nii.gz", "d.nii.gz", "labelsTr/c.nii.gz", "says 7"):
        assert name in named
    assert not any(kind.startswith("mask") for kind, _ in kinds_of(opened(tmp_path, with_masks=False).problems))


def test_files_listed_one_by_one(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    touch(tmp_path, "else/x1.nii.gz", "else/x2.nii.gz", "else/x.nii.gz")
    good = {"images": ["else/x1.nii.gz", "else/x2.nii.gz"], "label": "else/x.nii.gz"}
    bad = {"images": ["../x1.nii.gz", "else/x2.nii.gz"], "label": "else/gone.nii.gz"}
    dataset = {"x": good, "../y": good, "z": bad, "n": 3}
    reading = opened(write_nnunet(tmp_path, changed(dataset=dataset, numTraining=2)))
    assert [case.name for case in reading.dataset.cases] == ["x"]
    kinds = [("file-missing", False), ("json-broken", False), ("name-invalid", False), ("path-outside", False)]
    assert kinds_of(reading.problems) == kinds


@pytest.mark.parametrize(
    "content",
    [
        {"labels": None}, {"labels": ["tumour"]}, {"labels": {"tumour": "one"}}, {"labels": {"tumour": [1, "x"]}},
        {"labels": {"tumour": -1}}, {"labels": {"a": 1, "b": 1}}, {"labels": {"a": True}}, {"labels": {"a": 2**40}},
        {"channel_names": {"1": "T1", "2": "T2"}}, {"channel_names": "T1"}, {"channel_names": {"0": "T1", "x": "T2"}},
    ],
)  # fmt: skip
def test_declarations_that_mean_nothing_are_told(tmp_path: Path, content: dict[str, Any]) -> None:
    reading = opened(write_nnunet(tmp_path, changed(**content)))
    assert len(reading.dataset.cases) == 2
    assert reading.problems
    assert all("dataset.json" in problem.where for problem in reading.problems)


@pytest.mark.parametrize(
    "text", [b"{", b"[1]", b"", b"\xff\xfe{}", b"[" * 100_000, b"null", b'{"a": ' + b"9" * 9999 + b"}"]
)
def test_a_broken_declaration_is_one_problem(tmp_path: Path, text: bytes) -> None:
    write_nnunet(tmp_path)
    (tmp_path / "dataset.json").write_bytes(text)
    with pytest.raises(InputError) as caught:
        opened(tmp_path)
    assert kinds_of(caught.value.problems) == [("json-broken", False)]
    assert str(tmp_path / "dataset.json") == caught.value.problems[0].where


def test_without_a_declaration_it_still_reads(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    (tmp_path / "dataset.json").unlink()
    reading = opened(tmp_path)
    assert kinds_of(reading.problems) == [("declaration-missing", True)]
    assert [len(case.image.paths) for case in reading.dataset.cases] == [2, 2]


def test_nothing_in_it(tmp_path: Path) -> None:
    write_json(tmp_path, NNUNET_2)
    (tmp_path / "imagesTr").mkdir()
    with pytest.raises(InputError, match="CASE_0000"):
        opened(tmp_path, layout="nnunet")
    with pytest.raises(InputError, match="no folder imagesTr"):
        opened(touch(tmp_path / "other", "x"), layout="nnunet")


def test_labels_that_are_asked_for_go_before_the_layouts_regions(tmp_path: Path) -> None:
    content = NNUNET_2 | {"labels": {"background": 0, "whole": [1, 2], "core": [2]}, "regions_class_order": [1, 2]}
    write_nnunet(tmp_path, content)
    assert opened(tmp_path).dataset.declared.regions == {"whole": (1, 2), "core": (2,)}
    declared = opened(tmp_path, keep=(1,)).dataset.declared
    assert (declared.keep, declared.regions) == ((1,), {})
