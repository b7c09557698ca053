"""From a study's scores to its tables and verdict."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unifocal.metrics import METRICS
from unifocal.problems import bad_input
from unifocal.statistics.result import Analysis
from unifocal.statistics.sheets import Sheet, build_sheets, clean, comparable, loss_order
from unifocal.statistics.tables import describe, pool, rank_losses
from unifocal.statistics.verdict import Evidence, reach_verdict


def analyse(
    scores: pd.DataFrame,
    *,
    metric: str = "dice",
    label: int | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    order: Sequence[str] | None = None,
) -> Analysis:
    """Summarise, compare and rank the losses of a study.

    A patient's value is the mean over that patient's cases and seeds, a loss's mean the mean over
    patients. Intervals are BCa bootstrap intervals over patients, every loss and difference on the
    same resamples. Each pair of losses is compared on the patients who have both values, by
    Wilcoxon's signed-rank test with Holm's correction over the pairs of one metric and label. A
    score that is undefined is left out and counted.

    Args:
        scores: One row per score: `loss, fold, seed, case, patient, label, metric, value, unit`; an
            undefined value is missing.
        metric: What the ranking and the verdict rest on: a name in `METRICS` that has a direction.
        label: Which label they rest on. When None, the one with the fewest elements in the truth.
        resamples: The number of bootstrap resamples.
        seed: Of the bootstrap.
        order: The losses in the order in which tables show them; the verdict does not depend on it.

    Raises:
        InputError: If the scores cannot be analysed, or lack the metric or the label.
        ValueError: If `resamples` is not above 0.
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; expected 1 or more")
    scores = clean(scores)
    losses = loss_order(scores, order)
    sheets = build_sheets(scores, losses)
    primary = _primary(scores, sheets, metric, label)
    described = [describe(sheet, resamples, seed) for sheet in sheets]
    comparison = pd.concat([rows for _, rows in described], ignore_index=True)
    ranked = comparable(primary)
    ranking = rank_losses(ranked, resamples, seed)
    verdict = reach_verdict(
        Evidence(
            metric=METRICS[metric],
            label=primary.label,
            unit=primary.unit,
            ranking=ranking,
            comparison=described[sheets.index(primary)][1],
            n=int(np.isfinite(ranked.values).any(axis=1).sum()),
            population=_population(scores),
            notes=tuple(_notes(scores, primary, ranked, label, order)),
        )
    )
    summary = pd.concat([rows for rows, _ in described], ignore_index=True)
    return Analysis(summary, pool(scores, losses), comparison, ranking, verdict)


def _primary(scores: pd.DataFrame, sheets: list[Sheet], metric: str, label: int | None) -> Sheet:
    usable = sorted({sheet.metric for sheet in sheets if sheet.sign})
    if metric not in usable:
        what = f"there are no scores of {metric!r} to rank losses by"
        raise bad_input("metric", what, f"Choose one of: {', '.join(usable) or 'none here'}")
    by_label = {sheet.label: sheet for sheet in sheets if sheet.metric == metric}
    if label is None:
        label = _rarest_label(scores, list(by_label))
    if label not in by_label:
        known = ", ".join(map(str, by_label))
        raise bad_input("label", f"there are no scores of label {label}", f"Choose one of: {known}")
    return by_label[label]


def _rarest_label(scores: pd.DataFrame, labels: list[int]) -> int:
    in_truth = scores["metric"].isin(["true_positives", "false_negatives"])
    counted = scores[in_truth & scores["label"].isin(labels)]
    sizes = counted.groupby("label")["value"].sum()
    sizes = sizes[sizes > 0]
    return int(min(sizes.index, key=lambda label: sizes[label])) if len(sizes) else min(labels)


def _population(scores: pd.DataFrame) -> str:
    alone = (scores["patient"].astype(str) == scores["case"].astype(str)).all()
    return "cases" if alone else "patients"


def _notes(
    scores: pd.DataFrame,
    primary: Sheet,
    ranked: Sheet,
    label: int | None,
    order: Sequence[str] | None,
) -> Iterator[str]:
    labels = sorted(scores["label"].unique())
    if label is None and len(labels) > 1:
        yield (
            f"Of the labels {', '.join(map(str, labels))} the verdict rests on {primary.label}, the "
            "one with the fewest elements in the truth."
        )
    wanted = dict.fromkeys((*(order or ()), *primary.losses))
    unscored = [loss for loss in wanted if loss not in ranked.losses]
    if unscored:
        yield f"Without any defined score, and so not ranked: {', '.join(unscored)}."
    shown = [primary.losses.index(loss) for loss in ranked.losses]
    scored = primary.scored[:, shown]
    if scored.any(axis=1).sum() > scored.all(axis=1).sum():
        yield _unequal(scored, len(ranked.patients))
    n_undefined = int(primary.n_undefined.sum())
    if n_undefined:
        yield f"{n_undefined} scores are undefined and left out."
    if ranked.losses and scores["seed"].nunique() == 1:
        yield (
            "Every network was trained once: how much a repeated training would change the scores "
            "is not in these intervals."
        )


def _unequal(scored: NDArray[np.bool_], n_ranked: int) -> str:
    if scored.all(axis=1).any():
        return (
            f"Not every loss was scored on everyone (runs are missing): the ranking rests on the "
            f"{n_ranked} of {len(scored)} that all were scored on."
        )
    return "Nobody was scored with every loss (runs are missing): the means are not comparable."
