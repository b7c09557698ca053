"""The statistics in words fit for a paper, from what the analysis holds and nothing else."""

import math
from collections.abc import Iterator

from unifocal.metrics import METRICS
from unifocal.reporting.study import StudyView
from unifocal.reporting.tables import SIGNIFICANT, judged_metrics, metric_title
from unifocal.reporting.wording import capital, enumeration, in_print, plural
from unifocal.statistics.paired import FEWEST_PATIENTS
from unifocal.statistics.result import Analysis

BESIDE = {
    "p_signed_rank": "Wilcoxon's signed-rank test",
    "p_permutation": "a permutation test of the mean difference",
    "p_sign": "the sign test",
    "p_rank_sum": "the rank-sum test, which takes the patients of the two for different people and is what many papers "
    "report",
}


def statistics_passage(study: StudyView, analysis: Analysis) -> str:
    """How values were averaged, which intervals and tests were used and why, what counts as a difference."""
    return " ".join(
        [
            *_averages(study, analysis),
            *_tests(study, analysis),
            *_equivalence(analysis),
            *_together(study, analysis),
            *_other(study, analysis),
        ]
    )


def _averages(study: StudyView, analysis: Analysis) -> Iterator[str]:
    seeds = " and seeds" if study.scores["seed"].nunique() > 1 else ""
    yield f"A patient's value is the mean over that patient's images{seeds}, so that every patient weighs the same."
    if study.cases["patient"].nunique() < 2:
        yield "With one patient there is no interval."
        return
    resamples = analysis.resamples or study.setting("config", "resamples")
    drawn = f", {int(resamples):,} resamples" if resamples is not None else ""
    wider = ""
    if "lower_bca" in analysis.summary:
        wider = ", on either side widened to Student's t interval where that one reaches further"
    yield f"Intervals are 95 % bias-corrected and accelerated (BCa) bootstrap intervals over patients{drawn}{wider}."
    if study.kind == "study" and study.scores["seed"].nunique() == 1:
        yield "They reflect the choice of patients, not the chance in a network's training: each was trained once."


def _tests(study: StudyView, analysis: Analysis) -> Iterator[str]:
    comparison, nouns = analysis.comparison, plural(study.noun)
    tests = sorted({str(test) for test in comparison["test"].dropna()})
    if comparison.empty or not tests:
        return
    made = [test for test in tests if not test.startswith("none")]
    but = "; where all differences are zero, none was needed" if 0 < len(made) < len(tests) else ""
    how = enumeration(made or tests)
    yield f"Every pair of {nouns} was compared over the patients that both were scored on: {how}{but}."
    if analysis.verdict.why:
        yield f"{capital(analysis.verdict.why).rstrip('.')}."
    yield (
        f"P values were corrected for the number of pairs by Holm's method within each metric; below {SIGNIFICANT} "
        "counts as told apart. The effect size is the matched-pairs rank-biserial correlation (-1 to 1; positive: the "
        f"first {study.noun}'s values are larger)."
    )
    beside = [words for name, words in BESIDE.items() if name in comparison and comparison[name].notna().any()]
    if beside:
        yield f"Beside it, uncorrected and only for comparison: {enumeration(beside)}."


def _equivalence(analysis: Analysis) -> Iterator[str]:
    verdict, comparison = analysis.verdict, analysis.comparison
    if not math.isfinite(verdict.margin) or comparison.empty:
        return
    unit = METRICS[verdict.metric].unit if verdict.metric in METRICS else ""
    size = f"{verdict.margin:g}{' ' + in_print(unit) if unit else ''}"
    others: dict[float, list[str]] = {}
    for name in judged_metrics(comparison["metric"]):
        margin = METRICS[name].margin
        if margin is not None and name != verdict.metric:
            others.setdefault(margin, []).append(METRICS[name].title)
    yield (
        f"Two count as practically as good as each other in {metric_title(verdict.metric)} where the 90 % interval of "
        f"their difference lies within ±{size} (two one-sided tests at 5 %), on at least {FEWEST_PATIENTS} patients."
    )
    for margin, titles in others.items():
        yield f"The margin of {enumeration(titles)} is {margin:g}."


def _together(study: StudyView, analysis: Analysis) -> Iterator[str]:
    found = analysis.omnibus
    if found is not None:
        yield (
            f"All {plural(study.noun)} together were compared by the test of {found.test}, their mean ranks by the "
            f"{found.post_hoc} test (Demšar 2006); the verdict does not rest on these."
        )
    if len(analysis.ranking) > 1:
        yield (
            "The probability of being the best, and of each rank, is the share of bootstrap resamples in which "
            f"a {study.noun} had it."
        )


def _other(study: StudyView, analysis: Analysis) -> Iterator[str]:
    variance = analysis.variance
    if len(variance) and variance.dropna(subset="sd")["component"].nunique() > 1:
        yield (
            "Variance components are analysis-of-variance estimates with patients nested in folds and crossed with "
            "repeated trainings; negative ones count as none."
        )
    if len(analysis.power):
        powers = enumeration([f"{100 * float(power):.0f} %" for power in analysis.power["power"].dropna().unique()])
        yield (
            f"The patients needed are for {powers} power of a paired test at the corrected level, from the spread of "
            f"the paired differences in {metric_title(analysis.verdict.metric)} (normal approximation)."
        )
    if len(analysis.agreement):
        yield (
            "Limits of agreement follow Bland and Altman (1999)"
            + (" with a patient's images as repeated measurements." if _repeats(study) else ".")
        )


def _repeats(study: StudyView) -> bool:
    return bool(study.cases["patient"].duplicated().any())
