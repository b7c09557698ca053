"""From a study's scores to its tables and verdict."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from unifocal.metrics import METRICS
from unifocal.problems import bad_input
from unifocal.statistics.agreement import agreement_table
from unifocal.statistics.components import separate, variance_table
from unifocal.statistics.notes import notes, population
from unifocal.statistics.omnibus import omnibus
from unifocal.statistics.pooled import count_undefined, pool
from unifocal.statistics.power import power_table
from unifocal.statistics.result import Analysis, Departure
from unifocal.statistics.retraining import retrained_pairs
from unifocal.statistics.sheets import Sheet, build_sheets, clean, comparable, loss_order, rarest_label
from unifocal.statistics.standing import SIGNIFICANCE, Evidence
from unifocal.statistics.tables import describe, margin_of, rank_losses
from unifocal.statistics.verdict import reach_verdict


def analyse(
    scores: pd.DataFrame,
    *,
    metric: str = "dice",
    label: int | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    order: Sequence[str] | None = None,
    margin: float | None = None,
    noun: str = "loss",
    left: Sequence[Departure] = (),
) -> Analysis:
    """Summarise, compare and rank the losses of a study.

    A patient's value is the mean over that patient's cases and seeds, a loss's mean the mean over
    patients. Intervals are bootstrap intervals over patients, every loss and difference on the
    same resamples. Each pair of losses is compared on the patients who have both values, by a
    permutation test of the mean and the signed ranks together, with Holm's correction over the pairs of
    one metric and label; where networks were trained repeatedly, a difference must also exceed what
    repeated trainings explain. A score that is undefined is left out and counted.

    Args:
        scores: One row per score: `loss, fold, seed, case, patient, label, metric, value, unit` and
            perhaps `reason`; an undefined value is missing.
        metric: What the ranking and the verdict rest on: a name in `METRICS` that has a direction.
        label: Which label they rest on. When None, the one that the losses who left a race were judged by, and without
            any, the one with the fewest elements in the truth.
        resamples: The number of bootstrap resamples.
        seed: Of the bootstrap and of the permutations.
        order: The losses in the order in which tables show them; the verdict does not depend on it.
        margin: The largest difference in `metric` that counts as none, in its unit. When None,
            the metric's own, if it has one.
        noun: What is compared, for the sentences: `loss` or `method`.
        left: Who left a race. They are compared pair by pair on the patients that they were scored on, but not ranked.

    Raises:
        InputError: If the scores cannot be analysed, or lack the metric or the label.
        ValueError: If `resamples` or `margin` is not above 0.
    """
    _check(resamples, margin)
    scores = clean(scores)
    losses = loss_order(scores, order)
    sheets = build_sheets(scores, losses)
    judged = label if label is not None or not left else left[0].label
    primary = _primary(scores, sheets, metric, judged)
    is_repeated = scores["seed"].nunique() > 1
    is_primary = (scores["metric"] == metric) & (scores["label"] == primary.label)
    trainings = separate(scores if is_repeated else scores[is_primary], losses)
    margins = {sheet.metric: margin_of(sheet.metric, margin if sheet.metric == metric else None) for sheet in sheets}
    summary, comparison = describe(sheets, resamples, seed, margins, retrained_pairs(sheets, trainings))
    left = [each for each in left if each.loss in losses]
    ranked = comparable(primary, [each.loss for each in left])
    ranking, rank_shares = rank_losses(ranked, resamples, seed)
    evidence = Evidence(
        metric=METRICS[metric],
        label=primary.label,
        unit=primary.unit,
        ranking=ranking,
        comparison=comparison[(comparison["metric"] == metric) & (comparison["label"] == primary.label)],
        n=int(np.isfinite(ranked.values).any(axis=1).sum()),
        population=population(scores),
        noun=noun,
        margin=margins[metric],
        n_labels=int(scores["label"].nunique()),
        notes=tuple(notes(scores, primary, ranked, label, order, noun, [each.loss for each in left])),
        left=tuple(left),
    )
    best, second = (*ranking["loss"], None, None)[:2]
    return Analysis(
        summary=summary,
        pooled=pool(scores, losses),
        comparison=comparison,
        ranking=ranking,
        verdict=reach_verdict(evidence),
        undefined=count_undefined(scores, losses),
        rank_shares=rank_shares,
        omnibus=omnibus(ranked),
        variance=variance_table(trainings[primary.label, metric], losses, (best, second) if second else None),
        power=power_table(ranked, best, SIGNIFICANCE / max(1, evidence.n_pairs)),
        agreement=agreement_table(scores, losses),
        resamples=resamples,
        n_ranked=evidence.n,
        left=tuple(left),
    )


def _check(resamples: int, margin: float | None) -> None:
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; expected 1 or more")
    if margin is not None and not margin > 0:
        raise ValueError(f"margin is {margin}; expected a number above 0")


def _primary(scores: pd.DataFrame, sheets: list[Sheet], metric: str, label: int | None) -> Sheet:
    usable = sorted({sheet.metric for sheet in sheets if sheet.sign})
    if metric not in usable:
        what = f"there are no scores of {metric!r} to rank losses by"
        raise bad_input("metric", what, f"Choose one of: {', '.join(usable) or 'none here'}")
    by_label = {sheet.label: sheet for sheet in sheets if sheet.metric == metric}
    if label is None:
        label = rarest_label(scores, list(by_label))
    if label not in by_label:
        known = ", ".join(map(str, by_label))
        raise bad_input("label", f"there are no scores of label {label}", f"Choose one of: {known}")
    return by_label[label]
