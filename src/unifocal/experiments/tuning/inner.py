"""Inner folds: the patients that tuning may see, dealt anew; nobody else takes part."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from unifocal.data.case import Case
from unifocal.data.split_plan import unit_of
from unifocal.data.splits import Fold, draw_folds, people_of
from unifocal.experiments.folder import RunKey
from unifocal.experiments.run import RunTask
from unifocal.training.seeds import derive_seed


def deal(
    cases: Sequence[Case],
    shares: Sequence[float],
    allowed: Collection[str],
    *,
    folds: int,
    by: str,
    validation_share: float,
    seed: int,
) -> tuple[Fold, ...]:
    """Deal those that may be seen to inner folds: every one is tested on once.

    Args:
        cases: All cases.
        shares: Per case, its foreground share, in which folds are made alike.
        allowed: Patients, or cases where the split is over images.
        folds: How many.
        by: `patient` or `image`: what is dealt as a whole.
        validation_share: Of those that an inner fold does not test on, for choosing its best epoch.
        seed: Decides the draw.

    Raises:
        InputError: If there are too few of them.
    """
    seen = [(case, share) for case, share in zip(cases, shares, strict=True) if unit_of(case, by) in allowed]
    units = [unit_of(case, by) for case, _ in seen]
    people = people_of(units, [share for _, share in seen], [case.attributes for case, _ in seen])
    drawn = derive_seed(seed, "inner folds")
    return draw_folds(people, folds=folds, validation_share=validation_share, seed=drawn)


def inner_runs(template: RunTask, folds: Sequence[Fold], by: str) -> tuple[RunTask, ...]:
    """A run per inner fold, of which little is kept.

    Args:
        template: Loss, network, training, seed and prepared cases of all.
        folds: Of patients, or of cases where the split is over images.
        by: `patient` or `image`.
    """
    places: dict[str, list[int]] = {}
    for index, case in enumerate(template.prepared.cases):
        places.setdefault(unit_of(case, by), []).append(index)

    def indices(members: Sequence[str]) -> tuple[int, ...]:
        return tuple(sorted(index for member in members for index in places[member]))

    return tuple(
        replace(
            template,
            key=RunKey(template.key.loss, number, template.key.seed),
            train=indices(fold.train),
            validation=indices(fold.validation),
            test=indices(fold.test),
            keeps_all=False,
        )
        for number, fold in enumerate(folds)
    )
