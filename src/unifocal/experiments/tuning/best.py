"""Which trial is the best: by one objective, or by several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from unifocal.experiments.tuning.engine import objective_of
from unifocal.experiments.tuning.search import Direction

RULE = "on the Pareto front, the trial with the lowest mean of its ranks by each objective"


@dataclass(frozen=True)
class Best:
    """What a search found.

    Attributes:
        best: The number of the best trial; None where none was finished.
        pareto: The trials that no other beats in one objective and equals in the rest; of one objective, the best.
    """

    best: int | None
    pareto: tuple[int, ...]


def best_of(records: Sequence[Mapping[str, Any]], objectives: Sequence[str], directions: Sequence[Direction]) -> Best:
    """The best of the finished trials; of equal ones the first, so that settings as given stay where nothing is gained.

    Of several objectives: all finished trials are ranked by each, equal ones sharing their rank, and of those on the
    Pareto front the lowest mean rank wins. (Ranks among the front alone would tell nothing: of two objectives, one's
    order is the other's reversed.)

    Args:
        records: Of the trials.
        objectives: The metrics.
        directions: Per objective, what is better.
    """
    found = [(int(record["trial"]), objective_of(record, objectives)) for record in records]
    done = sorted((trial, objective) for trial, objective in found if objective is not None)
    if not done:
        return Best(None, ())
    signs = np.array([-1.0 if way == "higher" else 1.0 for way in directions])
    costs = np.array([objective for _, objective in done]) * signs
    front = [
        place
        for place, mine in enumerate(costs)
        if not any((other <= mine).all() and (other < mine).any() for other in costs)
    ]
    ranks = np.mean([rankdata(column) for column in costs.T], axis=0)
    trials = [done[place][0] for place in front]
    best = trials[int(np.argmin(ranks[front]))]
    return Best(best, (best,) if len(objectives) == 1 else tuple(trials))
