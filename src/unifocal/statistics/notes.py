"""What a reader of the verdict must know of the scores behind it."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unifocal.statistics.sheets import Sheet


def population(scores: pd.DataFrame) -> str:
    """What is counted: `cases` where every case is its own patient, else `patients`."""
    alone = (scores["patient"].astype(str) == scores["case"].astype(str)).all()
    return "cases" if alone else "patients"


def notes(
    scores: pd.DataFrame,
    primary: Sheet,
    ranked: Sheet,
    label: int | None,
    order: Sequence[str] | None,
    noun: str,
    left: Sequence[str] = (),
) -> Iterator[str]:
    """Sentences on labels, missing runs, undefined scores and single trainings.

    Args:
        scores: All of the study.
        primary: The primary metric and label.
        ranked: The part of it that is ranked.
        label: The label that the user named, if any.
        order: The losses that the user named, if any.
        noun: What is compared: `loss` or `method`.
        left: The losses that left a race.
    """
    labels = sorted(scores["label"].unique())
    if label is None and len(labels) > 1:
        when = " of the race's first round, by which losses left it" if left else ""
        yield (
            f"Of the labels {', '.join(map(str, labels))} the verdict rests on {primary.label}, the "
            f"one with the fewest elements in the truth{when}."
        )
    wanted = dict.fromkeys((*(order or ()), *primary.losses))
    unscored = [loss for loss in wanted if loss not in (*ranked.losses, *left)]
    if unscored:
        yield f"Without any defined score, and so not ranked: {', '.join(unscored)}."
    shown = [primary.losses.index(loss) for loss in ranked.losses]
    scored = primary.scored[:, shown]
    if scored.any(axis=1).sum() > scored.all(axis=1).sum():
        yield _unequal(scored, len(ranked.patients), noun)
    uneven = sum(not cells.scored[:, shown].all() for row, cells in primary.uneven.items() if scored[row].all())
    if uneven:
        missing = "runs are missing" if noun == "loss" else "files are missing"
        yield (
            f"Of {uneven} of {len(primary.patients)} {population(scores)} not every {noun} was scored on the same "
            f"cases ({missing}): the ranking rests on those that all were scored on, each pair on those that both were."
        )
    n_undefined = int(primary.n_undefined.sum())
    if n_undefined:
        yield f"{n_undefined} scores are undefined and left out."
    defined = np.isfinite(ranked.values)
    n_partly = int((defined.any(axis=1) & ~defined.all(axis=1)).sum())
    if n_partly:
        yield (
            f"On {n_partly} of {int(defined.any(axis=1).sum())} {population(scores)} only some were defined: each mean "
            "rests on its own, but pairs are compared where both are defined."
        )
    if ranked.losses and noun == "loss" and scores["seed"].nunique() == 1:
        yield (
            "Every network was trained once: how much a repeated training would change the scores "
            "is not in these intervals."
        )


def _unequal(scored: NDArray[np.bool_], n_ranked: int, noun: str) -> str:
    missing = "runs are missing" if noun == "loss" else "files are missing"
    if scored.all(axis=1).any():
        return (
            f"Not every {noun} was scored on everyone ({missing}): the ranking rests on the "
            f"{n_ranked} of {len(scored)} that all were scored on."
        )
    return f"Nobody was scored with every {noun} ({missing}): the means are not comparable."
