"""Overlapping regions from the declaration to masks: each an output of its own, scored by what its values make up."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from unifocal.training.module import region_dice, region_masks

Call = Callable[..., tuple[int, str, str]]
REGIONS = {"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)}
SMALL = (
    "--size", "32", "--set", "network.width=6", "--set", "network.depth=2", "--set", "network.normalization=instance",
    "--set", "training.threads=1", "--set", "training.precision=float32", "--set", "training.learning_rate=0.01",
    "--set", "training.batch_size=2",
    "--set", "training.augmentation=none", "--set", "data.regions=whole=1+2+4,core=1+4,enhancing=4", "--jobs", "1",
)  # fmt: skip


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs within discs: 2 around 1 around 4, each brighter than the one around it."""
    folder = tmp_path_factory.mktemp("rings")
    for part in ("images", "masks"):
        (folder / part).mkdir()
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32]
    for number in range(12):
        centre = random.integers(12, 20, 2)
        distance = np.hypot(rows - centre[0], columns - centre[1])
        mask = np.select([distance < 3, distance < 6, distance < 9], [4, 1, 2], 0).astype(np.uint8)
        grey = np.select([mask == 4, mask == 1, mask == 2], [220, 160, 100], 30) + random.normal(0, 6, mask.shape)
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"c{number:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"c{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def study(rings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from unifocal.cli.app import run

    out = tmp_path_factory.mktemp("study") / "s"
    arguments = ["--data", str(rings), "--losses", "dice_cross_entropy,unified_focal", "--out", str(out)]
    assert run(["compare", *arguments, "--folds", "2", "--epochs", "70", *SMALL]) == 0
    return out


def test_every_region_is_scored_under_its_number(study: Path, rings: Path) -> None:
    settings = yaml.safe_load((study / "study.yaml").read_text())
    assert settings["data"]["label_names"] == {1: "whole", 2: "core", 3: "enhancing"}
    assert settings["config"]["network"]["out_channels"] == 3
    scores = pd.read_csv(study / "scores.csv")
    dice = scores[scores["metric"] == "dice"].groupby("label")["value"].mean()
    assert set(dice.index) == {1, 2, 3}
    assert dice.min() > 0.7
    first = scores[(scores["loss"] == "unified_focal") & (scores["metric"] == "dice")].iloc[0]
    (path,) = study.glob(f"runs/unified_focal/fold-{first['fold']}-seed-0/predictions/{first['case']}.png")
    with Image.open(path) as predicted, Image.open(rings / "masks" / path.name) as true:
        given, wanted = (np.isin(np.array(picture), REGIONS["whole"]) for picture in (predicted, true))
    whole = scores[(scores["case"] == first["case"]) & (scores["loss"] == "unified_focal") & (scores["label"] == 1)]
    value = whole.loc[whole["metric"] == "dice", "value"].iloc[0]
    assert value == pytest.approx(2 * (given & wanted).sum() / (given.sum() + wanted.sum()))
    probabilities = pd.read_csv(study / "probabilities.csv.gz")
    assert set(probabilities["label"]) == {1, 2, 3}


def test_the_report_shows_every_region_whole(study: Path) -> None:
    from unifocal.reporting.study import read_study
    from unifocal.reporting.viewer_case import LoadedCase, load_case

    view = read_study(study)
    assert [view.name_of(label) for label in (1, 3)] == ["label 1 (whole)", "label 3 (enhancing)"]
    row = {str(key): value for key, value in view.cases.iloc[0].items()}
    loaded = load_case(view, row, [1, 2, 3], [0])
    assert isinstance(loaded, LoadedCase)
    with Image.open(row["mask"]) as picture:
        mask = np.array(picture)
    for number, values in enumerate(REGIONS.values(), start=1):
        assert np.array_equal(loaded.truth.projected(number), np.isin(mask, values))
    assert '"overlap":true' in (study / "report.html").read_text(encoding="utf-8").replace(" ", "")


def test_new_images_get_the_values_that_make_up_the_regions(
    study: Path, rings: Path, tmp_path: Path, unifocal: Call
) -> None:
    model = study / "runs" / "unified_focal" / "fold-0-seed-0"
    assert unifocal("predict", "--model", model, "--images", rings / "images", "--out", tmp_path / "p")[0] == 0
    sizes = pd.read_csv(tmp_path / "p" / "sizes.csv")
    with Image.open(tmp_path / "p" / "masks" / "c00.png") as picture:
        mask = np.array(picture)
    assert set(np.unique(mask)) <= {0, 1, 2, 4}
    found = sizes[sizes["case"] == "c00"].set_index("label")["size"]
    assert found.to_dict() == {k: np.isin(mask, values).sum() for k, values in enumerate(REGIONS.values(), start=1)}


def test_somebody_elses_loss_must_take_regions(rings: Path, tmp_path: Path, unifocal: Call) -> None:
    arguments = ("train", "--data", rings, "--epochs", "1", *SMALL[:-2])
    code, _, err = unifocal(*arguments, "--loss", "torch.nn:NLLLoss", "--out", tmp_path / "a")
    assert code == 2
    assert "a target of the same shape" in err
    assert unifocal(*arguments, "--loss", "torch.nn:BCEWithLogitsLoss", "--out", tmp_path / "b")[0] == 0


def test_masks_and_dice_of_regions() -> None:
    classes = torch.tensor([[0, 1, 2], [3, 3, 0]])[None, None]
    masks = region_masks(classes, [(1, 2, 3), (1, 3), (3,)])
    assert masks.shape == (1, 3, 2, 3)
    assert masks[0, 0].tolist() == [[0, 1, 1], [1, 1, 0]]
    assert masks[0, 2].tolist() == [[0, 0, 0], [1, 1, 0]]
    assert region_dice(2 * masks - 1, masks) == [1.0, 1.0, 1.0]
    assert region_dice(torch.full_like(masks, -1.0), masks) == [0.0, 0.0, 0.0]


def test_the_verdict_may_rest_on_a_label_of_choice(study: Path, rings: Path, tmp_path: Path, unifocal: Call) -> None:
    page = (study / "report.html").read_text(encoding="utf-8")
    assert "3 (enhancing)" in page
    code, _, err = unifocal("compare", "--data", rings, "--label", "4", "--out", tmp_path / "s", *SMALL)
    assert code == 2
    assert "1, 2, 3" in err
