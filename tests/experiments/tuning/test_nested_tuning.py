"""`compare --tune`: the same trials for every loss inside every fold, and no test patient among them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tuning_studies import NETWORK, plant

from unifocal.config.schema import LossConfig, NetworkConfig, TrainingConfig
from unifocal.config.sections import ComputeConfig, TuningConfig

Call = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("no_report")
STUDY = (
    "--losses", "bce,focal", "--tune", "3", "--set", "tuning.inner_folds=2", "--epochs", "1", "--jobs", "1",
    "--set", "resamples=200", *NETWORK,
)  # fmt: skip


@pytest.fixture(scope="module")
def split(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    patients = sorted(set(pd.read_csv(phantom / "cases.csv", dtype=str)["patient"]))
    tested = {0: patients[:2], 1: patients[2:4]}
    rows = [
        {"patient": patient, "fold": fold, "part": "test" if patient in tested[fold] else "train"}
        for fold in tested
        for patient in patients
    ]
    path = tmp_path_factory.mktemp("split") / "split.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_a_choice_reacts_to_its_own_patients_and_not_to_those_it_is_tested_on(
    phantom: Path, split: Path, tmp_path: Path, unifocal: Call
) -> None:
    tables = {}
    for name, changed in (("untouched", False), ("planted", True)):
        data = shutil.copytree(phantom, tmp_path / name / "data")
        if changed:
            listed = pd.read_csv(split, dtype=str)
            plant(data, set(listed[(listed["fold"] == "0") & (listed["part"] == "test")]["patient"]))
        out = tmp_path / name / "s"
        code, _, err = unifocal("compare", "--data", data, "--out", out, "--split", split, *STUDY)
        assert code == 0, err
        tables[name] = pd.read_csv(out / "tuning.csv", keep_default_na=False).drop(columns="seconds")
    one, other = (table[table["fold"] == 0].reset_index(drop=True) for table in tables.values())
    pd.testing.assert_frame_equal(one, other)
    one, other = (table[table["fold"] == 1].reset_index(drop=True) for table in tables.values())
    assert not one["dice"].equals(other["dice"])

    out, table = tmp_path / "untouched" / "s", tables["untouched"]
    assert table.groupby(["loss", "fold"]).size().to_dict() == {
        ("bce", 0): 1, ("bce", 1): 1, ("focal", 0): 3, ("focal", 1): 3,
    }  # fmt: skip
    assert (table.groupby(["loss", "fold"])["chosen"].sum() == 1).all()
    folds = yaml.safe_load((out / "study.yaml").read_text())["split"]["folds"]
    for loss in ("bce", "focal"):
        for number, fold in enumerate(folds):
            scored = [pd.read_csv(path) for path in (out / "tuning" / loss / f"fold-{number}").rglob("scores.csv")]
            assert {patient for part in scored for patient in part["patient"]} == {*fold["train"], *fold["validation"]}
    chosen = table[(table["loss"] == "focal") & table["chosen"]]
    for row in chosen.itertuples():
        assert set(json.loads(row.values)) == {"alpha", "gamma"}
    assert set(pd.read_csv(out / "scores.csv")["loss"]) == {"bce", "focal"}


def test_a_request_that_names_a_test_patient_is_refused() -> None:
    from types import SimpleNamespace

    from unifocal.experiments.tuning.nested import TuningRequest, tune_inside

    cases = [SimpleNamespace(name=f"c{k}", patient=f"p{k}", attributes={}) for k in range(6)]
    template = SimpleNamespace(
        prepared=SimpleNamespace(cases=cases), test=(0, 1), training=TrainingConfig(), network=NetworkConfig()
    )
    request = TuningRequest(LossConfig(name="focal"), 0, ("p1", "p2", "p3", "p4"), template)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tests on p1"):
        tune_inside(
            [request],
            tuning=TuningConfig(),
            jobs=1,
            compute=ComputeConfig(),
            reporter=None,  # type: ignore[arg-type]
        )
