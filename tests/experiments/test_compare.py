"""`compare` from end to end, on a tiny phantom."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from unifocal.config.resolve import resolve
from unifocal.config.schema import StudyConfig
from unifocal.experiments import folder as study_folder

# Six patients at 32 pixels, a network of two levels, two epochs: seconds, not minutes.
TINY = (
    "--losses", "bce,unified_focal", "--folds", "2", "--epochs", "2", "--size", "32",
    "--set", "network.width=4", "--set", "network.depth=2", "--set", "resamples=200",
    "--set", "training.threads=1", "--set", "training.precision=float32",
)  # fmt: skip
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def study(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from unifocal.cli.app import run

    out = tmp_path_factory.mktemp("study") / "s"
    assert run(["compare", "--data", str(phantom), "--out", str(out), "--jobs", "1", *TINY]) == 0
    return out


def test_the_study_folder_holds_what_is_promised(study: Path, phantom: Path) -> None:
    for name in ("study.yaml", "scores.csv", "summary.csv", "comparison.csv", "pooled.csv", "cases.csv", "report.html"):
        assert (study / name).stat().st_size > 0
    assert list((study / "tables").glob("*.tex"))
    assert list((study / "figures").glob("*.svg"))
    assert not list(study.rglob("*.partial"))
    cases = pd.read_csv(phantom / "cases.csv", dtype=str)
    scores = pd.read_csv(study / "scores.csv", dtype={"case": str})
    assert set(scores["case"]) == set(cases["case"])
    counts = scores[scores["metric"] == "dice"].groupby("loss").size()
    assert counts.to_dict() == {"bce": len(cases), "unified_focal": len(cases)}
    for loss in ("bce", "unified_focal"):
        for fold in (0, 1):
            place = study / "runs" / loss / f"fold-{fold}-seed-0"
            assert json.loads((place / "record.json").read_text())["status"] == "done"
            assert len(pd.read_csv(place / "history.csv")) == 2
            assert (place / "model.safetensors").is_file()
            assert not (place / "state.ckpt").exists()


def test_nobody_is_on_two_sides(study: Path) -> None:
    folds = yaml.safe_load((study / "study.yaml").read_text())["split"]["folds"]
    cases = pd.read_csv(study / "cases.csv", dtype=str)
    for number, fold in enumerate(folds):
        parts = [set(fold[part]) for part in ("train", "validation", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 6
        assert set(cases[cases["fold"] == str(number)]["patient"]) == parts[2]


def test_scores_are_those_of_the_saved_predictions(study: Path, phantom: Path) -> None:
    scores = pd.read_csv(study / "scores.csv", dtype={"case": str}).query("metric == 'dice' and loss == 'bce'")
    for row in scores.itertuples():
        truth = np.array(Image.open(phantom / "masks" / f"{row.case}.png")) > 0
        place = study / "runs" / "bce" / f"fold-{row.fold}-seed-0" / "predictions" / f"{row.case}.png"
        predicted = np.array(Image.open(place)) > 0
        assert predicted.shape == truth.shape
        expected = 2 * (truth & predicted).sum() / (truth.sum() + predicted.sum())
        assert row.value == pytest.approx(expected, abs=1e-12)


def test_the_same_command_again_repeats_nothing(study: Path, phantom: Path, unifocal: Call) -> None:
    weights = {path: path.stat().st_mtime_ns for path in study.rglob("model.safetensors")}
    before = (study / "scores.csv").read_bytes()
    code, out, err = unifocal("compare", "--data", phantom, "--out", study, "--jobs", "1", *TINY)
    assert code == 0
    assert "All runs were done before" in err
    assert "report.html" in out
    assert (study / "scores.csv").read_bytes() == before
    assert weights == {path: path.stat().st_mtime_ns for path in study.rglob("model.safetensors")}


@pytest.mark.usefixtures("no_report")
def test_its_record_is_a_file_of_settings(study: Path, unifocal: Call, tmp_path: Path) -> None:
    code, _, err = unifocal("compare", "--config", study / "study.yaml", "--out", study, "--jobs", "1")
    assert code == 0, err
    assert "All runs were done before" in err
    again = resolve(StudyConfig, config=study / "study.yaml", settings=[], flags={"out": tmp_path})
    kept = yaml.safe_load((study / "study.yaml").read_text(encoding="utf-8"))["config"]
    changed = {"out", "network"}
    assert again.model_dump(mode="json", exclude=changed) == {k: v for k, v in kept.items() if k not in changed}
    assert again.network.name == "auto", "what was asked for, not what was built"


@pytest.mark.usefixtures("no_report")
def test_a_second_study_has_identical_scores(study: Path, phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    assert unifocal("compare", "--data", phantom, "--out", tmp_path / "s", "--jobs", "1", *TINY)[0] == 0
    assert (tmp_path / "s" / "scores.csv").read_bytes() == (study / "scores.csv").read_bytes()


def test_killed_again_and_again_it_ends_with_the_same_scores(study: Path, phantom: Path, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("unifocal")), "compare", "--data", str(phantom),
        "--out", str(tmp_path / "s"), "--jobs", "2", *TINY,
    ]  # fmt: skip
    random = np.random.default_rng()
    stages = ["runs/*/*/state.ckpt", "runs/*/*/record.json"]  # the first files: below
    for stage in stages:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 240
        while not list((tmp_path / "s").glob(stage)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 1))
        process.kill()
        process.wait()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    for name in ("scores.csv", "probabilities.csv.gz"):
        assert (tmp_path / "s" / name).read_bytes() == (study / name).read_bytes()


class Killed(BaseException):
    """Not an Exception, so that nobody catches it by accident."""


@pytest.mark.usefixtures("no_report")
def test_killed_while_it_writes_its_first_files_it_goes_on(
    study: Path, phantom: Path, tmp_path: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each of them: before it, with half of it written, and after it."""
    command = ("compare", "--data", phantom, "--out", tmp_path / "s", "--jobs", "1", *TINY)
    write, written = study_folder.write_text, []

    def dying(path: Path, text: str) -> None:
        moment = len(written) % 3
        written.append(path.name)
        if moment == 1:
            path.parent.mkdir(exist_ok=True)
            path.with_name(f"{path.name}.partial").write_text(text[: len(text) // 2], encoding="utf-8")
        elif moment == 2:
            write(path, text)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(study_folder, "write_text", dying)
        for _ in range(6):
            with pytest.raises(Killed):
                unifocal(*command)
    assert written == ["study.yaml"] * 3 + ["cases.csv"] * 3
    assert unifocal(*command)[0] == 0
    for name in ("scores.csv", "cases.csv"):
        assert (tmp_path / "s" / name).read_bytes() == (study / name).read_bytes()
    assert not list((tmp_path / "s").glob("*.partial"))


def test_another_study_in_the_folder_is_refused(study: Path, phantom: Path, unifocal: Call) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*") if path.name != ".lock"}
    code, _, err = unifocal(
        "compare", "--data", phantom, "--out", study, *TINY, "--set", "training.batch_size=3", "--set", "seeds=[1]"
    )
    assert code == 2
    assert "training.batch_size" in err
    assert "seeds" in err
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*") if path.name != ".lock"} == before


def test_the_report_is_rebuilt_from_the_scores(study: Path, tmp_path: Path, unifocal: Call) -> None:
    page = (study / "report.html").read_bytes()
    (study / "report.html").unlink()
    assert unifocal("report", study)[0] == 0
    assert (study / "report.html").read_bytes() == page
    code, out, _ = unifocal("report", shutil.copytree(study, tmp_path / "s"), "--metric", "hausdorff")
    assert code == 0
    assert "hausdorff" in out


def test_a_loss_of_ones_own_and_one_that_fails(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    (tmp_path / "my_losses.py").write_text(
        "import torch\n"
        "class Fragile(torch.nn.BCEWithLogitsLoss):\n"
        "    calls = 0\n"
        "    def forward(self, logits, target):\n"
        "        Fragile.calls += 1\n"
        "        return super().forward(logits, target) * (float('nan') if Fragile.calls > 3 else 1)\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        losses = "torch.nn:BCEWithLogitsLoss,my_losses:Fragile,monai.losses:DiceFocalLoss(sigmoid=True)"
        code, out, _ = unifocal(
            "compare", "--data", phantom, "--out", tmp_path / "s", "--jobs", "1", *TINY, "--losses", losses
        )
    finally:
        sys.path.remove(str(tmp_path))
    assert code == 1
    assert "2 runs failed" in out
    assert "the loss became nan" in out
    scores = pd.read_csv(tmp_path / "s" / "scores.csv")
    assert set(scores["loss"]) == {"torch.nn:BCEWithLogitsLoss", "monai.losses:DiceFocalLoss(sigmoid=True)"}
    assert "my_losses:Fragile" in (tmp_path / "s" / "report.html").read_text()


@pytest.mark.usefixtures("no_report")
def test_several_labels_become_several_classes(tmp_path: Path, unifocal: Call) -> None:
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / "d" / folder).mkdir(parents=True)
    for case in range(8):
        labels = np.zeros((40, 40), np.uint8)
        labels[5:20, 5:20], labels[22:35, 22:30] = 1, 4
        image = labels * 40.0 + random.normal(60, 5, labels.shape)
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / "d" / "images" / f"p{case // 2}_{case}.png")
        Image.fromarray(labels).save(tmp_path / "d" / "masks" / f"p{case // 2}_{case}.png")
    code, _, _ = unifocal(
        "compare", "--data", tmp_path / "d", "--out", tmp_path / "s", "--jobs", "1", *TINY,
        "--patient-pattern", r"^(p\d+)_", "--losses", "dice_cross_entropy", "--epochs", "30", "--spacing", "0.5x0.25",
        "--set", "training.learning_rate=0.01", "--set", "training.augmentation=none", "--set", "training.batch_size=1",
    )  # fmt: skip
    assert code == 0
    scores = pd.read_csv(tmp_path / "s" / "scores.csv")
    assert set(scores["label"]) == {1, 4}
    assert set(scores.query("metric == 'hd95'")["unit"]) == {"mm"}
    assert scores.query("metric == 'dice'")["value"].mean() > 0.7
    assert scores.query("metric == 'area_truth' and label == 4")["value"].unique() == [13 * 8 * 0.5 * 0.25]


@pytest.mark.usefixtures("no_report")
def test_without_data_the_phantom_is_made_and_its_settings_count(tmp_path: Path, unifocal: Call) -> None:
    arguments = ("compare", "--out", tmp_path / "s", "--jobs", "1", *TINY, "--losses", "bce", "--epochs", "1")
    settings = ("--set", "data.phantom_patients=4")
    assert unifocal(*arguments, *settings)[0] == 0
    assert len(set(pd.read_csv(tmp_path / "s" / "phantom-4-0-128" / "cases.csv")["patient"])) == 4
    code, _, err = unifocal(*arguments, "--set", "data.phantom_patients=5")
    assert code == 2
    assert "other data than this phantom" in err
    assert [path.name for path in (tmp_path / "s").glob("phantom*")] == ["phantom-4-0-128"]
    code, _, err = unifocal("compare", "--out", tmp_path / "t", "--folds", "9", "--set", "data.phantom_patients=4")
    assert code == 2
    assert not (tmp_path / "t").exists()


def test_a_study_of_other_data_is_not_mixed_with_the_phantom(study: Path, unifocal: Call) -> None:
    code, _, err = unifocal("compare", "--out", study, *TINY)
    assert code == 2
    assert "other data than this phantom" in err
    assert not list(study.glob("phantom*"))


def test_when_every_run_fails_the_study_says_so(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    (tmp_path / "my_failures.py").write_text(
        "import torch\n"
        "class Late(torch.nn.BCEWithLogitsLoss):\n"
        "    def forward(self, logits, target):\n"
        "        return super().forward(logits, target) * (1 if logits.shape[-1] == 8 else float('inf'))\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        code, _, err = unifocal(
            "compare", "--data", phantom, "--out", tmp_path / "s", "--jobs", "1", *TINY, "--losses", "my_failures:Late"
        )
    finally:
        sys.path.remove(str(tmp_path))
    assert code == 1
    assert "every run failed" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("flag", [("--spacing", "0.5"), ("--mask-threshold", "128")])
def test_what_changes_the_scores_makes_another_study(
    study: Path, phantom: Path, unifocal: Call, flag: tuple[str, str]
) -> None:
    before = (study / "scores.csv").read_bytes()
    code, _, err = unifocal("compare", "--data", phantom, "--out", study, *TINY, *flag)
    assert code == 2
    assert "spacing_mm" in err or "mask_coding" in err
    assert (study / "scores.csv").read_bytes() == before


def test_jobs_do_not_change_the_settings_that_scores_depend_on(phantom: Path, tmp_path: Path) -> None:
    from unifocal.config.schema import StudyConfig
    from unifocal.data.check import load_and_check
    from unifocal.data.layout import find_layout
    from unifocal.experiments.inputs import prepare_all
    from unifocal.experiments.progress import ConsoleReporter
    from unifocal.experiments.record import describe_study

    checked = load_and_check(find_layout(phantom))
    configs = [StudyConfig(out=tmp_path, jobs=jobs, data={"folder": phantom}) for jobs in (1, 2)]
    prepared = prepare_all(configs[0], checked, ConsoleReporter())
    described = [describe_study(config, checked, prepared, (), {}, "")["machine"] for config in configs]
    assert described[0] == described[1]


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("damage", [b"{}", b"[]", b'{"status": "done"}', b"\xff\xfe"])
def test_a_damaged_record_means_an_unfinished_run(
    study: Path, phantom: Path, tmp_path: Path, unifocal: Call, damage: bytes
) -> None:
    shutil.copytree(study, tmp_path / "s")
    place = tmp_path / "s" / "runs" / "bce" / "fold-0-seed-0"
    (place / "record.json").write_bytes(damage)
    (tmp_path / "s" / "runs" / "bce" / "fold-1-seed-0" / "scores.csv").unlink()
    assert unifocal("compare", "--data", phantom, "--out", tmp_path / "s", "--jobs", "1", *TINY)[0] == 0
    assert (tmp_path / "s" / "scores.csv").read_bytes() == (study / "scores.csv").read_bytes()


@pytest.mark.usefixtures("no_report")
def test_columns_called_like_ours_do_no_harm(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    shutil.copytree(phantom, tmp_path / "d")
    table = pd.read_csv(tmp_path / "d" / "cases.csv", dtype=str)
    for column in ("loss", "value", "fold", "label", "metric", "image"):
        table[column] = ["a", "b"] * (len(table) // 2)
    table.to_csv(tmp_path / "d" / "cases.csv", index=False)
    arguments = ("--jobs", "1", *TINY, "--losses", "bce", "--epochs", "1")
    assert unifocal("compare", "--data", tmp_path / "d", "--out", tmp_path / "s", *arguments)[0] == 0
