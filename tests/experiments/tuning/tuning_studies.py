"""What tests of searches share: settings of seconds, and tables to compare."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

NETWORK = (
    "--size", "32", "--set", "network.width=4", "--set", "network.depth=2", "--set", "training.threads=1",
    "--set", "training.precision=float32", "--set", "training.augmentation=none",
)  # fmt: skip
SEARCH = ("--loss", "focal", "--over", "alpha,epochs=1:2", "--epochs", "1", "--trials", "5", "--inner-folds", "2",
          "--scheduler", "none", "--objective", "dice,brier", *NETWORK)  # fmt: skip


def trials_in(folder: Path) -> pd.DataFrame:
    """`trials.csv` without what differs from run to run."""
    return pd.read_csv(folder / "trials.csv").drop(columns="seconds")


def plant(data: Path, patients: set[str]) -> None:
    """Give the images of some patients other content and their masks another size."""
    random = np.random.default_rng(0)
    table = pd.read_csv(data / "cases.csv", dtype=str)
    for case in table[table["patient"].isin(patients)]["case"]:
        for folder in ("images", "masks"):
            path = next((data / folder).glob(f"{case}.*"))
            with Image.open(path) as picture:
                pixels = np.array(picture)
            half = np.zeros_like(pixels)
            half[: len(half) // 2] = pixels.max()
            changed = half if folder == "masks" else random.permuted(pixels.max() - pixels, axis=0)
            Image.fromarray(changed).save(path)
