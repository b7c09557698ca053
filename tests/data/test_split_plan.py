"""Every kind of split: who stands where, and what is refused."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unifocal.data.case import Case, Source
from unifocal.data.split_files import read_split
from unifocal.data.split_plan import SplitPlan, make_folds
from unifocal.data.splits import Fold, draw_folds, people_of, split_hash
from unifocal.problems import InputError


def a_case(name: str, patient: str, part: str = "", **attributes: str) -> Case:
    return Case(name, Source.of(Path(f"{name}.png")), None, patient, attributes=attributes, part=part)


def crowd(patients: int, images: int = 2) -> list[Case]:
    return [
        a_case(f"c{patient}_{image}", f"p{patient}", site="abc"[patient % 3])
        for patient in range(patients)
        for image in range(images)
    ]


def folds_of(plan: SplitPlan, cases: Sequence[Case]) -> tuple[Fold, ...]:
    return make_folds(plan, cases, [0.01 * (index % 7) for index in range(len(cases))])


def sides(fold: Fold, cases: Sequence[Case]) -> dict[str, set[str]]:
    """Per patient, the parts that hold one of its images, when the members are cases."""
    patient = {case.name: case.patient for case in cases}
    found: dict[str, set[str]] = {}
    for part in ("train", "validation", "test"):
        for name in getattr(fold, part):
            found.setdefault(patient[name], set()).add(part)
    return found


def test_one_repeat_draws_as_it_always_did() -> None:
    cases = crowd(12)
    shares = [0.01 * (index % 7) for index in range(len(cases))]
    people = people_of([case.patient for case in cases], shares, [case.attributes for case in cases])
    assert make_folds(SplitPlan(folds=4, seed=3), cases, shares) == draw_folds(
        people, folds=4, validation_share=0.2, seed=3
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(6, 30), st.integers(2, 5), st.integers(1, 4), st.integers(0, 99))
def test_each_repeat_tests_everybody_once(patients: int, folds: int, repeats: int, seed: int) -> None:
    drawn = folds_of(SplitPlan(folds=folds, repeats=repeats, seed=seed), crowd(patients))
    assert len(drawn) == folds * repeats
    everyone = sorted(f"p{number}" for number in range(patients))
    for repeat in range(repeats):
        tested = [name for fold in drawn[repeat * folds : (repeat + 1) * folds] for name in fold.test]
        assert sorted(tested) == everyone


def test_repeats_differ() -> None:
    drawn = folds_of(SplitPlan(folds=3, repeats=5), crowd(30))
    assert len({split_hash(drawn[start : start + 3]) for start in range(0, 15, 3)}) == 5


def test_over_images_patients_stand_on_both_sides() -> None:
    cases = crowd(20, images=5)
    drawn = folds_of(SplitPlan(by="image"), cases)
    assert sorted(name for fold in drawn for name in fold.test) == sorted(case.name for case in cases)
    assert any(len(where) > 1 for where in sides(drawn[0], cases).values())


def test_leaving_one_site_out_tests_on_it_alone() -> None:
    cases = crowd(12)
    site = {case.patient: case.attributes["site"] for case in cases}
    drawn = folds_of(SplitPlan(kind="leave_one_group_out"), cases)
    assert [{site[name] for name in fold.test} for fold in drawn] == [{"a"}, {"b"}, {"c"}]
    for fold in drawn:
        assert {site[name] for name in fold.train + fold.validation}.isdisjoint({site[name] for name in fold.test})
        assert fold.validation


@pytest.mark.parametrize(
    ("cases", "group", "said"),
    [
        (crowd(6), "hospital", "no case has the attribute 'hospital'; known are site"),
        ([a_case("a", "p", site="x"), a_case("b", "p", site="y"), a_case("c", "q", site="y")], "site", "x, y"),
        ([a_case("a", "p", site="x"), a_case("b", "q", site="")], "site", "has no single site: none"),
        ([a_case("a", "p", site="x"), a_case("b", "q", site="x")], "site", "all cases have the site 'x'"),
    ],
)
def test_groups_that_cannot_be_left_out_are_refused(cases: list[Case], group: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        folds_of(SplitPlan(kind="leave_one_group_out", group=group), cases)


def test_the_official_test_part_is_tested_and_nothing_else() -> None:
    cases = [a_case(f"t{number}", f"t{number}", "training") for number in range(10)]
    cases += [a_case(f"e{number}", f"e{number}", "test") for number in range(4)]
    cases.append(a_case("extra", "extra"))
    (fold,) = folds_of(SplitPlan(kind="official", validation_share=0.2), cases)
    assert fold.test == ("e0", "e1", "e2", "e3")
    assert sorted(fold.train + fold.validation) == sorted(f"t{number}" for number in range(10))
    assert len(fold.validation) == 2


def test_an_official_validation_part_is_kept() -> None:
    parts = ["training", "validation", "test", "training"]
    (fold,) = folds_of(SplitPlan(kind="official"), [a_case(str(n), str(n), part) for n, part in enumerate(parts)])
    assert fold == Fold(("0", "3"), ("1",), ("2",))


def test_without_official_parts_the_official_split_is_refused() -> None:
    with pytest.raises(InputError, match="no official training and test parts"):
        folds_of(SplitPlan(kind="official"), crowd(5))
    torn = [a_case("a", "p", "training"), a_case("b", "p", "test"), a_case("c", "q", "training")]
    with pytest.raises(InputError, match="patient p: is in test and in train"):
        folds_of(SplitPlan(kind="official"), torn)


def written(tmp_path: Path, text: str, name: str = "split.csv") -> SplitPlan:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return SplitPlan(kind="file", file=path)


def test_a_file_of_parts_is_one_fold(tmp_path: Path) -> None:
    cases = [a_case(name, f"of_{name}") for name in "abcde"]
    text = "case;part\na;training\nb;val\nc;test\nd;train\ne;none\n"
    assert folds_of(written(tmp_path, text), cases) == (Fold(("of_a", "of_d"), ("of_b",), ("of_c",)),)


def test_a_file_of_folds_says_who_is_tested_when(tmp_path: Path) -> None:
    cases = crowd(6)
    text = "patient,fold\n" + "".join(f"p{number},{number % 2}\n" for number in range(6))
    drawn = folds_of(written(tmp_path, text), cases)
    assert [fold.test for fold in drawn] == [("p0", "p2", "p4"), ("p1", "p3", "p5")]
    assert sorted(drawn[0].train + drawn[0].validation) == ["p1", "p3", "p5"]


def test_the_file_of_nnunet_is_understood(tmp_path: Path) -> None:
    cases = crowd(4, images=1)
    folds = [{"train": ["c0_0", "c1_0", "c2_0"], "val": ["c3_0"]}, {"train": ["c1_0", "c3_0"], "val": ["c0_0"]}]
    drawn = folds_of(written(tmp_path, json.dumps(folds), "splits_final.json"), cases)
    assert [fold.test for fold in drawn] == [("p3",), ("p0",)]
    assert sorted(drawn[1].train + drawn[1].validation) == ["p1", "p3"]


def test_a_patient_on_both_sides_is_named_unless_images_are_asked_for(tmp_path: Path) -> None:
    cases = crowd(3)
    text = "case,part\n" + "".join(f"{case.name},{'test' if case.name == 'c1_0' else 'train'}\n" for case in cases)
    plan = written(tmp_path, text)
    with pytest.raises(InputError, match="images of the patient 'p1' are in test and in train") as caught:
        folds_of(plan, cases)
    assert [problem.kind for problem in caught.value.problems] == ["patient-on-both-sides"]
    (fold,) = folds_of(SplitPlan(kind="file", file=plan.file, by="image"), cases)
    assert fold.test == ("c1_0",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no rows"),
        ("case,side\na,train\n", "its columns are case, side"),
        ("case,part\nc0_0,somewhere\nc1_0,test\n", "the part 'somewhere' is none of"),
        ("case,fold\nc0_0,-1\nc1_0,x\n", "the fold 'x' is not a whole number"),
        ("case,part\nc0_0,test\nc0_0,train\n", "puts 'c0_0' into another part"),
        ("case,part\nc0_0,test\nnobody,train\n", "names the case 'nobody'"),
        ("case,part\nc0_0,test\n", "says nothing of the case 'c2_0'"),
        ("patient,part\np0,test\np1,train\np2,none\n", "fold 0 has 1 for training and validation and 1 for testing"),
        ("patient,part\np0,train\np1,train\np2,train\n", "0 for testing"),
        ('case,part\n"c0_0,test\n', "is not a"),
        ("case,part\nc0\0_0,test\n", "is not a|names the case"),
    ],
)
def test_what_a_split_file_gets_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        folds_of(written(tmp_path, text), crowd(3, images=1))


@pytest.mark.parametrize(
    "text",
    ["{", "3", "[]", "[[]]", '[{"train": "a"}]', '[{"left": ["a"]}]', '[{"train": ["a"], "val": ["a"]}]', "[" * 9999],
)
def test_broken_json_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        folds_of(written(tmp_path, text, "splits.json"), crowd(3, images=1))


def test_a_missing_or_binary_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        folds_of(SplitPlan(kind="file", file=tmp_path / "gone.csv"), crowd(3))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00case")
    with pytest.raises(InputError, match="UTF-8"):
        folds_of(SplitPlan(kind="file", file=tmp_path / "binary.csv"), crowd(3))
    with pytest.raises(InputError, match="no file was named"):
        folds_of(SplitPlan(kind="file"), crowd(3))


def test_the_files_that_the_guide_shows(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "choose-the-split.md"
    shown = re.findall(r"^```(csv|json)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    data = (
        [a_case(f"c{number}", f"P{number:03}") for number in range(1, 5)],
        [a_case(name, name[:4]) for name in ("P001_a", "P001_b", "P002_a", "P003_a", "P004_a")],
        [a_case(f"case_{number:02}", f"p{number}") for number in range(3)],
    )
    tested = []
    for (kind, text), cases in zip(shown, data, strict=True):
        file = tmp_path / f"split.{kind}"
        file.write_text(text)
        tested.append([fold.test for fold in folds_of(SplitPlan("file", file=file), cases)])
    assert tested == [[("P001", "P002"), ("P003", "P004")], [("P003",)], [("p2",), ("p0",)]]


@pytest.mark.parametrize(
    "text",
    [
        "case,part,\na0,train,\nb0,test,\nc0,validation,\n",
        "case,part\na0,train,\nb0,test\nc0,validation\n",
        "case,part\na0,train\nb0,test,\nc0,validation,,\n",
    ],
)
def test_a_comma_too_many_does_no_harm(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    split = read_split(tmp_path / "s.csv")
    assert split.folds == ({"a0": "train", "b0": "test", "c0": "validation"},)


def test_a_cell_too_many_is_told(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("case,part\na0,train\nb,0,test\n")
    with pytest.raises(InputError, match="line 3"):
        read_split(tmp_path / "s.csv")
