"""Figures of the statistics: agreement of sizes, critical differences, stability of ranks, sources of spread."""

from matplotlib.axes import Axes

from unifocal.reporting.drawn import Drawing, Words, panelled, single
from unifocal.reporting.figure import colours
from unifocal.reporting.plots_agreement import draw_agreement, limits_of, sizes_of
from unifocal.reporting.plots_ranking import draw_critical_difference, draw_rank_shares, draw_variance
from unifocal.reporting.study import StudyView
from unifocal.reporting.tables import SIGNIFICANT, metric_title
from unifocal.reporting.wording import capital, count, in_print, number, p_value, plural, share, signed
from unifocal.statistics.result import Analysis

FEWEST_TO_RANK = 3


def agreement(study: StudyView, analysis: Analysis) -> Drawing | None:
    """Bland and Altman's plot, a panel per loss."""
    label, table = analysis.verdict.label, analysis.agreement
    chosen = table[table["label"] == label].dropna(subset="bias") if len(table) else table
    if chosen.empty:
        return None
    kind, unit = str(chosen.iloc[0]["metric"]), in_print(str(chosen.iloc[0]["unit"]))
    size = "volume" if "volume" in kind else "area"
    cases = sizes_of(study.values(f"{size}_truth", label), study.values(f"{size}_prediction", label))
    by_loss = {str(row["loss"]): row for row in chosen.to_dict("records")}
    shown = {loss: colour for loss, colour in colours(study.losses).items() if loss in by_loss}
    if cases.empty or not shown:
        return None
    horizontal, vertical = limits_of(cases, chosen)

    def draw(axes: Axes, loss: str, colour: str) -> None:
        draw_agreement(axes, cases[cases["loss"] == loss], by_loss[loss], colour, unit)
        axes.set(xlim=horizontal, ylim=vertical)

    words = Words(
        title=f"Predicted against true {size}",
        caption=(
            f"Bland and Altman's plot: predicted minus true {size} of each case against the mean of both (n = "
            f"{count(cases['case'].nunique(), 'case')}). Solid: the mean difference (bias), shaded its 95 % interval. "
            "Dashed: the limits between which 95 % of the differences are expected. Above zero: predicted too large."
        ),
        alt=f"Bias and limits of agreement in {unit}: "
        + "; ".join(
            f"{loss} {signed(float(row['bias']), 2)}, {signed(float(row['limit_lower']), 2)} to "
            f"{signed(float(row['limit_upper']), 2)}"
            for loss, row in by_loss.items()
        )
        + ".",
        section="agreement",
    )
    return panelled("bland_altman", words, shown, draw)


def critical_difference(study: StudyView, analysis: Analysis) -> Drawing | None:
    """The critical difference diagram, where there are three losses or more to rank."""
    found = analysis.omnibus
    if found is None or len(found.mean_ranks) < FEWEST_TO_RANK or found.mean_ranks["mean_rank"].isna().any():
        return None
    ranks = [(str(row["loss"]), float(row["mean_rank"])) for row in found.mean_ranks.to_dict("records")]
    no_difference = "" if found.p < SIGNIFICANT else ", so by this test no difference at all is shown"
    words = Words(
        title="Mean ranks and what they can tell apart",
        caption=(
            f"Critical difference diagram (Demšar 2006) of {metric_title(analysis.verdict.metric)}: mean rank of each "
            f"{study.noun} over {count(found.n_patients, 'patient')}, best at the left. A bar joins "
            f"{plural(study.noun)} whose mean ranks differ by less than the critical difference of the "
            f"{found.post_hoc} test at 5 %: these cannot be told apart by rank. {found.test}: p "
            f"{'' if found.p < 0.001 else '= '}{p_value(found.p)}{no_difference}. The verdict rests on the pairwise "
            "tests."
        ),
        alt=f"Mean ranks: {'; '.join(f'{loss} {rank:.2f}' for loss, rank in ranks)}. Critical difference "
        f"{number(found.critical_difference, 2)}. Not told apart: "
        + ("; ".join(", ".join(group) for group in found.groups if len(group) > 1) or "none")
        + ".",
        section="ranking",
    )
    return single("critical_difference", words, draw_critical_difference(found, colours(study.losses)))


def rank_shares(study: StudyView, analysis: Analysis) -> Drawing | None:
    """How often each loss took each rank under the bootstrap."""
    shares = analysis.rank_shares.dropna(subset="share") if len(analysis.rank_shares) else analysis.rank_shares
    order = [str(loss) for loss in analysis.ranking["loss"]]
    if shares.empty or len(order) < 2 or analysis.n_ranked < 2:
        return None
    first = {str(row["loss"]): float(row["share"]) for row in shares.to_dict("records") if int(row["rank"]) == 1}
    words = Words(
        title="How stable the ranking is",
        caption=(
            "The share in % of bootstrap resamples of the patients (n = "
            f"{count(analysis.n_ranked, 'patient')}) in which each {study.noun} took each rank by its mean. "
            "One strong field per row: a stable rank. A row of equal fields: any rank is possible."
        ),
        alt=f"Rank 1 in: {'; '.join(f'{loss} {share(first.get(loss, 0.0))}' for loss in order)} of the resamples.",
        section="ranking",
    )
    return single("rank_stability", words, draw_rank_shares(shares, order, colours(study.losses)))


def variance(study: StudyView, analysis: Analysis) -> Drawing | None:
    """Where the spread of the main metric comes from, where the study's design can tell."""
    table = analysis.variance
    known = table.dropna(subset="share") if len(table) else table
    found = [str(loss) for loss in known["loss"].unique()] if len(known) else []
    # The difference of the two best stands last, for it is what a ranking rests on.
    losses = [loss for loss in study.losses if loss in found] + [name for name in found if name not in study.losses]
    if not losses or known["component"].nunique() < 2:
        return None
    said = []
    for loss in losses:
        rows = known[known["loss"] == loss].to_dict("records")
        parts = ", ".join(f"{row['component']} {share(float(row['share']))}" for row in rows)
        said.append(f"{loss}: {parts}")
    noted = table[["component", "note"]].drop_duplicates().to_dict("records")
    notes = "; ".join(f"{row['component']}: {row['note']}" for row in noted if row["note"])
    words = Words(
        title=f"Where the spread of {metric_title(analysis.verdict.metric)} comes from",
        caption=(
            "How the variance of the scores divides: between patients, between folds, between repeated trainings "
            "(seeds), and the rest. A wide share of the seeds means that training again may change the order."
            + (" The last row is the difference of the two best." if losses[-1] not in study.losses else "")
            + (f" {capital(notes)}." if notes else "")
        ),
        alt=f"Shares of the variance. {'; '.join(said)}.",
        section="ranking",
    )
    return single("variance", words, draw_variance(known, losses))
