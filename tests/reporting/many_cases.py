"""A study of many cases with real files and made-up scores: for size and time, not for truth."""

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

LOSSES = tuple(f"loss_{position}" for position in range(8))
METRICS = ("dice", "iou", "precision", "recall", "hd95", "assd")


def write_many_cases(
    folder: Path, cases: int, side: int, *, losses: Sequence[str] = LOSSES, seeds: Sequence[int] = (0,)
) -> pd.DataFrame:
    """Noisy images, ragged masks, one fold; returns the scores that were written."""
    rng = np.random.default_rng(0)
    names = [f"case-{number:03d}" for number in range(cases)]
    rows, columns = np.mgrid[:side, :side]
    runs = {(loss, seed): folder / "runs" / loss / f"fold-0-seed-{seed}" for loss, seed in product(losses, seeds)}
    for run in runs.values():
        (run / "predictions").mkdir(parents=True)
    for part in ("images", "masks"):
        (folder / "data" / part).mkdir(parents=True)
    noise = rng.normal(0, 12, (2 * side, 2 * side))
    for number, name in enumerate(names):
        top, left = rng.integers(0, side, 2)
        away = np.hypot(rows - side * rng.uniform(0.3, 0.7), columns - side * rng.uniform(0.3, 0.7))
        away += noise[top : top + side, left : left + side] / 4
        lit = 90 + 60 * (away < side / 8) + noise[top : top + side, left : left + side]
        Image.fromarray(lit.clip(0, 255).astype(np.uint8)).save(folder / "data" / "images" / f"{name}.png")
        Image.fromarray((away < side / 8).astype(np.uint8) * 255).save(folder / "data" / "masks" / f"{name}.png")
        for position, run in enumerate(runs.values()):
            found = away < side / 8 * (0.9 + 0.03 * position + 0.001 * (number % 50))
            Image.fromarray(found.astype(np.uint8)).save(run / "predictions" / f"{name}.png", compress_level=1)
    _write_records(folder, names, runs)
    keys = list(product(runs, names, METRICS))
    scores = pd.DataFrame(
        {
            "loss": [loss for (loss, _), _, _ in keys],
            "fold": 0,
            "seed": [seed for (_, seed), _, _ in keys],
            "case": [name for _, name, _ in keys],
            "patient": [f"P{int(name[-3:]) // 2}" for _, name, _ in keys],
            "label": 1,
            "metric": [metric for _, _, metric in keys],
            "value": rng.uniform(0.2, 1, len(keys)).round(6),
            "unit": "",
            "reason": "",
        }
    )
    scores.to_csv(folder / "scores.csv", index=False)
    return scores


def _write_records(folder: Path, names: Sequence[str], runs: dict[tuple[str, int], Path]) -> None:
    for (loss, seed), run in runs.items():
        record = {"loss": loss, "fold": 0, "seed": seed, "status": "done", "reason": "", "best_epoch": 1}
        (run / "record.json").write_text(json.dumps(record))
    table = {
        "case": names,
        "patient": [f"P{int(name[-3:]) // 2}" for name in names],
        "image": [f"images/{name}.png" for name in names],
        "mask": [f"masks/{name}.png" for name in names],
    }
    pd.DataFrame(table).to_csv(folder / "cases.csv", index=False)
    losses = list(dict.fromkeys(loss for loss, _ in runs))
    settings = {
        "data": {"folder": str(folder / "data"), "black_and_white": True},
        "losses": [{"label": n} for n in losses],
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(settings))
