"""From a folder to cases: what is found by itself, what must be named, and what each fault is called."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from real_images import real_data
from unifocal.data.case import Case
from unifocal.data.folder import DataSet, Layout, find_layout, load_cases, read_folder
from unifocal.problems import InputError


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.eye(4, dtype=np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    touch(tmp_path / "images", "1.png", "2.png", "10.png")
    touch(tmp_path / "masks", "1.png", "2.png", "10.png")
    return tmp_path


def write_table(data: Path, text: str, name: str = "cases.csv") -> Path:
    (data / name).write_text(text, encoding="utf-8")
    return data / name


def problems_of(data: Path | None, **options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_cases(find_layout(data, **options))
    return [str(problem) for problem in caught.value.problems]


def by_name(dataset: DataSet) -> dict[str, Case]:
    return {case.name: case for case in dataset.cases}


def test_without_a_table_every_image_is_a_patient_of_its_own(data: Path) -> None:
    dataset = load_cases(find_layout(data))
    assert [case.name for case in dataset.cases] == ["1", "2", "10"]
    assert [case.patient for case in dataset.cases] == ["1", "2", "10"]
    assert not dataset.patients_known
    assert all(
        case.mask is not None and case.mask.path == data / "masks" / case.image.path.name for case in dataset.cases
    )


@pytest.mark.parametrize(
    ("images", "masks"),
    [("Images", "Masks"), ("PNG/Original", "PNG/Ground Truth"), ("image", "Mask2"), ("imgs", "LABELS"), (".", "gt")],
)
def test_usual_names_are_found(tmp_path: Path, images: str, masks: str) -> None:
    touch(tmp_path / images, "a.png")
    touch(tmp_path / masks, "a.png")
    layout = find_layout(tmp_path)
    assert layout.images == tmp_path / images
    assert layout.masks == tmp_path / masks


def test_folders_without_pictures_are_no_candidates(data: Path) -> None:
    (data / "labels").mkdir()
    (data / "labels" / "readme.txt").write_text("none")
    assert find_layout(data).masks == data / "masks"


def test_several_candidates_are_all_named(data: Path) -> None:
    touch(data / "1st_manual", "1.png")
    (problem,) = problems_of(data)
    assert "1st_manual, masks" in problem
    assert "--masks" in problem
    assert find_layout(data, masks=Path("1st_manual")).masks == data / "1st_manual"


def test_nothing_found_says_what_is_there_for_both_folders(tmp_path: Path) -> None:
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "dataset.json").write_text("{}")
    problems = problems_of(tmp_path)
    assert len(problems) == 2
    assert all("dataset.json, imagesTr/" in problem for problem in problems)
    assert ["--images" in problem for problem in problems] == [True, False]


def test_named_folders_count_from_the_data_or_from_here(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    for base in (None, data):
        layout = find_layout(base, images=Path("images"), masks=Path("masks"))
        assert len(load_cases(layout).cases) == 3
    layout = find_layout(None, images=data / "images", masks=data / "masks")
    assert layout.images.is_absolute()


def test_everything_named_that_is_missing_is_told_at_once(data: Path) -> None:
    problems = problems_of(data, images=Path("nope"), masks=Path("neither"), cases_table=Path("none.csv"))
    assert len(problems) == 3
    for problem, flag in zip(problems, ("--images nope", "--masks neither", "--cases none.csv"), strict=True):
        assert problem.startswith(flag)
        assert "images/, masks/" in problem


def test_no_folder_or_a_wrong_one(tmp_path: Path) -> None:
    assert "--data" in problems_of(None)[0]
    assert "does not exist" in problems_of(tmp_path / "typo")[0]
    (tmp_path / "file").write_text("")
    assert "is not a folder" in problems_of(tmp_path / "file")[0]
    touch(tmp_path / "images", "a.png")
    assert "--masks" in problems_of(None, images=tmp_path / "images")[0]


def test_one_folder_for_both_needs_the_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a_mask.png", "b.png", "b_mask.png")
    assert "suffix" in problems_of(tmp_path, images=tmp_path, masks=tmp_path)[0]
    dataset = load_cases(find_layout(tmp_path, pair_by="suffix"))
    assert [(case.name, case.mask and case.mask.path) for case in dataset.cases] == [
        ("a", tmp_path / "a_mask.png"),
        ("b", tmp_path / "b_mask.png"),
    ]
    assert "--mask-suffix" in problems_of(tmp_path, pair_by="suffix", mask_suffix="_seg")[0]


def test_suffix_with_two_folders(tmp_path: Path) -> None:
    touch(tmp_path / "images", "a.png")
    touch(tmp_path / "masks", "a_mask.gif")
    (case,) = load_cases(find_layout(tmp_path, pair_by="suffix")).cases
    assert case.mask is not None
    assert case.mask.path == tmp_path / "masks" / "a_mask.gif"


def test_hidden_and_other_files_are_passed_over(data: Path) -> None:
    for name in (".hidden.png", "Thumbs.db", "notes.txt", ".DS_Store"):
        (data / "images" / name).write_text("x")
    (data / "images" / "folder.png").mkdir()
    assert len(load_cases(find_layout(data)).cases) == 3


def test_a_folder_without_pictures_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "volume.doc").write_text("x")
    assert "volume.doc" in problems_of(None, images=tmp_path, with_masks=False)[0]


def test_prediction_needs_no_masks_and_no_table(data: Path) -> None:
    write_table(data, "case,patient\nother,p\n")
    layout = find_layout(None, images=data / "images", with_masks=False)
    assert layout.masks is None
    assert layout.cases_table is None
    assert [case.mask for case in load_cases(layout).cases] == [None] * 3


def test_two_images_of_one_name_would_overwrite_each_other_s_prediction(data: Path) -> None:
    touch(data / "images", "2.bmp")
    (problem,) = problems_of(None, images=data / "images", with_masks=False)
    assert "2.bmp and 2.png" in problem


def test_the_table_gives_patients_spacing_and_attributes(data: Path) -> None:
    write_table(data, "case,patient,class,spacing_mm\n10,p1,glioma,0.5\n1.png,p1,,\n 2 , 007 ,meningioma,0.25\n")
    dataset = load_cases(find_layout(data, spacing_mm=(2.0, 3.0)))
    cases = by_name(dataset)
    assert dataset.patients_known
    assert {name: case.patient for name, case in cases.items()} == {"1": "p1", "2": "007", "10": "p1"}
    assert {name: case.spacing_mm for name, case in cases.items()} == {"1": (2, 3), "2": (0.25, 0.25), "10": (0.5, 0.5)}
    assert cases["10"].attributes == {"class": "glioma"}


def test_rows_and_columns_may_lie_apart_differently(data: Path) -> None:
    write_table(
        data, "case,patient,spacing_row_mm,spacing_column_mm,spacing_mm\n1,a,0.5,0.7,\n2,b,,0.3,0.9\n10,c,,,1\n"
    )
    cases = by_name(load_cases(find_layout(data)))
    assert [cases[name].spacing_mm for name in ("1", "2", "10")] == [(0.5, 0.7), (0.9, 0.3), (1, 1)]


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "half", "0,5"])
def test_a_spacing_that_is_no_distance_is_refused(data: Path, text: str) -> None:
    write_table(data, f'case,patient,spacing_mm\n1,a,"{text}"\n2,b,1\n10,c,1\n')
    (problem,) = problems_of(data)
    assert "line 2" in problem
    assert repr(text) in problem


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_tables_of_spreadsheets_are_read(data: Path, separator: str, mark: str) -> None:
    lines = (
        separator.join(cells) for cells in [("frame", "sequence"), ("1", "s1"), ("2", "s1"), ("10", "s2"), ("", "")]
    )
    write_table(data, mark + "\r\n".join(lines), "sequences.csv")
    dataset = load_cases(find_layout(data, patient_column="sequence"))
    assert [case.patient for case in dataset.cases] == ["s1", "s1", "s2"]


def test_a_table_is_found_by_its_column_of_patients(data: Path) -> None:
    write_table(data, "loss,dice\nbce,0.5\n", "results.csv")
    assert find_layout(data).cases_table is None
    mine = write_table(data, "frame,patient\n1,a\n2,a\n10,b\n", "who.csv")
    assert find_layout(data).cases_table == mine
    write_table(data, "frame,patient\n1,a\n2,a\n10,b\n", "second.csv")
    assert "second.csv, who.csv" in problems_of(data)[0]
    usual = write_table(data, "case,patient\n1,a\n2,a\n10,b\n")
    assert find_layout(data).cases_table == usual
    assert find_layout(data, cases_table=Path("who.csv")).cases_table == mine


def test_a_column_of_patients_that_is_nowhere(data: Path) -> None:
    write_table(data, "frame,sequence\n1,a\n2,a\n10,b\n", "sequences.csv")
    assert "'sequenc'" in problems_of(data, patient_column="sequenc")[0]
    (problem,) = problems_of(data, patient_column="sequenc", cases_table=Path("sequences.csv"))
    assert "frame, sequence" in problem
    (problem,) = problems_of(data, case_column="image", cases_table=Path("sequences.csv"))
    assert "'image'" in problem
    layout = Layout(images=data / "images", masks=data / "masks", patient_column="sequence")
    with pytest.raises(InputError, match="no table"):
        load_cases(layout)


def test_every_fault_of_a_table_is_told_with_its_line(data: Path) -> None:
    touch(data / "images", "11.png", "12.png")
    touch(data / "masks", "11.png", "12.png")
    write_table(data, "case,patient\n1,a\n2,\n10,c\n10,d\n13,e\n,f\n12,g,h\n")
    problems = problems_of(data)
    assert len(problems) == 6
    for line, reason in ((3, "'patient' is empty"), (5, "names '10' again"), (6, "'13'"), (7, "'case' is empty")):
        assert any(f"line {line}:" in problem and reason in problem for problem in problems)
    assert any("line 8:" in problem and "3 cells for 2 columns" in problem for problem in problems)
    assert any(problem.startswith(str(data / "images" / "11.png")) for problem in problems)


def test_a_table_that_names_no_image_at_all_is_one_problem(data: Path) -> None:
    write_table(data, "case,patient\nx1,a\nx2,b\nx3,c\n")
    (problem,) = problems_of(data)
    assert "'x1'" in problem
    assert "--case-column" in problem


@pytest.mark.parametrize("content", [b"", b"\n\n", b"caf\xe9,patient\n1,a\n", b'case,patient\n"1,a\n', b"a,a\n1,2\n"])
def test_a_file_that_is_no_table_is_refused_and_the_rest_still_read(data: Path, content: bytes) -> None:
    (data / "cases.csv").write_bytes(content)
    reading = read_folder(find_layout(data))
    assert len(reading.problems) == 1
    assert len(reading.dataset.cases) == 3


@pytest.mark.parametrize(
    ("pattern", "patients"),
    [
        (r"p\d+", ["p1", "p1", "p2"]),
        (r"p(\d+)_", ["1", "1", "2"]),
        (r"(?P<site>[A-Z]+)-(?P<patient>p\d+)", ["p1", "p1", "p2"]),
        (r"^[^_]+", ["AB-p1", "AB-p1", "AB-p2"]),
    ],
)
def test_a_pattern_finds_the_patients(tmp_path: Path, pattern: str, patients: list[str]) -> None:
    names = ("AB-p1_1.png", "AB-p1_2.png", "AB-p2_1.png")
    touch(tmp_path / "images", *names)
    touch(tmp_path / "masks", *names)
    dataset = load_cases(find_layout(tmp_path, patient_pattern=pattern))
    assert [case.patient for case in dataset.cases] == patients
    assert dataset.patients_known


def test_a_pattern_that_fails(data: Path) -> None:
    (problem,) = problems_of(data, patient_pattern="p(")
    assert "not a regular expression" in problem
    (problem,) = problems_of(data, patient_pattern="p[0-9]+")
    assert "any of the 3 images" in problem
    (problem,) = problems_of(data, patient_pattern="^[0-9]$")
    assert problem.startswith(str(data / "images" / "10.png"))
    problems = problems_of(data, patient_pattern="^1(0)?")
    assert [problem.split(":")[0] for problem in problems] == [
        str(data / "images" / name) for name in ("1.png", "2.png")
    ]


def test_the_source_s_own_layout_pairs_by_order(tmp_path: Path) -> None:
    touch(tmp_path / "image", "s2.png", "s10.png")
    touch(tmp_path / "Mask2", "m002.png", "m010.png")
    cases = load_cases(find_layout(tmp_path, pair_by="order")).cases
    assert [(case.name, case.mask and case.mask.path.name) for case in cases] == [
        ("s2", "m002.png"),
        ("s10", "m010.png"),
    ]


def test_brain_slices_as_they_are_given_out() -> None:
    dataset = load_cases(find_layout(real_data("brain_t1ce")))
    assert len(dataset.cases) == 314
    assert len({case.patient for case in dataset.cases}) == 108
    assert dataset.patients_known
    assert {case.attributes["class"] for case in dataset.cases} == {"meningioma", "glioma", "pituitary"}


def test_retinas_as_they_are_given_out() -> None:
    folder = real_data("drive") / "training"
    cases = load_cases(find_layout(folder, masks=Path("1st_manual"), pair_by="number")).cases
    assert len(cases) == 20
    assert all(case.mask is not None and case.mask.path.name[:2] == case.image.path.name[:2] for case in cases)
    with pytest.raises(InputError, match="1st_manual, mask"):
        find_layout(folder)


def test_polyps_as_they_are_given_out() -> None:
    dataset = load_cases(find_layout(real_data("cvc_clinicdb"), patient_column="sequence"))
    assert len(dataset.cases) == 612
    assert len({case.patient for case in dataset.cases}) == 29
