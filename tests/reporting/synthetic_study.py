"""A synthetic study folder: blobs, three losses of different quality, real files and real scores."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from unifocal.metrics import score_case
from unifocal.reporting import write_report
from unifocal.reporting.page import render
from unifocal.reporting.study import read_study
from unifocal.statistics import Analysis, analyse

Array = NDArray[Any]
# How much of the lesion's rim a loss misses, and how much noise it marks.
QUALITY = {
    "bce": (0.55, 0.000),
    "focal": (0.35, 0.002),
    "unified_focal(gamma=0.2)": (0.05, 0.001),
}


@dataclass(frozen=True)
class Recipe:
    """What the study should look like."""

    losses: tuple[str, ...] = tuple(QUALITY)
    folds: int = 3
    patients: int = 12
    images_per_patient: int = 2
    side: int = 64
    epochs: int = 12
    colour: bool = False
    names: tuple[str, ...] = ()
    classes: tuple[str, ...] = ("meningioma", "glioma", "<script>alert(1)</script>")


@dataclass(frozen=True)
class Study:
    """A written study."""

    folder: Path
    analysis: Analysis
    recipe: Recipe

    def report(self) -> str:
        """Write the report and return the page."""
        return write_report(self.folder, self.analysis).read_text(encoding="utf-8")

    def words_page(self) -> str:
        """The page without its figures and pictures, which take most of the time."""
        return render(read_study(self.folder), self.analysis, {}, [])

    def scores(self) -> pd.DataFrame:
        return pd.read_csv(
            self.folder / "scores.csv", dtype={"case": str, "patient": str}, keep_default_na=False
        ).assign(value=lambda table: pd.to_numeric(table["value"]))

    def rescored(self, scores: pd.DataFrame) -> "Study":
        """The same study with other scores."""
        scores.to_csv(self.folder / "scores.csv", index=False)
        return replace(self, analysis=analyse(scores, resamples=200, order=self.recipe.losses))

    def edit_settings(self, change: Callable[[dict[str, Any]], None]) -> None:
        path = self.folder / "study.yaml"
        settings = yaml.safe_load(path.read_text())
        change(settings)
        path.write_text(yaml.safe_dump(settings))


def slug(label: str) -> str:
    return "".join(c if (c.isalnum() and c.isascii()) or c in "_.=-" else "_" for c in label)


def draw_case(rng: np.random.Generator, side: int) -> tuple[Array, Array]:
    """A grey image with one lesion, and its mask."""
    rows, columns = np.mgrid[:side, :side]
    centre, radii = rng.uniform(0.25, 0.75, 2) * side, rng.uniform(0.04, 0.14, 2) * side
    wobble = gaussian_filter(rng.normal(0, 1, (side, side)), side / 20)
    distance = np.hypot((rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1])
    mask = distance + 2.5 * wobble < 1
    mask[int(centre[0]), int(centre[1])] = True
    head = np.hypot((rows - side / 2) / (0.46 * side), (columns - side / 2) / (0.4 * side)) < 1
    tissue = 70 + 300 * gaussian_filter(rng.normal(0, 0.3, (side, side)), side / 30)
    image = np.where(head, tissue, 5) + 75 * gaussian_filter(mask.astype(float), 1)
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8), mask


def predict(rng: np.random.Generator, mask: Array, miss: float, noise: float) -> Array:
    """A plausible prediction: the lesion shifted and shrunk, and a few false blobs."""
    side = mask.shape[0]
    soft = gaussian_filter(mask.astype(float), side / 60) - miss * rng.uniform(0, 0.9)
    soft += gaussian_filter(rng.normal(0, 1, mask.shape), side / 30) * side / 60 * 0.8
    speckle = gaussian_filter((rng.random(mask.shape) < noise / 4).astype(float), side / 64) * 4
    return (soft > 0.28) | (speckle > 0.3)


def write_study(folder: Path, recipe: Recipe) -> Study:
    rng = np.random.default_rng(7)
    cases = _write_cases(folder, recipe, rng)
    scores = pd.concat(
        [_write_run(folder, recipe, cases, loss, fold, rng) for loss in recipe.losses for fold in range(recipe.folds)],
        ignore_index=True,
    )
    scores.to_csv(folder / "scores.csv", index=False)
    cases.drop(columns="truth").to_csv(folder / "cases.csv", index=False)
    (folder / "study.yaml").write_text(yaml.safe_dump(_settings(folder, recipe, cases), sort_keys=False))
    return Study(folder, analyse(scores, resamples=200, order=recipe.losses), recipe)


def _write_cases(folder: Path, recipe: Recipe, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for index in range(recipe.patients * recipe.images_per_patient):
        patient = index // recipe.images_per_patient
        name = recipe.names[index] if index < len(recipe.names) else f"{index:04d}"
        image, mask = draw_case(rng, recipe.side)
        for part, pixels in (("images", image), ("masks", mask.astype(np.uint8) * 255)):
            (folder / "data" / part).mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(pixels)
            if recipe.colour and part == "images":
                picture = Image.merge("RGB", [picture, picture.point(lambda v: v // 2), picture])
            picture.save(folder / "data" / part / f"{name}.png")
        rows.append(
            {
                "case": name,
                "patient": f"P{patient:03d}",
                "fold": patient % recipe.folds,
                "image": f"data/images/{name}.png",
                "mask": f"data/masks/{name}.png",
                "height": recipe.side,
                "width": recipe.side,
                "foreground_percent": 100 * mask.mean(),
                "class": recipe.classes[patient % len(recipe.classes)],
                "plane": ("axial", "coronal")[index % 2],
                "truth": mask,
            }
        )
    return pd.DataFrame(rows)


def _write_run(
    folder: Path, recipe: Recipe, cases: pd.DataFrame, loss: str, fold: int, rng: np.random.Generator
) -> pd.DataFrame:
    run = folder / "runs" / slug(loss) / f"fold-{fold}-seed-0"
    (run / "predictions").mkdir(parents=True)
    rows = []
    for case in cases[cases["fold"] == fold].to_dict("records"):
        prediction = predict(rng, case["truth"], *QUALITY.get(loss, (0.2, 0.001)))
        Image.fromarray(prediction.astype(np.uint8)).save(run / "predictions" / f"{case['case']}.png")
        rows += [
            {
                "loss": loss,
                "fold": fold,
                "seed": 0,
                "case": case["case"],
                "patient": case["patient"],
                "label": score.label,
                "metric": score.metric,
                "value": score.value,
                "unit": score.unit,
                "reason": score.reason,
            }
            for score in score_case(case["truth"].astype(np.uint8), prediction.astype(np.uint8), labels=[1])
        ]
    _write_history(run, recipe.epochs + fold, rng)
    best = recipe.epochs - 4
    record = {"loss": loss, "fold": fold, "seed": 0, "status": "done", "reason": "", "best_epoch": best}
    (run / "record.json").write_text(json.dumps(record | {"seconds": 12.5}))
    return pd.DataFrame(rows)


def _write_history(run: Path, epochs: int, rng: np.random.Generator) -> None:
    epoch = np.arange(epochs)
    history = pd.DataFrame(
        {
            "epoch": epoch,
            "train_loss": np.exp(-epoch / 4),
            "validation_loss": np.exp(-epoch / 5) + rng.normal(0, 0.02, epochs),
            "validation_dice": np.clip(0.75 - 0.7 * np.exp(-epoch / 4) + rng.normal(0, 0.02, epochs), 0, 1),
            "learning_rate": 1e-3,
            "seconds": 1.0,
        }
    )
    history.to_csv(run / "history.csv", index=False)


def _settings(folder: Path, recipe: Recipe, cases: pd.DataFrame) -> dict[str, Any]:
    return {
        "unifocal": "0.1.0",
        "command": "unifocal compare --data data --losses bce,focal --epochs 12",
        "created": "2025-03-01T12:00:00",
        "versions": {"python": "3.11.9", "torch": "2.6.0"},
        "machine": {"system": "Linux", "processor": "x86_64", "cores": 8},
        "config": {
            "data": {"folder": "data", "images": None},
            "split": {"folds": recipe.folds, "validation_share": 0.2, "seed": 0},
            "network": {"width": 16, "depth": 4, "normalization": "none", "dropout": [0.1, 0.3],
                        "initialization": "he", "parameters": 1_941_105},
            "training": {"epochs": recipe.epochs, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.001,
                         "plateau_patience": 10, "plateau_factor": 0.1, "stop_patience": 20, "monitor": "loss",
                         "augmentation": "standard"},
            "resamples": 200,
        },
        "data": {"name": "Synthetic lesions", "folder": str(folder / "data"), "cases": len(cases),
                 "patients": recipe.patients, "labels": [1], "channels": 1, "spacing_known": False,
                 "foreground_percent": float(cases["foreground_percent"].mean()), "hash": "a" * 64,
                 "black_and_white": True, "mask_threshold": None,
                 "patients_known": True, "classes": {"meningioma": 8}},
        "preprocessing": {"hash": "d" * 64, "steps": [{"channels": {"count": 1}}, {"resize": {"size": [64, 64]}},
                                                      {"z_score": {"inside": "image", "per_channel": False}}]},
        "split": {"by": "patient", "hash": "b" * 64, "folds": [{}] * recipe.folds},
        "losses": [
            {"label": label, "name": label.partition("(")[0], "parameters": {"gamma": 0.2} if "(" in label else {}}
            for label in recipe.losses
        ],
    }  # fmt: skip


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """Write a study; keywords are those of `Recipe`."""

    def make(**wishes: Any) -> Study:
        folder = tmp_path / "study"
        folder.mkdir()
        return write_study(folder, Recipe(**wishes))

    return make


@pytest.fixture(scope="session")
def shared_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A written study with its report; tests must not change it."""
    study = write_study(tmp_path_factory.mktemp("shared"), Recipe())
    study.report()
    return study


@pytest.fixture(scope="session")
def page(shared_study: Study) -> str:
    """The shared study's page."""
    return (shared_study.folder / "report.html").read_text(encoding="utf-8")
