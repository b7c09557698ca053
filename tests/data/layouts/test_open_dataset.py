"""The one door: what is recognised, what is asked for, and what cannot be opened."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layout_files import cases_of, kinds_of, opened, touch, write_bids, write_decathlon, write_json, write_nnunet

from unifocal.data.datasets import Request, layout_names, layout_options, open_dataset
from unifocal.data.layouts.listing import name_problem
from unifocal.problems import InputError, Problem


def refused(folder: Path | None, **request: Any) -> tuple[Problem, ...]:
    with pytest.raises(InputError) as caught:
        open_dataset(Request(folder=folder, **request))
    return caught.value.problems


@pytest.mark.parametrize(
    ("write", "name"), [(write_nnunet, "nnunet"), (write_decathlon, "decathlon"), (write_bids, "bids")]
)
def test_each_general_layout_is_recognised_or_named(tmp_path: Path, write: Any, name: str) -> None:
    write(tmp_path)
    assert opened(tmp_path).dataset.declared.layout == name
    assert opened(tmp_path) == opened(tmp_path, layout=name)


def test_named_folders_and_pairing_mean_two_folders(tmp_path: Path) -> None:
    write_nnunet(tmp_path, channels=1)
    reading = opened(tmp_path, images=Path("imagesTr"), masks=Path("labelsTr"), pair_by="order")
    assert reading.dataset.declared.layout == "folders"
    touch(tmp_path, "image/1.png", "Mask2/m.png")
    assert opened(tmp_path, pair_by="order").dataset.declared.layout == "folders"


def test_two_layouts_in_one_folder_must_be_told_apart(tmp_path: Path) -> None:
    write_bids(write_nnunet(tmp_path))
    (problem,) = refused(tmp_path)
    assert problem.kind == "layout-ambiguous"
    assert "nnunet, bids" in problem.what
    assert "--layout" in problem.remedy
    assert opened(tmp_path, layout="bids").dataset.declared.layout == "bids"


def test_an_unknown_layout_names_its_neighbours(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, layout="nnUNet2")
    assert problem.kind == "layout-unknown"
    assert "Did you mean nnunet" in problem.remedy
    assert all(name in problem.remedy for name in layout_names())
    assert refused(None, layout="nnunet")[0].kind == "nothing-found"


def test_options_are_checked(tmp_path: Path) -> None:
    write_bids(tmp_path)
    problems = refused(tmp_path, options={"suffx": "T1w", "mask": 3})
    assert kinds_of(problems) == [("option-invalid", False), ("option-unknown", False)]
    assert refused(touch(tmp_path / "two", "images/a.png", "masks/a.png"), options={"x": 1})[0].kind == "option-unknown"
    assert set(layout_options("bids")) == {"suffix", "mask", "derivative"}
    assert layout_options("folders") == {}


def test_a_folder_per_case_by_its_files_names(tmp_path: Path) -> None:
    touch(tmp_path, "c[1]/t1.nii", "c[1]/t2.nii", "c[1]/c[1]_seg.nii.gz", "c2/t1.nii", "c2/t2.nii", "c2/c2_seg.nii.gz")
    options = {"image": "t1.nii, t2.nii", "mask": "{case}_seg.nii.gz"}
    cases = cases_of(opened(tmp_path, layout="case_folders", options=options))
    assert list(cases) == ["c2", "c[1]"]
    assert [path.name for path in cases["c[1]"].image.paths] == ["t1.nii", "t2.nii"]
    (tmp_path / "c2" / "t2.nii").unlink()
    touch(tmp_path, "c[1]/other_seg.nii.gz")
    problems = refused(tmp_path, layout="case_folders", options={**options, "mask": "*_seg.nii.gz"})
    assert kinds_of(problems) == [("channel-missing", False), ("file-ambiguous", False)]


def test_labels_and_regions_asked_for_go_before_those_declared(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    assert opened(tmp_path, keep=(2,)).dataset.declared.keep == (2,)
    assert opened(tmp_path, regions={"all": (1, 2)}).dataset.declared.regions == {"all": (1, 2)}


def test_a_table_tells_patients_sites_and_spacing_of_any_layout(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    (tmp_path / "who.csv").write_text("case,patient,site,spacing_mm\na_1,p,x,0.5\nb_2,p,y,\n")
    reading = opened(tmp_path, cases_table=Path("who.csv"), spacing_mm=(3.0, 1.0, 1.0))
    cases = cases_of(reading)
    assert [case.patient for case in cases.values()] == ["p", "p"]
    assert [case.attributes["site"] for case in cases.values()] == ["x", "y"]
    assert [case.spacing_mm for case in cases.values()] == [(0.5, 0.5), (3, 1, 1)]
    assert reading.dataset.patients_known
    assert reading.patients == {"p"}
    pattern = opened(tmp_path, patient_pattern="^[a-z]")
    assert [case.patient for case in pattern.dataset.cases] == ["a", "b"]
    (tmp_path / "who.csv").write_text("case,patient\na_1,p\nc,q\n")
    assert kinds_of(opened(tmp_path, patient_column="patient").problems) == [
        ("image-missing", False),
        ("table-lacks-case", False),
    ]


@pytest.mark.parametrize("name", ["data.zip", "data.tar", "data.tar.gz", "data.7z", "data.tgz"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    (problem,) = refused(tmp_path / name)
    assert problem.kind == "archive"
    assert "Unpack" in problem.remedy


def test_what_is_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "file")
    assert refused(tmp_path / "file")[0].kind == "folder-missing"
    assert refused(tmp_path / "gone")[0].kind == "folder-missing"
    assert refused(tmp_path / ("x" * 300))[0].kind == "folder-missing"
    assert refused(None)[0].kind == "nothing-found"
    (tmp_path / "empty").mkdir()
    assert {problem.kind for problem in refused(tmp_path / "empty")} == {"nothing-found"}


def test_a_folder_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_nnunet(tmp_path)

    def forbidden(folder: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", forbidden)
    (problem,) = refused(tmp_path)
    assert (problem.kind, problem.where) == ("folder-unreadable", str(tmp_path))
    assert "Permission denied" in problem.what


def test_names_that_could_name_no_file_are_left_out_and_told(tmp_path: Path) -> None:
    long, bad = "x" * 200, os.fsdecode(b"caf\xe9")
    touch(tmp_path, "images/a.png", f"images/{long}.png", f"images/{bad}.png", "images/line\nbreak.png")
    touch(tmp_path, "masks/a.png", f"masks/{long}.png", f"masks/{bad}.png", "masks/line\nbreak.png")
    reading = opened(tmp_path)
    assert list(cases_of(reading)) == ["a"]
    assert kinds_of(reading.problems) == [("name-invalid", False)] * 3
    for problem in reading.problems:
        str(problem).encode("utf-8")


@given(st.text(max_size=300))
def test_names_that_pass_name_a_file_in_their_folder(name: str) -> None:
    if name_problem("where", name) is None:
        path = Path("/out") / f"{name}.png"
        assert path.parent == Path("/out")
        assert len(os.fsencode(path.name)) < 255
    else:
        assert not (name.isascii() and name.isalnum() and len(name) < 100)


def test_ten_thousand_foreign_files_do_not_matter(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "masks/a.png")
    touch(tmp_path, "target0", "target1")
    for number in range(10_000):
        os.link(tmp_path / f"target{number % 2}", tmp_path / "images" / f"{number}.foreign")
    assert list(cases_of(opened(tmp_path))) == ["a"]


@pytest.mark.parametrize(
    "text", [b"case,patient\na\0,p\n", b"case,patient\n" + b"x" * 200_000, b'case,patient\n"a', b"\x00" * 9]
)
def test_a_table_of_nonsense_is_told(tmp_path: Path, text: bytes) -> None:
    touch(tmp_path, "images/a.png", "masks/a.png")
    (tmp_path / "cases.csv").write_bytes(text)
    reading = opened(tmp_path)
    assert reading.problems
    assert all("cases.csv" in str(problem) for problem in reading.problems)


def test_paths_in_a_table_lead_nowhere(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "masks/a.png")
    (tmp_path / "cases.csv").write_text("case,patient\na,p\n/etc/passwd,q\n../../a,r\n")
    reading = opened(tmp_path)
    assert list(cases_of(reading)) == ["a"]
    assert kinds_of(reading.problems) == [("image-missing", False)] * 2


def test_a_declaration_that_is_no_file(tmp_path: Path) -> None:
    write_nnunet(tmp_path)
    (tmp_path / "dataset.json").unlink()
    (tmp_path / "dataset.json").mkdir()
    assert kinds_of(opened(tmp_path).problems) == [("declaration-missing", True)]
    write_json(tmp_path / "other", {})
    assert refused(tmp_path / "other")[0].kind == "nothing-found"


def broken(path: Path) -> None:
    path.symlink_to(path.parent / ".git" / "annex" / "objects" / path.name)


def test_links_that_lead_nowhere_are_reported(tmp_path: Path) -> None:
    for case in "abcd":
        for part in ("images", "masks"):
            (touch if case in "ab" else lambda folder, name: broken(folder / name))(tmp_path, f"{part}/{case}.png")
    broken(tmp_path / "images" / "notes.txt")
    (warning,) = opened(tmp_path).problems
    assert (warning.kind, warning.is_warning) == ("link-broken", True)
    assert warning.where == str(tmp_path)
    assert "4 images or masks are links that lead nowhere" in warning.what
    assert "images/c.png" in warning.what
    assert "datalad get" in warning.remedy


def test_where_all_are_links_that_lead_nowhere_that_is_said(tmp_path: Path) -> None:
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / part).mkdir()
        for case in ("a_0000.nii.gz", "b_0000.nii.gz"):
            broken(tmp_path / part / case)
    with pytest.raises(InputError) as raised:
        opened(tmp_path)
    assert "link-broken" in {problem.kind for problem in raised.value.problems}
