"""Which settings are tried next. A trial's values depend on its number, the seed and earlier generations alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from unifocal.experiments.tuning.space import Dimension, Space, defaults_of, grid_of
from unifocal.training.seeds import derive_seed

if TYPE_CHECKING:
    import optuna

Direction = Literal["higher", "lower"]
GENERATION = 4
"""Trials that are suggested together, knowing the results of those before them."""
RANDOM_FIRST = 8
"""Trials drawn at random before results are worth modelling."""
_ATTEMPTS = 30
_DIGITS = 4


@dataclass(frozen=True)
class Tried:
    """What a search learns of a trial.

    Attributes:
        values: Per dimension.
        objective: A number per objective; None where the trial failed or was stopped: it counts as the worst.
    """

    values: Mapping[str, Any]
    objective: tuple[float, ...] | None


@dataclass(frozen=True)
class Search:
    """A search through a space. Trial 0 always has the settings as given.

    The same seed and the same results give the same trials, however many ran at once and however often the search
    was killed. Nothing is tried twice.

    Attributes:
        space: What is searched.
        method: `random`, `grid` (every combination in turn), or `optuna`: its tree-structured Parzen estimator after
            the first `RANDOM_FIRST` trials (Bergstra et al. 2011, several objectives: Ozaki et al. 2022).
        trials: How many, with trial 0.
        directions: Per objective, what is better.
        seed: Decides every draw.
    """

    space: Space
    method: Literal["optuna", "random", "grid"]
    trials: int
    directions: tuple[Direction, ...]
    seed: int = 0

    def generation(self, tried: Sequence[Tried]) -> list[dict[str, Any]]:
        """The values of the next trials; none where the search is over.

        Random search and grids need no results, so that all their trials are one generation.

        Args:
            tried: Every trial of the generations before, from trial 0 on.
        """
        start = len(tried)
        end = min(self.trials, start + (GENERATION if self.method == "optuna" else self.trials))
        known = [dict(each.values) for each in tried]
        for number in range(start, end):
            values = self._suggest(number, known, tried)
            if values is None:
                break
            known.append(values)
        return known[start:]

    def _suggest(
        self, number: int, known: Sequence[Mapping[str, Any]], tried: Sequence[Tried]
    ) -> dict[str, Any] | None:
        if number == 0:
            return defaults_of(self.space)
        if not self.space:
            return None
        if self.method == "grid":
            return _first_new(grid_of(self.space), known)
        modelled = self._modelled(tried)
        for attempt in range(_ATTEMPTS):
            seed = derive_seed(self.seed, "trial", number, attempt)
            values = self._random(seed) if modelled is None else self._ask(modelled, seed)
            if values not in known:
                return values
        # Only a small space is so full that all draws were known.
        return _first_new(grid_of(self.space), known) if self._is_finite() else None

    def _is_finite(self) -> bool:
        counts = [None if each.values is None else len(each.values) for each in self.space]
        return None not in counts and math.prod(count or 1 for count in counts) <= 100_000

    def _random(self, seed: int) -> dict[str, Any]:
        random = np.random.default_rng(seed)
        return {dimension.name: _draw(dimension, random) for dimension in self.space}

    def _modelled(self, tried: Sequence[Tried]) -> "list[optuna.trial.FrozenTrial] | None":
        """What Optuna is told; None while too little is known."""
        if self.method != "optuna":
            return None
        inside = [
            each for each in tried if all(dimension.holds(each.values[dimension.name]) for dimension in self.space)
        ]
        if len(inside) < RANDOM_FIRST - 1 or all(each.objective is None for each in inside):
            return None
        return finished_trials(self.space, inside, self.directions)

    def _ask(self, modelled: "Sequence[optuna.trial.FrozenTrial]", seed: int) -> dict[str, Any]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=1, constant_liar=False)
        study = optuna.create_study(directions=optuna_directions(self.directions), sampler=sampler)
        study.add_trials(modelled)
        asked = study.ask({each.name: _distribution(each) for each in self.space}).params
        return {dimension.name: _from_optuna(dimension, asked[dimension.name]) for dimension in self.space}


def finished_trials(
    space: Space, tried: Sequence[Tried], directions: Sequence[Direction]
) -> "list[optuna.trial.FrozenTrial]":
    """Trials as Optuna has them; what failed or was stopped counts as the worst of the others.

    Args:
        space: All its dimensions hold all values.
        tried: At least one with an objective.
        directions: Per objective.
    """
    import optuna

    known = np.array([each.objective for each in tried if each.objective is not None])
    worst = [min(column) if way == "higher" else max(column) for column, way in zip(known.T, directions, strict=True)]
    return [
        optuna.trial.create_trial(
            params={each.name: _to_optuna(each, trial.values[each.name]) for each in space},
            distributions={each.name: _distribution(each) for each in space},
            values=[float(number) for number in trial.objective or worst],
        )
        for trial in tried
    ]


def optuna_directions(directions: Sequence[Direction]) -> list[Literal["minimize", "maximize"]]:
    """In Optuna's words."""
    return ["maximize" if way == "higher" else "minimize" for way in directions]


def _distribution(dimension: Dimension) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.kind == "choice":
        return CategoricalDistribution(tuple(range(len(dimension.choices))))
    low, high = dimension.bounds
    if dimension.values is not None:
        low, high = dimension.values[0], dimension.values[-1]
    if dimension.kind == "int":
        return IntDistribution(int(low), int(high), step=int(dimension.step or 1))
    return FloatDistribution(low, high, step=dimension.step, log=dimension.log)


def _to_optuna(dimension: Dimension, value: Any) -> Any:
    """Choices by their place: Optuna takes numbers and texts alone."""
    return dimension.choices.index(value) if dimension.kind == "choice" else value


def _from_optuna(dimension: Dimension, value: Any) -> Any:
    if dimension.kind == "choice":
        return dimension.choices[value]
    return int(value) if dimension.kind == "int" else _rounded(dimension, float(value))


def _draw(dimension: Dimension, random: np.random.Generator) -> Any:
    if dimension.values is not None:
        return dimension.values[int(random.integers(len(dimension.values)))]
    low, high = dimension.bounds
    if dimension.log:
        return _rounded(dimension, math.exp(random.uniform(math.log(low), math.log(high))))
    return _rounded(dimension, random.uniform(low, high))


def _rounded(dimension: Dimension, value: float) -> float:
    """To as many digits as matter and people can read, within the range."""
    low, high = dimension.bounds
    if dimension.values is not None:
        return float(min(dimension.values, key=lambda known: abs(known - value)))
    return min(max(float(f"{value:.{_DIGITS}g}"), low), high)


def _first_new(candidates: Sequence[dict[str, Any]], known: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    return next((each for each in candidates if each not in known), None)


__all__ = ["GENERATION", "Direction", "Search", "Tried", "finished_trials", "optuna_directions"]
