"""Rounds, who leaves after them, and studies that go on in the middle of a race."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from unifocal.config.schema import StudyConfig
from unifocal.experiments.folder import RunKey, read_run
from unifocal.experiments.race import Course, Records, race_problems, read_departures, replay, rounds_of
from unifocal.problems import InputError

Call = Callable[..., tuple[int, str, str]]
LOSSES = ("bce", "dice", "focal")


def config_of(out: Path, **more: object) -> StudyConfig:
    asked = {"losses": ",".join(LOSSES), "race": True, "split": {"folds": 4}, "out": out} | more
    return StudyConfig.model_validate(asked)


def write_run(out: Path, key: RunKey, *, worse: tuple[str, ...] = ("dice",), patients: int = 10) -> None:
    """A finished run of invented scores: `worse` by 0.3."""
    random = np.random.default_rng((key.fold, key.seed, LOSSES.index(key.loss)))
    place = out / key.place
    place.mkdir(parents=True)
    names = [f"f{key.fold}p{number}" for number in range(patients)]
    values = random.normal(0.7, 0.03, patients) - 0.3 * (key.loss in worse)
    row = {"loss": key.loss, "fold": key.fold, "seed": key.seed, "label": 1, "metric": "dice", "unit": "", "reason": ""}
    pd.DataFrame([row | {"case": n, "patient": n, "value": v} for n, v in zip(names, values, strict=True)]).to_csv(
        place / "scores.csv", index=False
    )
    (place / "model.safetensors").touch()
    record = {"loss": key.loss, "fold": key.fold, "seed": key.seed, "status": "done", "reason": ""}
    (place / "record.json").write_text(json.dumps(record))


def records_of(config: StudyConfig, folds: int = 4) -> Records:
    keys = [RunKey(loss, fold, seed) for loss, fold, seed in product(LOSSES, range(folds), config.seeds)]
    return {key: read_run(config.out / key.place) for key in keys}


def race_to_the_end(config: StudyConfig, folds: int = 4, **how: object) -> Course:
    course = Course(config, folds)
    while not course.is_over:
        for key in course.wanted():
            if not (config.out / key.place).exists():
                write_run(config.out, key, **how)
        course.close(records_of(config, folds))
        course.write()
    return course


def test_rounds_hold_every_run_once(tmp_path: Path) -> None:
    for folds, seeds, race in product((1, 3), ((0,), (4, 2)), (False, True)):
        rounds = rounds_of(config_of(tmp_path, seeds=seeds, race=race), folds)
        cells = [cell for each in rounds for cell in each]
        assert sorted(cells) == sorted(product(range(folds), seeds))
        if not race:
            assert len(rounds) == 1
            assert cells == [(fold, seed) for seed in seeds for fold in range(folds)], "as studies were always ordered"
        elif folds > 1:
            assert [len(each) for each in rounds] == [len(seeds)] * folds, "a look sees all seeds of a fold"


def test_who_leaves_is_trained_no_more(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    course = race_to_the_end(config)
    (left,) = course.race.left
    assert left.loss == "dice"
    assert left.round in (0, 1)
    assert read_departures(tmp_path) == course.race.left
    table = pd.read_csv(tmp_path / "race.csv")
    assert table["left_after_fold"].tolist() == [left.round]
    assert table["seed"].tolist() == [0]
    trained = {fold for fold in range(4) if (tmp_path / RunKey("dice", fold, 0).place).exists()}
    assert trained == set(range(left.round + 1))
    assert set(course.keys) == {RunKey(loss, fold, 0) for loss in ("bce", "focal") for fold in range(4)} | {
        RunKey("dice", fold, 0) for fold in trained
    }


def test_with_one_left_the_race_is_over(tmp_path: Path) -> None:
    course = race_to_the_end(config_of(tmp_path), worse=("dice", "focal"), patients=16)
    assert course.race.racing == ("bce",)
    assert course.number < 4
    assert not (tmp_path / RunKey("bce", 3, 0).place).exists()


def test_a_race_goes_on_wherever_it_stopped(tmp_path: Path) -> None:
    whole = race_to_the_end(config_of(tmp_path / "whole"))
    for number, key in enumerate(whole.keys[::3]):
        out = tmp_path / f"again-{number}"
        shutil.copytree(tmp_path / "whole" / "runs", out / "runs")
        (out / key.place / "record.json").unlink()
        config = config_of(out)
        course = Course(config, 4)
        replay(course, records_of(config))
        assert key in course.wanted()
        shutil.rmtree(out / key.place)
        again = race_to_the_end(config)
        assert again.race.left == whole.race.left
        assert again.keys == whole.keys
        assert (out / "race.csv").read_bytes() == (tmp_path / "whole" / "race.csv").read_bytes()
    config = config_of(tmp_path / "whole")
    course = Course(config, 4)
    replay(course, records_of(config))
    assert course.is_over


def test_runs_that_a_departed_loss_did_after_leaving_do_not_count(tmp_path: Path) -> None:
    """A run failed at first, so the loss raced on; now it is mended, and the look sends the loss away."""
    config = config_of(tmp_path)
    for loss, fold in product(LOSSES, range(4)):
        write_run(tmp_path, RunKey(loss, fold, 0))
    course = Course(config, 4)
    replay(course, records_of(config))
    assert [each.loss for each in course.race.left] == ["dice"]
    assert RunKey("dice", 3, 0) not in course.keys


def test_a_failed_run_keeps_nobody_from_racing(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    course = Course(config, 4)
    while not course.is_over:
        records = dict(records_of(config))
        for key in course.wanted():
            if key.loss == "focal":
                records[key] = {"loss": "focal", "fold": key.fold, "seed": 0, "status": "failed", "reason": "nan"}
            else:
                write_run(tmp_path, key)
                records[key] = read_run(tmp_path / key.place)
        course.close(records)
    assert [each.loss for each in course.race.left] == ["dice"]
    assert "focal" in course.race.racing


def test_a_race_without_rounds_or_rivals_is_refused(tmp_path: Path) -> None:
    assert race_problems(config_of(tmp_path), 4) == []
    (one_round,) = race_problems(config_of(tmp_path), 1)
    assert "single round" in one_round.what
    assert race_problems(config_of(tmp_path, seeds=(0, 1)), 1) == []
    assert len(race_problems(config_of(tmp_path, losses="bce"), 1)) == 2
    assert race_problems(config_of(tmp_path, race=False, losses="bce"), 1) == []


@pytest.mark.parametrize("text", ["", "loss,round\nbce,1\n", "\x00"])
def test_a_damaged_table_is_bad_input(tmp_path: Path, text: str) -> None:
    (tmp_path / "race.csv").write_text(text)
    with pytest.raises(InputError, match="damaged"):
        read_departures(tmp_path)
    assert read_departures(tmp_path / "nowhere") == ()


HOPELESS = """
import torch
class Hopeless(torch.nn.BCEWithLogitsLoss):
    def forward(self, logits, target):
        return super().forward(logits, 1.0 - target.to(logits.dtype).reshape(logits.shape))
