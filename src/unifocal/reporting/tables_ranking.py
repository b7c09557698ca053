"""Tables of what stands behind a ranking: Friedman's test, stability, sources of spread, patients needed, agreement."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from unifocal.reporting.table import Cell, Table
from unifocal.reporting.tables import (
    SIGNIFICANT,
    count_cell,
    decimals,
    label_words,
    metric_title,
    number_cell,
    p_cell,
    unit_of,
    with_unit,
)
from unifocal.reporting.wording import (
    ABSENT,
    capital,
    count,
    enumeration,
    interval,
    number,
    p_value,
    plural,
    share,
    signed,
)
from unifocal.statistics.result import Analysis

COMPONENTS = {"patient": "Patients", "fold": "Folds", "seed": "Seeds", "rest": "Rest"}


def mean_ranks_table(analysis: Analysis, noun: str = "loss") -> Table | None:
    """Friedman's test and the mean ranks, with letters for the losses that its post-hoc test cannot tell apart."""
    found = analysis.omnibus
    if found is None or found.mean_ranks.empty:
        return None
    letters = _letters(found.groups)
    rows = tuple(
        (str(row["loss"]), (number_cell(float(row["mean_rank"]), 2), Cell(letters.get(str(row["loss"]), ABSENT))))
        for row in found.mean_ranks.to_dict("records")
    )
    return Table(
        caption=(
            f"{capital(found.test)} on {metric_title(analysis.verdict.metric)} of "
            f"{count(found.n_patients, 'patient')}: statistic {number(found.statistic, 2)}, p {_p_words(found.p)}. "
            f"Rank 1 is best. {capital(found.post_hoc)} post-hoc test: mean ranks that differ by less than the "
            f"critical difference {number(found.critical_difference, 2)} cannot be told apart; such {plural(noun)} "
            "share a letter. The verdict rests on the pairwise tests, not on this."
        ),
        stub=capital(noun),
        columns=("Mean rank", "Groups"),
        rows=rows,
        name="mean_ranks",
    )


