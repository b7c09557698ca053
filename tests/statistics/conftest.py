"""Score tables to analyse."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike

MakeScores = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def make_scores() -> MakeScores:
    """One score per loss and patient, each patient with one case; NaN is undefined."""

    def make(
        losses: Mapping[str, ArrayLike],
        metric: str = "dice",
        label: int = 1,
        unit: str = "",
        cases: str = "case",
        seed: int = 0,
    ) -> pd.DataFrame:
        frames = []
        for loss, values in losses.items():
            n = len(np.asarray(values))
            frames.append(
                pd.DataFrame(
                    {
                        "loss": loss,
                        "fold": [i % 5 for i in range(n)],
                        "seed": seed,
                        "case": [f"{cases}{i}" for i in range(n)],
                        "patient": [f"patient{i}" for i in range(n)],
                        "label": label,
                        "metric": metric,
                        "value": np.asarray(values, dtype=float),
                        "unit": unit,
                        "reason": "",
                    }
                )
            )
        return pd.concat(frames, ignore_index=True)

    return make
