"""What a search asks for, checked before anything is trained."""

from collections.abc import Sequence

from unifocal.config.schema import LossConfig, NetworkConfig, TrainingConfig
from unifocal.config.sections import SearchedConfig, TuningConfig
from unifocal.data.splits import Fold
from unifocal.experiments.conclude import metric_problems
from unifocal.experiments.tuning.search import Direction
from unifocal.experiments.tuning.space import OF_THE_LOSS, Space, defaults_of, grid_of, space_for
from unifocal.metrics import METRICS
from unifocal.problems import InputError, Problem, raise_if_any


def tuning_problems(
    losses: Sequence[LossConfig],
    tuning: TuningConfig,
    training: TrainingConfig,
    network: NetworkConfig,
    folds: Sequence[Fold] = (),
) -> list[Problem]:
    """What is wrong with the tuning that is asked for.

    Args:
        losses: That are tuned. A setting that is searched must be one of at least one of them.
        tuning: How.
        training: As given.
        network: As given.
        folds: The outer folds, where they are known: each needs patients enough for inner folds.
    """
    problems = [each for metric in tuning.objective for each in metric_problems(metric, "tuning.objective")]
    spaces: list[Space] = []
    for loss in losses:
        try:
            space = space_for(loss, _searched_of(loss, losses, tuning, training, network), training, network)
        except InputError as error:
            problems += error.problems
            continue
        spaces.append(space)
        problems += _grid_problems(space, tuning)
    if losses and len(spaces) == len(losses) and not any(spaces):
        named = ", ".join(loss.label for loss in losses)
        what = f"{named}: nothing to search, no parameter is free that the catalogue knows a range of"
        problems.append(Problem("--over", what, "Name what to search: --over learning_rate,epochs."))
    seen = [len(fold.train) + len(fold.validation) for fold in folds]
    # As `draw_folds` wants it: somebody to test on in every inner fold, and two others.
    few = [number for number, n in enumerate(seen) if n < tuning.inner_folds or n - -(-n // tuning.inner_folds) < 2]
    if few:
        what = f"is {tuning.inner_folds}, too many for the {seen[few[0]]} that fold {few[0]} trains and validates on"
        problems.append(Problem("tuning.inner_folds", what, "Give fewer inner folds, or fewer folds."))
    return list(dict.fromkeys(problems))


def spaces_of(
    losses: Sequence[LossConfig], tuning: TuningConfig, training: TrainingConfig, network: NetworkConfig
) -> dict[str, Space]:
    """What is searched of each loss, by its label; a loss may have nothing where another has.

    Raises:
        InputError: With everything that is wrong; see `tuning_problems`.
    """
    raise_if_any(tuning_problems(losses, tuning, training, network))
    return {
        loss.label: space_for(loss, _searched_of(loss, losses, tuning, training, network), training, network)
        for loss in losses
    }


def directions_of(tuning: TuningConfig) -> tuple[Direction, ...]:
    """Per objective, what is better."""
    known = [METRICS[metric].direction for metric in tuning.objective]
    return tuple(direction for direction in known if direction is not None)


def trials_of(tuning: TuningConfig, space: Space) -> int:
    """How many trials there are, with trial 0: as asked; of a grid all points, unless a number was asked for."""
    if tuning.search != "grid" or "trials" in tuning.model_fields_set:
        return tuning.trials
    return _size_of_grid(space)


def _size_of_grid(space: Space) -> int:
    """All points, and the settings as given where they are none of them."""
    defaults = defaults_of(space)
    return 1 + sum(point != defaults for point in grid_of(space))


def _grid_problems(space: Space, tuning: TuningConfig) -> list[Problem]:
    needed = _size_of_grid(space) if tuning.search == "grid" else 0
    if needed <= tuning.trials or "trials" not in tuning.model_fields_set:
        return []
    what = f"is {tuning.trials}, and the grid with the settings as given has {needed} points"
    return [Problem("--trials", what, f"Give {needed}, or larger steps.")]


def _searched_of(
    loss: LossConfig,
    losses: Sequence[LossConfig],
    tuning: TuningConfig,
    training: TrainingConfig,
    network: NetworkConfig,
) -> list[SearchedConfig]:
    """What is searched of one loss among several: what only others have is left out."""

    def has(other: LossConfig, item: SearchedConfig) -> bool:
        try:
            space_for(other, [item], training, network)
        except InputError:
            return False
        return True

    return [
        item
        for item in tuning.over
        if item.name == OF_THE_LOSS or has(loss, item) or not any(has(other, item) for other in losses)
    ]
