"""What makes a command another study, beside the content of the files: whose the cases are, and what labels mean."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from unifocal.config.schema import StudyConfig
from unifocal.data.case import Case, DataSet, Declared, Source
from unifocal.data.check.result import CaseFacts, CheckedData
from unifocal.data.coding import MaskCoding
from unifocal.experiments.folder import refuse_other_study, write_yaml
from unifocal.experiments.inputs import make_folds_of
from unifocal.experiments.record import data_identity, identity_of
from unifocal.problems import InputError

PATIENTS = ("P1", "P1", "P2", "P3", "P4", "P5", "P6")
MOVED = ("P1", "P2", "P2", "P3", "P4", "P5", "P6")
REGIONS = {"whole": (1, 2, 4), "core": (1, 4)}
LATER = ("cases_hash", "regions", "label")


def checked(patients: tuple[str, ...] = PATIENTS, regions: Any = (), sites: str = "aabbabb") -> CheckedData:
    cases = tuple(
        Case(
            f"c{n}", Source.of(Path(f"i/c{n}.png")), Source.of(Path(f"m/c{n}.png")), patient, attributes={"site": site}
        )
        for n, (patient, site) in enumerate(zip(patients, sites, strict=True))
    )
    facts = tuple(CaseFacts(case.name, (16, 16), 1, (1, 2, 4), {1: 0.05, 2: 0.03, 4: 0.02}) for case in cases)
    dataset = DataSet(cases, patients_known=True, declared=Declared("folders", regions=dict(regions)))
    return CheckedData(dataset, facts, (1, 2, 4), 1, MaskCoding(keep=(1, 2, 4)), "h")


def identity(data: CheckedData, **settings: Any) -> dict[str, Any]:
    config = StudyConfig.model_validate({"out": "o", "split": {"folds": 2}, **settings})
    return identity_of(config, data, make_folds_of(config.split, data))


def refused(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> str:
    write_yaml(folder / "study.yaml", {"identity": before})
    with pytest.raises(InputError) as raised:
        refuse_other_study(folder, after)
    return str(raised.value)


def test_an_image_that_moves_to_another_patient_makes_another_study(tmp_path: Path) -> None:
    assert "cases_hash" in refused(tmp_path, identity(checked()), identity(checked(MOVED)))


def test_a_training_looks_at_the_patients_and_the_regions_too() -> None:
    assert data_identity(checked()) != data_identity(checked(MOVED))
    assert data_identity(checked(regions=REGIONS)) != data_identity(checked())


def test_regions_that_mean_something_else_make_another_study(tmp_path: Path) -> None:
    before, after = (identity(checked(regions={"whole": (1, 2, 4), "core": core})) for core in ((1, 4), (2, 4)))
    said = refused(tmp_path, before, after)
    assert "whole=1+2+4, core=1+4" in said
    assert "whole=1+2+4, core=2+4" in said
    turned = dict(reversed(REGIONS.items()))
    assert identity(checked(regions=turned)) != identity(checked(regions=REGIONS)), "their numbers follow their order"
    assert "none" in refused(tmp_path, identity(checked()), before)


def test_trials_judged_by_another_label_make_another_study(tmp_path: Path) -> None:
    one, four = (identity(checked(), tuning={"trials": 3}, label=label) for label in (1, 4))
    assert "label" in refused(tmp_path, one, four)
    assert identity(checked(), label=1) == identity(checked(), label=4), "without trials the report alone depends on it"


def test_a_site_counts_where_the_split_goes_by_it() -> None:
    split = {"kind": "leave_one_group_out", "group": "site"}
    data, other = checked(), checked(sites="aabbaba")
    assert identity(data, split=split)["cases_hash"] != identity(other, split=split)["cases_hash"]
    assert identity(data) == identity(other)


def test_a_study_from_before_goes_on(tmp_path: Path) -> None:
    now = identity(checked(regions=REGIONS), tuning={"trials": 3}, label=1)
    before = {key: value for key, value in now.items() if key not in LATER}
    assert set(LATER) <= now.keys()
    write_yaml(tmp_path / "study.yaml", {"identity": before})
    assert refuse_other_study(tmp_path, now) == yaml.safe_load((tmp_path / "study.yaml").read_text())
    assert "losses" in refused(tmp_path, before, now | {"losses": "bce"})


def test_a_study_of_some_labels_goes_on(tmp_path: Path) -> None:
    now = identity(checked())
    assert now["mask_coding"]["keep"] == (1, 2, 4)
    write_yaml(tmp_path / "study.yaml", {"identity": now})
    assert refuse_other_study(tmp_path, now)
    now["mask_coding"]["keep"] = (1, 2)
    with pytest.raises(InputError, match=r"mask_coding\.keep"):
        refuse_other_study(tmp_path, now)


def test_files_in_another_folder_are_the_same_study() -> None:
    here = checked()
    moved = tuple(replace(case, image=Source.of(Path("elsewhere") / case.image.path)) for case in here.dataset.cases)
    assert identity(here) == identity(replace(here, dataset=replace(here.dataset, cases=moved)))
