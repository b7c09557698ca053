"""A table of cases that lies in a recognised layout is found, as it is beside two folders."""

from pathlib import Path

import pytest
from layout_files import NNUNET_2, cases_of, kinds_of, opened, touch, write_bids, write_decathlon, write_nnunet

TABLE = "case,patient,site\na_1,P1,x\nb_2,P1,y\n"


def test_patients_are_those_of_the_table_in_the_folder(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    (tmp_path / "cases.csv").write_text(TABLE)
    reading = opened(tmp_path)
    assert reading.dataset.declared.layout == "nnunet"
    assert not reading.problems
    assert reading.dataset.patients_known
    assert reading.patients == {"P1"}
    assert {case.patient for case in reading.dataset.cases} == {"P1"}
    assert cases_of(reading)["b_2"].attributes["site"] == "y"


def test_a_table_in_the_decathlon_and_in_bids_is_found_too(tmp_path: Path) -> None:
    write_decathlon(tmp_path / "d")
    (tmp_path / "d" / "Cases.csv").write_text("case,patient\nhippo_1,P1\nhippo_2,P2\nhippo_10,P2\n")
    assert {case.name: case.patient for case in opened(tmp_path / "d").dataset.cases} == {
        "hippo_1": "P1", "hippo_2": "P2", "hippo_10": "P2",
    }  # fmt: skip
    write_bids(tmp_path / "b")
    names = [case.name for case in opened(tmp_path / "b").dataset.cases]
    (tmp_path / "b" / "cases.csv").write_text("case,patient\n" + "".join(f"{name},one\n" for name in names))
    reading = opened(tmp_path / "b")
    assert {case.patient for case in reading.dataset.cases} == {"one"}
    assert {case.attributes["site"] for case in reading.dataset.cases} == {"Paris", "Rome"}


def test_a_table_that_fits_no_case_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    (tmp_path / "cases.csv").write_text("case,patient\nother_1,P1\n")
    (problem,) = opened(tmp_path).problems
    assert problem.kind == "table-matches-nothing"
    assert not problem.is_warning
    assert problem.where == str(tmp_path / "cases.csv")


def test_a_layouts_own_tables_are_not_taken_for_it(tmp_path: Path) -> None:
    write_bids(tmp_path)
    for name in ("participants.csv", "name_mapping.csv", "survival_info.csv"):
        (tmp_path / name).write_text("patient,age\nsub-01,3\n")
    reading = opened(tmp_path)
    assert not reading.problems
    assert {case.patient for case in reading.dataset.cases} == {"sub-01", "sub-02"}


def test_a_named_table_goes_before_the_one_that_lies_there(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    (tmp_path / "cases.csv").write_text(TABLE)
    (tmp_path / "who.csv").write_text("case,patient\na_1,P3\nb_2,P4\n")
    reading = opened(tmp_path, cases_table=Path("who.csv"))
    assert {case.name: case.patient for case in reading.dataset.cases} == {"a_1": "P3", "b_2": "P4"}


def test_without_masks_a_table_is_used_only_where_it_is_named(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    (tmp_path / "cases.csv").write_text("case,patient\nother_1,P1\n")
    assert not opened(tmp_path, with_masks=False).problems


@pytest.mark.parametrize("is_named", [True, False])
def test_the_table_may_name_the_test_images_that_have_no_masks(tmp_path: Path, is_named: bool) -> None:
    write_nnunet(tmp_path, NNUNET_2)
    touch(tmp_path, "imagesTs/c_3_0000.nii.gz", "imagesTs/c_3_0001.nii.gz")
    (tmp_path / "cases.csv").write_text(f"{TABLE}c_3,P3,z\n")
    reading = opened(tmp_path, cases_table=Path("cases.csv") if is_named else None)
    assert kinds_of(reading.problems) == []
    assert len(reading.dataset.cases) == 2
