"""What an analysis of a study's scores found, as data that the report only has to say."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Verdict:
    """Which loss did best, and how far the data carry that statement.

    Attributes:
        sentence: The verdict in one plain sentence.
        explanation: How it was reached (test, correction, number of patients), in plain sentences.
        metric: The metric it rests on, for instance `dice`.
        label: The label it rests on (the integer in the masks).
        best: The loss with the best mean; None when no loss could be scored.
        told_apart: The losses that `best` is distinguishably better than, best first.
        not_told_apart: The losses that `best` cannot be told apart from, best first.
    """

    sentence: str
    explanation: str
    metric: str
    label: int
    best: str | None
    told_apart: tuple[str, ...]
    not_told_apart: tuple[str, ...]


@dataclass(frozen=True)
class Analysis:
    """Everything that is derived from `scores.csv`.

    Attributes:
        summary: One row per loss, label and metric: `loss, label, metric, unit, mean, lower, upper,
            n_cases, n_patients, n_undefined`. The mean over patients of each patient's mean; a 95 %
            bootstrap interval, NaN where there is one patient only. `n_cases` and `n_patients`
            count those with a defined value, `n_undefined` the scores that are not.
        pooled: One row per loss, label and metric: `loss, label, metric, value, n_cases`, from the
            pixels of all cases together (no patient weighs the same as another; no interval).
        comparison: One row per pair of losses, label and metric with a direction: `label, metric,
            loss_a, loss_b, n_patients, difference, lower, upper, effect_size, test, p, p_adjusted,
            p_rank_sum`. Difference is a minus b; a positive effect size says that a's values are
            the larger. `p_rank_sum` is the unpaired, uncorrected test that papers often report.
        ranking: One row per loss for the primary metric and label, best first:
            `loss, mean, lower, upper, probability_best, mean_rank`, over the patients that every
            loss was scored on.
        verdict: The verdict on the primary metric.
    """

    summary: pd.DataFrame
    pooled: pd.DataFrame
    comparison: pd.DataFrame
    ranking: pd.DataFrame
    verdict: Verdict
