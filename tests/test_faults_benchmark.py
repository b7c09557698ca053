"""The benchmark of evaluation faults does what it says: its figures by hand, and weights that go on."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from unifocal.data.phantom import write_phantom
from unifocal.experiments import run


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    import evaluation_faults

    return evaluation_faults


def test_pooled_dice_and_its_draws(faults: Any) -> None:
    counts = pd.DataFrame(
        {
            "patient": ["a", "a", "b"],
            "true_positives": [4.0, 0.0, 6.0],
            "false_positives": [1.0, 1.0, 0.0],
            "false_negatives": [0.0, 2.0, 4.0],
        }
    )
    assert faults.pooled_dice(counts) == pytest.approx(20 / 28)
    draws = faults.pooled_draws(counts, np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
    assert draws == pytest.approx([20 / 28, 8 / 12, 12 / 16])


def test_pooled_coordinates_hide_what_was_found_in_the_wrong_image(faults: Any) -> None:
    here, nowhere = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    here[2, 3] = True
    assert faults.pooled_hausdorff([here, nowhere], [nowhere, here]) == 0
    there = np.zeros((9, 6), bool)
    there[5, 3] = True
    assert faults.pooled_hausdorff([here, np.zeros((9, 6), bool)], [nowhere, there]) == 3, "images of several sizes"


def test_pooled_distances_are_those_of_the_patients_that_were_drawn(faults: Any, tmp_path: Path) -> None:
    def mask(*pixel: int) -> np.ndarray:
        made = np.zeros((8, 8), np.uint8)
        made[pixel] = 255
        return made

    (tmp_path / "masks").mkdir()
    for case, truth, found in (("a1", (2, 3), (6, 3)), ("a2", (6, 3), (2, 3)), ("b1", (0, 0), (0, 5))):
        Image.fromarray(mask(*truth)).save(tmp_path / "masks" / f"{case}.png")
        Image.fromarray(mask(*found)).save(tmp_path / f"{case}.png")
    part = pd.DataFrame({"patient": ["a", "a", "b"], "case": ["a1", "a2", "b1"]})
    fold = faults.unions(tmp_path, tmp_path, part)
    # By hand: the two images of a hide each other's errors; b's pixel is found 5 beside, and 2 or more from a's.
    assert faults.over_folds([fold, {}], ["a"]) == pytest.approx([0, np.nan], nan_ok=True)
    assert faults.over_folds([fold], ["b"]) == [5]
    assert faults.over_folds([fold], ["a", "b"]) == [pytest.approx(np.hypot(2, 3))]


def test_epochs_kept_are_those_of_the_lowest_validation_loss(faults: Any, tmp_path: Path) -> None:
    for way in faults.WAYS:
        (tmp_path / way / "runs" / "bce" / "fold-0-seed-0").mkdir(parents=True)
        history = "validation_loss,validation_dice\n0.3,0.1\n0.2,0.25\n0.4,0.5\n"
        (tmp_path / way / "runs" / "bce" / "fold-0-seed-0" / "history.csv").write_text(history, encoding="utf-8")
    found = faults.epochs_of(argparse.Namespace(losses="bce", folds=1, folder=tmp_path)).splitlines()
    assert found[2] == "| folds over patients, `bce` | 2 of 3: 0.25 of 0.50 |"
    assert len(found) == 7


def test_differences_between_ways(faults: Any) -> None:
    def scored(dice: float, counts: tuple[float, float, float]) -> pd.DataFrame:
        values = dict(zip(faults._COUNTS, counts, strict=True)) | {"dice": dice, "hausdorff": 1.0}
        rows = [
            (loss, 0, 0, "0", case, case[0], metric, value + (metric == "dice") * 0.01 * case.startswith("b"), "1")
            for loss in faults.LOSSES.split(",")
            for case in ("a1", "a2", "b1", "c1", "d1", "e1")
            for metric, value in values.items()
        ]
        return pd.DataFrame(
            rows, columns=["loss", "fold", "seed", "label", "case", "patient", "metric", "value", "unit"]
        )

    found = {"patients": 0.1, "images": 0.2, "carried": 0.5, "longer": 0.6, "longer_images": 0.7}
    scores = {way: scored(dice, (dice * 10, 10 - dice * 10, 10 - dice * 10)) for way, dice in found.items()}
    given = argparse.Namespace(losses=faults.LOSSES, epochs=15, folds=5)
    means, differing = faults.differences(given, scores)
    assert "| `focal`, folds over images, weights carried over | 0.502 (" in means
    assert "| `bce`, folds over patients, as long | 0.602 (" in means
    assert means.count("| 0.500 |") == 2, "pooled: 5 of 10 pixels right"
    row = "| `bce`, folds over images, weights carried over minus folds over patients, as long | -0.100 "
    assert row + "(-0.100 to -0.100) | -0.100 (-0.100 to -0.100) |" in differing
    assert "| `focal`, folds over images, as long minus folds over patients, as long | +0.100 " in differing
    assert "| `focal`, folds over images, weights carried over minus folds over images, as long | -0.200 " in differing
    assert "| `focal`, folds over images minus folds over patients | +0.100 " in differing
    given.folds = 1
    head, _, *rows = faults.carrying_over(given, scores).splitlines()
    assert head.endswith("| fold 1 |")
    assert [row.split("|")[2].strip() for row in rows] == ["-0.200 (-0.200 to -0.200)"] * 2
    table = faults.cases(scores)
    assert len(table) == 5 * 2 * 6
    assert list(table["way"].unique()) == list(faults.WAYS)


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize(
    ("way", "second", "by"),
    [("carried", 1, "image"), ("images", 1, "image"), ("longer", 2, "patient"), ("longer_images", 2, "image")],
)
def test_weights_go_into_the_next_fold_or_train_as_long(
    faults: Any, way: str, second: int, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_phantom(tmp_path / "data", patients=4, seed=0, size=32)
    begun, ended, trained = [], [], []
    fit = run.fit

    def watched(network: torch.nn.Module, *given: Any, **named: Any) -> Any:
        begun.append({name: weight.clone() for name, weight in network.state_dict().items()})
        result = fit(network, *given, **named)
        ended.append(result.weights)
        trained.append(result.epochs)
        return result

    monkeypatch.setattr(run, "fit", watched)
    small = {"losses": "bce", "epochs": 1, "size": 32, "batch": 4, "folds": 2}
    given = argparse.Namespace(data=tmp_path / "data", folder=tmp_path, **small)
    faults.study(given, way)
    assert len(begun) == 2
    study = yaml.safe_load((tmp_path / way / "study.yaml").read_text(encoding="utf-8"))
    assert study["config"]["split"]["by"] == by
    assert trained == [1, second], "epochs of each fold"
    are_same = [torch.equal(weight, ended[0][name]) for name, weight in begun[1].items()]
    assert all(are_same) if way == "carried" else not all(are_same)
