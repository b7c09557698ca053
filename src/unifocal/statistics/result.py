"""What an analysis of a study's scores found, as data that the report only has to say."""

from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Departure:
    """A loss that left a race: clearly worse than another one before all rounds were done.

    Attributes:
        loss: Who left.
        round: The last round that it took part in, from 0.
        rounds: How many rounds the race was to have.
        against: The loss that it was worse than: of those, the one with the best mean.
        difference: Of the means over the patients that both were scored on, itself minus the other.
        p: Of the test of that difference.
        threshold: What p had to stay at or below at that look.
        patients: How many both were scored on.
        label: Which label's scores decided.
    """

    loss: str
    round: int
    rounds: int
    against: str
    difference: float
    p: float
    threshold: float
    patients: int
    label: int


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
        equivalent: Those of `not_told_apart` that the data show to be practically as good as
            `best`: the difference lies within `margin` by two one-sided tests at 5 %.
        margin: The largest difference of means that counts as none, in the metric's unit.
        test: The test that it rests on.
        why: Why this test, in one plain sentence.
        left: The losses that left the race before its end, which are neither ranked nor compared with `best` here.
    """

    sentence: str
    explanation: str
    metric: str
    label: int
    best: str | None
    told_apart: tuple[str, ...]
    not_told_apart: tuple[str, ...]
    equivalent: tuple[str, ...] = ()
    margin: float = float("nan")
    test: str = ""
    why: str = ""
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Omnibus:
    """Friedman's test of all losses at once and its post-hoc comparison, on the primary metric.

    Attributes:
        test: Its name and form.
        statistic: Friedman's chi-squared (or the F of Iman and Davenport, as `test` says).
        p: Whether any loss differs.
        n_patients: The patients with a value under every loss.
        post_hoc: The name of the post-hoc test (Nemenyi).
        critical_difference: The difference of mean ranks that it takes at 5 %.
        mean_ranks: One row per loss, best first: `loss, mean_rank`.
        pairs: One row per pair: `loss_a, loss_b, p`.
        groups: Maximal runs of losses, by mean rank, within which none differs by the critical difference.
    """

    test: str
    statistic: float
    p: float
    n_patients: int
    post_hoc: str
    critical_difference: float
    mean_ranks: pd.DataFrame
    pairs: pd.DataFrame
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Analysis:
    """Everything that is derived from `scores.csv`.

    Attributes:
        summary: One row per loss, label and metric: `loss, label, metric, unit, mean, sd, lower, upper,
            lower_bca, upper_bca, lower_percentile, upper_percentile, n_cases, n_patients, n_undefined`. The mean and
            the standard deviation over patients of each patient's mean; a 95 % interval (on either side the outer
            bound of the BCa bootstrap and Student's t), NaN where there is one patient only, and the plain BCa and
            percentile intervals for comparison. `n_cases` and `n_patients` count those with a defined value,
            `n_undefined` the scores that are not.
        undefined: One row per loss, label, metric and reason: `loss, label, metric, reason, n_scores, n_patients`.
        pooled: One row per loss, label and metric: `loss, label, metric, value, n_cases`, from the pixels, and for
            the lesion metrics the lesions, of all cases together (no patient weighs the same as another; no interval).
        comparison: One row per pair of losses, label and metric with a direction: `label, metric, loss_a, loss_b,
            n_patients, difference, lower, upper, lower_bca, upper_bca, lower_percentile, upper_percentile,
            lower_retrained, upper_retrained, effect_size, cohen_d, test, p, p_adjusted, p_flips, p_retrained,
            p_signed_rank, p_permutation, p_sign, p_rank_sum, probability_a_better, probability_equivalent,
            is_equivalent`. Difference is a minus b; a positive effect size (matched-pairs rank-biserial) or `cohen_d`
            (paired) says that a's values are the larger. `p`, corrected by Holm in `p_adjusted`, is what the verdict
            rests on: `p_flips`, the permutation test of the mean and the signed ranks together, and where networks were
            trained repeatedly the larger of it and `p_retrained`, a t test that counts the trainings' variance (its
            interval: `lower_retrained, upper_retrained`). Beside it the signed-rank test, the permutation test of the
            mean and the sign test; `p_rank_sum` is the unpaired, uncorrected test that papers often report. The
            probabilities are shares of bootstrap resamples; equivalent: within the metric's margin, which
            `is_equivalent` says with 95 % confidence (two one-sided tests).
        ranking: One row per loss that did not leave the race, for the primary metric and label, best first: `loss,
            mean, lower, upper, probability_best, mean_rank, rank_lower, rank_upper`, over the patients that every
            loss was scored on; the last two are the 95 % range of its rank by mean under the bootstrap.
        rank_shares: One row per loss and rank by mean: `loss, rank, share` of the bootstrap resamples.
        omnibus: Friedman's test; None with fewer than three losses or two patients.
        variance: Where the primary metric's spread comes from, one row per loss and component:
            `loss, component, sd, share, note`; components `patient`, `fold`, `seed`, `rest`. NaN with a note where the
            study's design cannot tell. The last rows are of the difference of the two best, named `first - second`.
        power: How many patients a difference in the primary metric would need, the best loss against each other:
            `loss_a, loss_b, sd_difference, difference, is_observed, power, level, n_patients`; infinity for no
            difference, NaN for no spread. `level`: after Bonferroni's correction for the number of pairs.
        agreement: Bland and Altman's figures of predicted against true size, one row per loss and label: `loss,
            label, metric (area or volume), unit, n_cases, n_patients, bias, bias_lower, bias_upper, limit_lower,
            limit_lower_lower, limit_lower_upper, limit_upper, limit_upper_lower, limit_upper_upper`: the bias with its
            95 % interval, and the limits between which 95 % of single cases are expected, each with its own.
        verdict: The verdict on the primary metric.
        resamples: Of the bootstrap.
        n_ranked: The patients (or cases) that `ranking` rests on.
        left: Who left the race; their means in `summary` and `pooled` are over fewer patients than the others'.
    """

    summary: pd.DataFrame
    pooled: pd.DataFrame
    comparison: pd.DataFrame
    ranking: pd.DataFrame
    verdict: Verdict
    undefined: pd.DataFrame = field(default_factory=pd.DataFrame)
    rank_shares: pd.DataFrame = field(default_factory=pd.DataFrame)
    omnibus: Omnibus | None = None
    variance: pd.DataFrame = field(default_factory=pd.DataFrame)
    power: pd.DataFrame = field(default_factory=pd.DataFrame)
    agreement: pd.DataFrame = field(default_factory=pd.DataFrame)
    resamples: int | None = None
    n_ranked: int = 0
    left: tuple[Departure, ...] = ()
