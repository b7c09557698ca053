"""How much each searched setting mattered for the objective."""

from collections.abc import Sequence

import pandas as pd

from unifocal.experiments.tuning.search import Direction, Tried, finished_trials, optuna_directions
from unifocal.experiments.tuning.space import Space

FEWEST_TRIALS = 8
_COLUMNS = ("dimension", "importance", "method")


def importance_table(
    space: Space, tried: Sequence[Tried], objectives: Sequence[str], directions: Sequence[Direction]
) -> pd.DataFrame:
    """All of `importance.csv`: the share of each dimension in the spread of the first objective.

    By functional ANOVA of a random forest (Hutter et al. 2014) where scikit-learn is there, else by PED-ANOVA
    (Watanabe et al. 2023), both Optuna's; the column `method` says which, or why there is none.

    Args:
        space: What was searched.
        tried: All trials; those without an objective, or with values outside of the space, are left out.
        objectives: The metrics.
        directions: Per objective.
    """
    usable = [
        Tried(each.values, each.objective[:1])
        for each in tried
        if each.objective is not None and all(dimension.holds(each.values[dimension.name]) for dimension in space)
    ]
    if len(usable) < FEWEST_TRIALS:
        method = f"none: {len(usable)} usable trials, at least {FEWEST_TRIALS} are needed"
    elif len(list(space)) == 1:
        method = "none: a single setting was searched"
    elif len({each.objective for each in usable}) == 1:
        method = f"none: every trial has the same {objectives[0]}"
    else:
        return _computed(space, usable, objectives[0], directions[:1])
    return pd.DataFrame([(dimension.name, None, method) for dimension in space], columns=list(_COLUMNS))


def _computed(space: Space, usable: Sequence[Tried], objective: str, directions: Sequence[Direction]) -> pd.DataFrame:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=optuna_directions(directions))
    study.add_trials(finished_trials(space, usable, directions))
    try:
        shares = optuna.importance.get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
        name = "fANOVA"
    except ImportError:
        shares = optuna.importance.get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        name = "PED-ANOVA"
    method = f"{name} (Optuna {optuna.__version__}) of {objective}"
    rows = [(dimension.name, round(float(shares.get(dimension.name, 0.0)), 6), method) for dimension in space]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).sort_values("importance", ascending=False, kind="stable")
