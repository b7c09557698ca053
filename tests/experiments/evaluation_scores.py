"""What the tests of `evaluate` share."""

from pathlib import Path

import pandas as pd

QUICK = ("--resamples", "200")


def scores_of(folder: Path) -> pd.DataFrame:
    text = dict.fromkeys(("loss", "case", "patient", "metric", "unit", "reason"), str)
    return pd.read_csv(folder / "scores.csv", dtype=text, keep_default_na=False, na_values={"value": [""]})
