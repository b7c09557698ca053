"""Scores drawn at random, for studies of which the truth is known."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rng = np.random.Generator
Shape = Callable[[Rng, tuple[int, ...]], Floats]


def dice_like(
    rng: Rng, n: int, n_losses: int, *, seeds: int = 1, folds: int = 5, between_trainings: float = 0.0
) -> Floats:
    """Dice of patients by trainings by losses, all losses alike.

    Patients differ: some lesions are small, and there Dice is lower, scatters more and is sometimes 0. A loss may suit
    a patient better (which training it again does not change), and each network adds its own luck to its fold.

    Returns:
        (patients, seeds, losses)
    """
    small = rng.random(n) < 0.25
    ease = np.where(small, rng.normal(0.3, 0.9, n), rng.normal(1.8, 0.6, n))[:, None, None]
    scatter = np.where(small, 0.5, 0.2)[:, None, None]
    suits = rng.normal(0, 1, (n, 1, n_losses)) * scatter
    again = rng.normal(0, 0.5, (n, seeds, n_losses)) * scatter
    dice = 1 / (1 + np.exp(-(ease + suits + again)))
    dice = dice + between_trainings * rng.normal(0, 1, (folds, seeds, n_losses))[np.arange(n) % folds]
    missed = rng.random((n, 1, n_losses)) < np.where(small, 0.08, 0.01)[:, None, None]
    return np.clip(np.where(missed, 0.0, dice), 0.0, 1.0)


def table(dice: Floats, folds: int = 5) -> pd.DataFrame:
    """The scores as a study writes them."""
    n, _, losses = dice.shape
    patient, seed, loss = (index.ravel() for index in np.indices(dice.shape))
    names = np.array([f"case{i:03d}" for i in range(n)])[patient]
    return pd.DataFrame(
        {
            "loss": np.array([f"loss{i}" for i in range(losses)])[loss],
            "fold": patient % folds,
            "seed": seed,
            "case": names,
            "patient": names,
            "label": 1,
            "metric": "dice",
            "value": dice.ravel(),
            "unit": "",
            "reason": "",
        }
    )


def _zeros(share: float, a: float, b: float) -> Shape:
    return lambda rng, size: rng.beta(a, b, size) * (rng.random(size) >= share)


def _some(share: float, usual: Shape, special: Shape) -> Shape:
    return lambda rng, size: np.where(rng.random(size) < share, special(rng, size), usual(rng, size))


def _normal(mean: float, sd: float) -> Shape:
    return lambda rng, size: rng.normal(mean, sd, size)


def _beta(a: float, b: float) -> Shape:
    return lambda rng, size: rng.beta(a, b, size)


MEANS: dict[str, tuple[Shape, float]] = {
    "beta(5, 2)": (_beta(5, 2), 5 / 7),
    "beta(8, 1.2), skewed": (_beta(8, 1.2), 8 / 9.2),
    "a fifth missed (0), others beta(6, 2)": (_zeros(0.2, 6, 2), 0.8 * 6 / 8),
    "a tenth missed (0), others beta(8, 2)": (_zeros(0.1, 8, 2), 0.9 * 8 / 10),
    "a twentieth missed (0), others beta(8, 2)": (_zeros(0.05, 8, 2), 0.95 * 8 / 10),
    "a quarter small, beta(1.2, 1.5), others beta(10, 1.6)": (
        _some(0.25, _beta(10, 1.6), _beta(1.2, 1.5)),
        0.25 * 1.2 / 2.7 + 0.75 * 10 / 11.6,
    ),
}
"""Shapes of one loss's Dice over patients, with their means."""

DIFFERENCES: dict[str, tuple[Shape, float]] = {
    "normal": (_normal(0.02, 0.05), 0.02),
    "a quarter of the patients scatters five times as much": (
        _some(0.25, _normal(0.02, 0.03), _normal(0.02, 0.15)),
        0.02,
    ),
    "a tenth gains 0.2, others scatter around 0": (_some(0.1, _normal(0, 0.03), _normal(0.2, 0.05)), 0.02),
    "nine tenths gain 0.03, a tenth loses 0.07": (_some(0.1, _normal(0.03, 0.03), _normal(-0.07, 0.05)), 0.02),
    "two differently skewed betas": (
        lambda rng, size: 0.5 * (rng.beta(8, 2, size) - 0.8) - 0.2 * (rng.beta(3, 3, size) - 0.5) + 0.02,
        0.02,
    ),
}
"""Shapes of the difference of two losses over patients, each with a mean of 0.02."""
