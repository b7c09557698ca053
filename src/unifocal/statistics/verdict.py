"""The verdict: which loss did best, said no louder than the data allow."""

from unifocal.statistics.result import Verdict
from unifocal.statistics.standing import Evidence, stand
from unifocal.statistics.words import explain, sentence_of, why_this_test


def reach_verdict(evidence: Evidence) -> Verdict:
    """Say which loss did best on the primary metric, and whether the data can tell.

    A loss counts as better than another when Holm's adjusted p of the paired test is below 0.05 and
    the mean favours it, and with it the ranks or an interval of the mean difference without zero; as
    practically as good when the 90 % interval of the difference lies within the margin.
    """
    standing = None if evidence.ranking.empty else stand(evidence)
    tested = evidence.comparison["p_flips"].notna()
    tests = sorted(evidence.comparison.loc[tested, "test"], key=lambda test: (test.startswith("none"), test))
    return Verdict(
        sentence=sentence_of(evidence, standing),
        explanation=explain(evidence, standing),
        metric=evidence.metric.name,
        label=evidence.label,
        best=standing.best if standing else None,
        told_apart=standing.told_apart if standing else (),
        not_told_apart=standing.not_told_apart if standing else (),
        equivalent=tuple(loss for loss in standing.equivalent if loss in standing.not_told_apart) if standing else (),
        margin=evidence.margin,
        test=tests[0] if tests else "",
        why=why_this_test(evidence) if tests else "",
        left=tuple(each.loss for each in evidence.left),
    )