"""
TINY = (
    "--folds", "3", "--epochs", "12", "--size", "32", "--jobs", "1", "--race", "--patient-pattern", "(.*)",
    "--set", "network.width=4", "--set", "network.depth=2", "--set", "resamples=200", "--set", "training.threads=1",
    "--set", "training.precision=float32", "--set", "training.learning_rate=0.01",
    "--set", "training.batch_size=1", "--set", "training.augmentation=none", "--set", "race_error=0.3",
)  # fmt: skip


@pytest.fixture(scope="module")
def hopeless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A loss that learns the opposite."""
    folder = tmp_path_factory.mktemp("hopeless")
    (folder / "hopeless_loss.py").write_text(HOPELESS)
    sys.path.insert(0, str(folder))
    yield "hopeless_loss:Hopeless"
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight patients with a bright square each, which any sound loss learns at once."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("squares")
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for patient in range(8):
        mask = np.zeros((32, 32), np.uint8)
        row, column = random.integers(2, 16, 2)
        mask[row : row + 12, column : column + 12] = 1
        image = mask * 120.0 + random.normal(60, 5, mask.shape)
        Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"p{patient}.png")
        Image.fromarray(mask).save(folder / "masks" / f"p{patient}.png")
    return folder


def test_a_race_from_end_to_end(
    squares: Path, tmp_path: Path, hopeless: str, unifocal: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "s"
    losses = ("--losses", f"dice,{hopeless},dice_cross_entropy")
    code, printed, said = unifocal("compare", "--data", squares, "--out", out, *losses, *TINY)
    assert code == 0
    assert f"{hopeless} leaves the race" in said
    left = {each.loss: each for each in read_departures(out)}
    assert left[hopeless].round == 1
    assert left[hopeless].patients in (5, 6)
    assert "left the race after round 2 of 3" in " ".join(printed.split())
    assert not (out / RunKey(hopeless, 2, 0).place).exists()
    scores = pd.read_csv(out / "scores.csv")
    assert scores.loc[scores["loss"] == hopeless, "fold"].unique().tolist() == [0, 1]
    best = pd.read_csv(out / "summary.csv").query("metric == 'dice'").set_index("loss")["mean"]
    assert best.drop(hopeless).min() > best[hopeless] + 0.3
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "left the race after round 2 of 3" in page
    assert "the comparison is not complete" not in page
    identity = yaml.safe_load((out / "study.yaml").read_text())["identity"]
    assert identity["race"] is True
    kept = {name: (out / name).read_bytes() for name in ("scores.csv", "race.csv", "summary.csv")}

    monkeypatch.setattr("unifocal.experiments.conclude.write_report", lambda folder, _analysis: folder / "report.html")
    shutil.rmtree(out / RunKey("dice", 1, 0).place)
    (out / "race.csv").unlink()
    code, _, said = unifocal("compare", "--data", squares, "--out", out, *losses, *TINY)
    assert code == 0
    assert "Round 2 of 3: 1 of 9 runs to do" in said
    assert [each.loss for each in read_departures(out)] == list(left)
    assert {name: (out / name).read_bytes() for name in kept} == kept
    code, _, said = unifocal("compare", "--data", squares, "--out", out, *losses, *TINY)
    assert code == 0
    assert "All runs were done before" in said
    assert unifocal("report", out)[0] == 0
    assert (out / "race.csv").read_bytes() == kept["race.csv"]
    code, _, said = unifocal("compare", "--data", squares, "--out", out, *losses, *TINY, "--set", "race_error=0.5")
    assert code == 2
    assert "race_error" in said
    code, _, said = unifocal("compare", "--data", squares, "--out", tmp_path / "t", *TINY, "--losses", "bce")
    assert code == 2
    assert "leave --race away" in said
    assert not (tmp_path / "t").exists()