def _p_words(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def _letters(groups: Sequence[Sequence[str]]) -> dict[str, str]:
    letters: dict[str, list[str]] = {}
    for place, group in enumerate(groups):
        name = chr(ord("a") + place % 26) * (1 + place // 26)
        for loss in group:
            letters.setdefault(loss, []).append(name)
    return {loss: " ".join(found) for loss, found in letters.items()}


def post_hoc_table(analysis: Analysis, noun: str = "loss") -> Table | None:
    """The post-hoc test's p values of all pairs, as a square."""
    found = analysis.omnibus
    if found is None or found.pairs.empty:
        return None
    losses = [str(loss) for loss in found.mean_ranks["loss"]]
    known = {frozenset((str(r["loss_a"]), str(r["loss_b"]))): float(r["p"]) for r in found.pairs.to_dict("records")}
    rows = []
    for loss in losses:
        values = [known.get(frozenset((loss, other)), math.nan) for other in losses]
        rows.append((loss, tuple(p_cell(value, strong=value < SIGNIFICANT) for value in values)))
    return Table(
        caption=(
            f"P values of the {found.post_hoc} post-hoc test of mean ranks, {metric_title(analysis.verdict.metric)}; "
            f"bold below {SIGNIFICANT}. They are corrected for the number of pairs already."
        ),
        stub=capital(noun),
        columns=tuple(losses),
        rows=tuple(rows),
        name="post_hoc",
    )


def stability_table(analysis: Analysis, noun: str = "loss") -> Table | None:
    """How often each loss takes each rank when the patients are drawn anew."""
    shares, ranking = analysis.rank_shares, analysis.ranking
    if shares.empty or len(ranking) < 2 or analysis.n_ranked < 2:
        return None
    ranks = sorted({int(rank) for rank in shares["rank"]})
    by_place = {(str(r["loss"]), int(r["rank"])): float(r["share"]) for r in shares.to_dict("records")}
    rows = []
    for row in ranking.to_dict("records"):
        loss = str(row["loss"])
        values = [by_place.get((loss, rank), 0.0) for rank in ranks]
        bounds = (float(row.get("rank_lower", math.nan)), float(row.get("rank_upper", math.nan)))
        span = f"{bounds[0]:.0f} to {bounds[1]:.0f}" if all(map(math.isfinite, bounds)) else ABSENT
        cells = [Cell(share(value), strong=value == max(values), numbers=(value,)) for value in values]
        rows.append((loss, (number_cell(float(row["mean_rank"]), 2), Cell(span), *cells)))
    return Table(
        caption=(
            "Stability of the ranking by mean: the share of bootstrap resamples of the patients in which each "
            f"{noun} took each rank (rank 1: the best mean), the 95 % range of its rank, and its mean rank over "
            "patients. Bold: the most frequent rank."
        ),
        stub=capital(noun),
        columns=("Mean rank", "95 % range", *(f"Rank {rank}" for rank in ranks)),
        rows=tuple(rows),
        name="stability",
    )


def variance_table(analysis: Analysis, noun: str = "loss") -> Table | None:
    """Where the spread of the primary metric comes from."""
    table = analysis.variance
    # One component alone is the whole spread, which says nothing of where it comes from.
    if table.empty or table.dropna(subset="sd")["component"].nunique() < 2:
        return None
    unit = unit_of(analysis.summary, analysis.verdict.metric)
    named = [str(name) for name in table["component"].unique()]
    rows = []
    for loss in table["loss"].unique():
        found = table[table["loss"] == loss].set_index("component")
        rows.append((str(loss), tuple(_component_cell(found, name, 2 if unit else 3) for name in named)))
    noted = table[["component", "note"]].drop_duplicates().to_dict("records")
    notes = [f"{COMPONENTS.get(str(row['component']), '')}: {row['note']}." for row in noted if row["note"]]
    return Table(
        caption=(
            f"Where the spread of {with_unit(metric_title(analysis.verdict.metric), unit)} comes from: standard "
            "deviation between patients, folds and seeds and of what is left, with its share of the variance. "
            + " ".join(notes)
        ).strip(),
        stub=capital(noun),
        columns=tuple(COMPONENTS.get(name, capital(name)) for name in named),
        rows=tuple(rows),
        name="variance",
    )


def _component_cell(found: pd.DataFrame, name: str, digits: int) -> Cell:
    if name not in found.index:
        return Cell(ABSENT, numbers=(math.nan,))
    spread, part = float(found["sd"][name]), float(found["share"][name])
    return Cell(number(spread, digits), note=share(part) if math.isfinite(part) else "", numbers=(spread,))


def power_table(analysis: Analysis) -> Table | None:
    """How many patients a difference of a given size would need."""
    table = analysis.power
    if table.empty:
        return None
    metric = analysis.verdict.metric
    unit = unit_of(analysis.summary, metric)
    digits = 2 if unit else 3
    sizes = sorted(table.loc[~_observed(table), "difference"].unique())
    rows = []
    for (first, second), found in table.groupby(["loss_a", "loss_b"], sort=False):
        seen, planned = found[_observed(found)], found[~_observed(found)].set_index("difference")["n_patients"]
        cells = [Cell(str(second)), number_cell(float(found["sd_difference"].iloc[0]), digits)]
        cells += [count_cell(float(planned.get(size, math.nan))) for size in sizes]
        for row in seen.to_dict("records"):
            cells += [_difference_cell(float(row["difference"]), digits), count_cell(float(row["n_patients"]))]
        rows.append((str(first), (*cells, *([Cell(ABSENT, numbers=(math.nan,))] * (len(sizes) + 4 - len(cells))))))
    powers = enumeration([share(float(power)) for power in table["power"].dropna().unique()])
    levels = enumeration([f"{float(level):.2g}" for level in table.get("level", pd.Series(dtype=float)).unique()])
    at_level = f" at the level {levels}" if levels else ""
    return Table(
        caption=(
            "How many patients a study would need to show a difference of a given size in "
            f"{with_unit(metric_title(metric), unit)} with {powers} power{at_level}, from the spread (SD) of the "
            "paired differences seen here; last, for the difference seen here. A plan for a next study, not a "
            "statement about this one."
        ),
        stub="A",
        columns=(
            "B",
            "SD of differences",
            *(f"Patients for {size:g}" for size in sizes),
            "Difference seen",
            "Patients for it",
        ),
        rows=tuple(rows),
        names=2,
        name="power",
    )


def _observed(table: pd.DataFrame) -> "pd.Series[bool]":
    return (
        table["is_observed"].astype(bool)
        if "is_observed" in table
        else pd.Series([False] * len(table), index=table.index)
    )


def _difference_cell(value: float, digits: int) -> Cell:
    return Cell(signed(value, digits), numbers=(value,))


def agreement_table(analysis: Analysis, losses: Sequence[str], label: int, noun: str = "loss") -> Table | None:
    """Bland and Altman's bias and limits of agreement of predicted against true size."""
    table = analysis.agreement
    chosen = table[table["label"] == label] if len(table) else table
    if chosen.empty:
        return None
    by_loss = {str(row["loss"]): row for row in chosen.to_dict("records")}
    first = next(iter(by_loss.values()))
    digits = decimals(str(first["metric"]), str(first["unit"]), chosen["bias"])
    rows = tuple((loss, _agreement_cells(by_loss[loss], digits)) for loss in losses if loss in by_loss)
    unit = str(first["unit"])
    return Table(
        caption=(
            f"Predicted minus true {first['metric']}{label_words(analysis, label)} per image: mean difference (bias) "
            "with its 95 % interval, and the limits between which 95 % of the differences are expected (Bland and "
            "Altman). Above zero: predicted too large."
        ),
        stub=capital(noun),
        columns=(with_unit("Bias", unit), with_unit("Lower limit", unit), with_unit("Upper limit", unit), "Images"),
        rows=rows,
        name="agreement",
        title=f"Label {label}" if label_words(analysis, label) else "",
        about=(("label", str(label)),),
    )


def _agreement_cells(row: Mapping[Any, Any], digits: int) -> tuple[Cell, ...]:
    bias = (float(row["bias"]), float(row["bias_lower"]), float(row["bias_upper"]))
    limits = [_limit(row, name, digits) for name in ("limit_lower", "limit_upper")]
    note = interval(bias[1], bias[2], digits)
    return (Cell(signed(bias[0], digits), note=note, numbers=bias), *limits, count_cell(float(row["n_cases"])))


def _limit(row: Mapping[Any, Any], name: str, digits: int) -> Cell:
    """A limit, with its interval where the analysis gives one."""
    value = float(row[name])
    bounds = tuple(float(row[f"{name}_{end}"]) for end in ("lower", "upper") if f"{name}_{end}" in row)
    note = interval(*bounds, digits) if len(bounds) == 2 else ""
    return Cell(signed(value, digits), note=note, numbers=(value, *bounds))
