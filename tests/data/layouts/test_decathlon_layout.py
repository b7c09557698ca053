"""The Decathlon's layout, and what its lists may say wrongly."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layout_files import cases_of, decathlon_json, kinds_of, opened, touch, write_decathlon, write_json

from unifocal.data.layouts.declaration import file_inside
from unifocal.problems import InputError


def test_as_it_is_given_out(tmp_path: Path) -> None:
    reading = opened(write_decathlon(tmp_path))
    declared = reading.dataset.declared
    cases = cases_of(reading)
    assert reading.problems == ()
    assert list(cases) == ["hippo_1", "hippo_2", "hippo_10"]
    assert cases["hippo_2"].image.path == tmp_path / "imagesTr" / "hippo_2.nii.gz"
    assert cases["hippo_2"].patient == "hippo_2"
    assert declared.labels == {1: "Anterior", 2: "Posterior"}
    assert (declared.layout, declared.channels, declared.modality) == ("decathlon", ("MRI",), "MR")


def test_channels_of_4d_files_are_named(tmp_path: Path) -> None:
    modality = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    declared = opened(write_decathlon(tmp_path, modality=modality)).dataset.declared
    assert declared.channels == ("FLAIR", "T1w", "t1gd", "T2w")


def test_names_with_four_digits_are_still_no_nnunet(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/case_0000.nii.gz", "labelsTr/case_0000.nii.gz")
    write_json(tmp_path, decathlon_json(["case_0000"]))
    reading = opened(tmp_path)
    assert reading.dataset.declared.layout == "decathlon"
    assert reading.problems == ()


def test_test_images_are_for_prediction(tmp_path: Path) -> None:
    write_decathlon(tmp_path, test=["./imagesTs/t_1.nii.gz"])
    touch(tmp_path, "imagesTs/t_1.nii.gz")
    assert "t_1" not in cases_of(opened(tmp_path))
    cases = cases_of(opened(tmp_path, with_masks=False))
    assert (cases["t_1"].part, cases["t_1"].mask, cases["hippo_1"].mask) == ("test", None, None)


def test_every_fault_of_the_list_is_told(tmp_path: Path) -> None:
    entries = decathlon_json(["hippo_1", "hippo_1", "gone"])["training"]
    entries += [
        {"image": "../outside.nii.gz", "label": "./labelsTr/hippo_2.nii.gz"},
        {"image": "/etc/passwd", "label": "./labelsTr/hippo_2.nii.gz"},
        {"image": "./imagesTr/hippo_2.nii.gz", "label": "./labelsTr/gone_too.nii.gz"},
        {"image": "./imagesTr/._hippo_1.nii.gz", "label": "./labelsTr/._hippo_1.nii.gz"},
        {"label": "./labelsTr/hippo_2.nii.gz"},
        "a\0b",
        17,
    ]
    write_decathlon(tmp_path, training=entries, numTraining=3)
    touch(tmp_path, "imagesTr/._hippo_1.nii.gz", "labelsTr/._hippo_1.nii.gz")
    reading = opened(tmp_path)
    assert [case.name for case in reading.dataset.cases] == ["hippo_1"]
    kinds = kinds_of(reading.problems)
    assert kinds.count(("path-outside", False)) == 2
    assert kinds.count(("listed-twice", False)) == 1
    assert kinds.count(("mask-missing", False)) == 2
    assert kinds.count(("file-missing", False)) == 1
    assert kinds.count(("file-extra", True)) == 1
    assert kinds.count(("count-differs", True)) == 1
    assert any("training entry 4" in problem.where for problem in reading.problems)
    assert not any("._" in str(problem) for problem in reading.problems)


@pytest.mark.parametrize("content", [{"training": []}, {"training": "all"}, {}])
def test_a_list_of_nothing(tmp_path: Path, content: dict[str, object]) -> None:
    write_json(tmp_path, content)
    with pytest.raises(InputError) as caught:
        opened(tmp_path, layout="decathlon")
    assert kinds_of(caught.value.problems) == [("nothing-found", False)]


def test_a_broken_list_beside_its_folders_is_named(tmp_path: Path) -> None:
    write_decathlon(tmp_path)
    (tmp_path / "dataset.json").write_text('{"training": [')
    with pytest.raises(InputError) as caught:
        opened(tmp_path)
    assert kinds_of(caught.value.problems) == [("json-broken", False)]


PIECES = st.lists(st.sampled_from(["..", ".", "a", "imagesTr", "", "c:", "x\0", "\\", "~", "é" * 600]), max_size=6)


@given(PIECES, st.sampled_from(["/", "\\", ""]))
def test_no_name_leads_out_of_the_folder(pieces: list[str], first: str) -> None:
    folder = Path("/data/set")
    found = file_inside(folder, first + "/".join(pieces), "where")
    if isinstance(found, Path):
        depth = 0
        for part in found.parts[len(folder.parts) :]:
            depth += -1 if part == ".." else 1
            assert depth >= 0
        assert found.is_relative_to(folder)
        assert "\0" not in str(found)
    else:
        assert found.kind in {"path-outside", "name-invalid", "json-broken"}
