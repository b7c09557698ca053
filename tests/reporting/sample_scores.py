"""Scores and study folders of any size, drawn at random and without any picture."""

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from unifocal.reporting.study import StudyView, read_study
from unifocal.statistics import Analysis, analyse

NO_TRUTH = "neither mask holds the label: undefined"


@dataclass(frozen=True)
class Sample:
    """What the scores should look like; `empty` patients have no truth, so that their scores are undefined."""

    losses: tuple[str, ...] = ("bce", "focal", "unified_focal(gamma=0.5)")
    labels: tuple[int, ...] = (1,)
    patients: int = 12
    cases_per_patient: int = 2
    folds: int = 3
    seeds: int = 1
    empty: int = 0
    step: float = 0.03
    settings: dict[str, Any] = field(default_factory=dict)


def draw_scores(sample: Sample) -> pd.DataFrame:
    """`scores.csv` as a table."""
    rng = np.random.default_rng(11)
    rows: list[dict[str, Any]] = []
    hardness = rng.beta(5, 2, sample.patients)
    for place, loss in enumerate(sample.losses):
        for label in sample.labels:
            for patient in range(sample.patients):
                for number in range(sample.cases_per_patient):
                    for seed in range(sample.seeds):
                        keys = {
                            "loss": loss, "fold": patient % sample.folds, "seed": seed,
                            "case": f"c{patient:03d}_{number}", "patient": f"P{patient:03d}", "label": label,
                        }  # fmt: skip
                        centre = float(np.clip(hardness[patient] - sample.step * place, 0.05, 0.95))
                        dice = float(np.clip(rng.normal(centre, 0.06), 0.01, 0.99))
                        rows += _case_rows(keys, dice, rng, is_empty=patient < sample.empty)
    return pd.DataFrame(rows)


def _case_rows(keys: dict[str, Any], dice: float, rng: np.random.Generator, *, is_empty: bool) -> list[dict[str, Any]]:
    size = float(rng.lognormal(5, 0.7))
    values = {
        "dice": (dice, ""),
        "iou": (dice / (2 - dice), ""),
        "precision": (min(0.99, dice + 0.02), ""),
        "recall": (max(0.01, dice - 0.02), ""),
        "specificity": (1 - dice / 1000, ""),
        "hd95": (10 * (1 - dice), "mm"),
        "ece": ((1 - dice) / 50, ""),
        "average_precision": (dice, ""),
        "true_positives": (round(size * dice), "px"),
        "false_positives": (round(size * (1 - dice)), "px"),
        "false_negatives": (round(size * (1 - dice)), "px"),
        "true_negatives": (5000, "px"),
        "area_truth": (size, "mm2"),
        "area_prediction": (size * (0.6 + 0.4 * dice), "mm2"),
    }
    undefined = {"dice", "iou", "precision", "recall", "hd95", "average_precision"} if is_empty else set()
    return [
        keys
        | {
            "metric": metric,
            "value": np.nan if metric in undefined else value,
            "unit": unit,
            "reason": NO_TRUTH if metric in undefined else "",
        }
        for metric, (value, unit) in values.items()
    ]


def write_sample(folder: Path, sample: Sample, *, has_probabilities: bool = False) -> tuple[StudyView, Analysis]:
    """A study folder with the sample's scores, and their analysis."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = draw_scores(sample)
    scores.to_csv(folder / "scores.csv", index=False)
    cases = scores[["case", "patient"]].drop_duplicates()
    kinds = ["glioma", "meningioma"]
    cases = cases.assign(image="", mask="", **{"class": [kinds[place // 3 % 2] for place in range(len(cases))]})
    cases.to_csv(folder / "cases.csv", index=False)
    losses = [
        {"label": loss, "name": loss.partition("(")[0], "parameters": _parameters(loss)} for loss in sample.losses
    ]
    settings = {"losses": losses, "config": {"resamples": 300}} | sample.settings
    (folder / "study.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    if has_probabilities:
        write_probabilities(folder, draw_probabilities(scores))
    study = read_study(folder)
    return study, analyse(scores, resamples=300, order=sample.losses, noun=study.noun)


def _parameters(loss: str) -> dict[str, float]:
    inside = loss.partition("(")[2].rstrip(")")
    found = {}
    for part in inside.split(","):
        name, equals, value = part.partition("=")
        try:
            found.update({name.strip(): float(value)} if equals else {})
        except ValueError:
            continue
    return found


def draw_probabilities(scores: pd.DataFrame) -> pd.DataFrame:
    """Counts by probability such as a network would give: background near 0, the lesion near 1."""
    rng = np.random.default_rng(3)
    rows = []
    for key, found in scores[scores["metric"] == "dice"].groupby(["loss", "fold", "seed", "case", "patient", "label"]):
        quality = float(found["value"].fillna(0.5).iloc[0])
        inside = np.clip(rng.beta(1 + 6 * quality, 1.3, 200), 0, 1) if found["value"].notna().all() else np.empty(0)
        outside = np.clip(rng.beta(0.35, 6, 4000), 0, 1)
        for index in range(100):
            positives = int(((inside * 100).astype(int).clip(0, 99) == index).sum())
            elements = positives + int(((outside * 100).astype(int).clip(0, 99) == index).sum())
            if elements:
                rows.append((*key, index, elements, positives, elements * (index + 0.5) / 100))
    columns = ["loss", "fold", "seed", "case", "patient", "label", "bin", "elements", "positives", "probability_sum"]
    return pd.DataFrame(rows, columns=columns)


def write_probabilities(folder: Path, table: pd.DataFrame) -> None:
    text = table.to_csv(index=False)
    (folder / "probabilities.csv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
