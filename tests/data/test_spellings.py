"""Names that read the same but are stored differently: composed (NFC) and decomposed (NFD) letters, capitals."""

import unicodedata
from pathlib import Path

from unifocal.data.datasets import Request, open_dataset
from unifocal.data.pairing import pair_files
from unifocal.data.patients import find_patients
from unifocal.data.split_files import parts_of_units, read_split

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))


def write(folder: Path, images: list[str], masks: list[str], table: str = "") -> Path:
    for part, names in (("images", images), ("masks", masks)):
        (folder / part).mkdir(parents=True)
        for name in names:
            (folder / part / f"{name}.png").touch()
    if table:
        (folder / "cases.csv").write_text(table, encoding="utf-8")
    return folder


def test_a_patient_is_one_whichever_way_the_name_is_stored() -> None:
    names = [f"{COMPOSED}_1", f"{DECOMPOSED}_2", "Huber_1"]
    patients, problems = find_patients({n: Path(n) for n in names}, table=None, pattern=r"^(.+)_\d$")
    assert not problems
    assert patients.named == {COMPOSED, "Huber"}
    assert patients.by_case == {names[0]: COMPOSED, names[1]: COMPOSED, names[2]: "Huber"}


def test_names_that_are_all_decomposed_stay_as_they_are() -> None:
    patients, _ = find_patients({f"{DECOMPOSED}_{n}": Path("x") for n in "12"}, table=None, pattern=r"^(.+)_\d$")
    assert patients.named == {DECOMPOSED}


def test_image_and_mask_are_paired_whichever_way_the_name_is_stored() -> None:
    for by, end in (("stem", ""), ("suffix", "_mask")):
        images = [Path("i") / f"{COMPOSED}.png", Path("i/b.png")]
        masks = [Path("m") / f"{DECOMPOSED}{end}.png", Path(f"m/b{end}.png")]
        pairs, problems = pair_files(images, masks, by=by)  # type: ignore[arg-type]
        assert not problems
        assert pairs == list(zip(images, masks, strict=True))


def test_a_table_names_images_and_patients_whichever_way_they_are_stored(tmp_path: Path) -> None:
    table = f"case,patient\n{DECOMPOSED}1,{COMPOSED}\nb,{DECOMPOSED}\n"
    names = [f"{COMPOSED}1", "b"]
    reading = open_dataset(Request(folder=write(tmp_path / "d", names, names, table)))
    assert not reading.problems
    assert [case.name for case in reading.dataset.cases] == ["b", f"{COMPOSED}1"]
    assert len({case.patient for case in reading.dataset.cases}) == len(reading.patients) == 1


def test_a_table_that_names_an_image_in_both_ways_names_it_twice(tmp_path: Path) -> None:
    table = f"case,patient\n{DECOMPOSED}1,p\n{COMPOSED}1,q\n"
    reading = open_dataset(Request(folder=write(tmp_path / "d", [f"{COMPOSED}1"], [f"{COMPOSED}1"], table)))
    assert [problem.kind for problem in reading.problems] == ["table-line"]


def test_a_split_names_cases_whichever_way_they_are_stored(tmp_path: Path) -> None:
    reading = open_dataset(Request(folder=write(tmp_path / "d", [f"{COMPOSED}1", "b"], [f"{COMPOSED}1", "b"])))
    (tmp_path / "s.csv").write_text(f"case,fold\n{DECOMPOSED}1,0\nb,1\n", encoding="utf-8")
    folds, problems = parts_of_units(read_split(tmp_path / "s.csv"), reading.dataset.cases, by="image")
    assert not problems
    assert folds[0] == {f"{COMPOSED}1": "test", "b": "train"}


def test_case_names_that_differ_only_in_capitals_are_a_warning(tmp_path: Path) -> None:
    names = ["scan", "Scan", "other"]
    (warning,) = open_dataset(Request(folder=write(tmp_path / "d", names, names))).problems
    assert warning.is_warning
    assert warning.kind == "names-alike"
    assert "capitals" in warning.what
