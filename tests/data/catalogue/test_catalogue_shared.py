"""The catalogue and the layouts on the public data sets themselves."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from release_files import cases_of, opened

from real_images import real_data
from unifocal.data.catalogue.cvc_clinicdb import sequence_of

EXPECTED = {
    "brain_t1ce": ("folders", 314, 108, True),
    "drive": ("drive", 40, 40, False),
    "cvc_clinicdb": ("cvc_clinicdb", 612, 29, True),
    "msd_hippocampus": ("decathlon", 260, 260, False),
    "brats2015": ("brats20", 6, 6, True),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_opens_by_itself_and_without_fault(name: str) -> None:
    reading = opened(real_data(name))
    dataset = reading.dataset
    assert reading.problems == ()
    found = (dataset.declared.layout, len(dataset.cases), len({case.patient for case in dataset.cases}))
    assert (*found, dataset.patients_known) == EXPECTED[name]
    for case in dataset.cases:
        assert case.mask is not None
        assert all(path.is_file() for path in (*case.image.paths, *case.mask.paths))


def test_drive_has_its_official_parts_and_second_observer() -> None:
    cases = opened(real_data("drive")).dataset.cases
    assert Counter(case.part for case in cases) == {"training": 20, "test": 20}
    assert all(case.field_of_view is not None for case in cases)
    assert Counter((case.part, len(case.other_masks)) for case in cases) == {("training", 0): 20, ("test", 1): 20}
    for case in cases:
        files = (case.image, case.mask, case.field_of_view, *case.other_masks.values())
        assert len({str(file and file.path.name)[:2] for file in files}) == 1


def test_the_built_in_sequences_are_those_of_the_table() -> None:
    folder = real_data("cvc_clinicdb")
    with (folder / "sequences.csv").open() as file:
        rows = {int(row["frame"]): row["sequence"] for row in csv.DictReader(file)}
    assert rows == {frame: sequence_of(frame) for frame in range(1, 613)}
    assert {name: case.patient for name, case in cases_of(opened(folder)).items()} == {
        str(frame): sequence for frame, sequence in rows.items()
    }


def test_the_table_s_column_may_be_named_all_the_same() -> None:
    reading = opened(real_data("cvc_clinicdb"), patient_column="sequence")
    assert reading.problems == ()
    assert len({case.patient for case in reading.dataset.cases}) == 29


def test_brats_case_by_case(tmp_path: Path) -> None:
    reading = opened(real_data("brats2015"), options={"require_label": 4, "target": "labels"})
    assert reading.dataset.declared.keep is None
    assert reading.problems == ()
    assert len(reading.dataset.cases) == 6
