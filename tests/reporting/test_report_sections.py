"""Every table that is due is there, in every format, with the analysis's own numbers."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_scores import NO_TRUTH, Sample, write_sample

from unifocal.metrics import METRICS
from unifocal.reporting.sections import TABLE_NAMES, table_files, table_sections
from unifocal.reporting.study import StudyView
from unifocal.reporting.table import to_csv
from unifocal.reporting.tables_results import EQUIVALENT, WORSE, paper_table, results_table
from unifocal.statistics import Analysis

# Of studies that tune, race, lose runs or measure their time alone.
UNUSED = ("race", "tuned", "tuning_gain", "tuning_trials", "failed_runs", "run_notes", "time")
LOSSES = ("bce", "focal", "unified_focal(gamma=0.5)")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyView, Analysis]:
    return write_sample(tmp_path_factory.mktemp("sample"), Sample(LOSSES, labels=(1, 2), patients=20, seeds=2, empty=2))


def _read(sample: tuple[StudyView, Analysis], name: str) -> pd.DataFrame:
    study, analysis = sample
    tables = table_files(study, analysis, table_sections(study, analysis))[name]
    return pd.read_csv(io.StringIO(to_csv(tables)))


def test_a_rich_study_has_every_table_and_sections_come_in_order(sample: tuple[StudyView, Analysis]) -> None:
    study, analysis = sample
    sections = table_sections(study, analysis)
    assert [section.id for section in sections] == [
        "results", "undefined", "pooled", "comparison", "omnibus", "stability", "variance", "power", "agreement",
        "groups",
    ]  # fmt: skip
    assert tuple(table_files(study, analysis, sections)) == tuple(name for name in TABLE_NAMES if name not in UNUSED)
    for section in sections:
        for table in section.tables:
            assert table.caption
            assert all(len(cells) == len(table.columns) for _, cells in table.rows)
            assert len(table.row_metrics) in (0, len(table.rows))
            assert set(table.row_metrics) <= set(METRICS)


def test_results_hold_the_means_and_bounds_unrounded(sample: tuple[StudyView, Analysis]) -> None:
    table = _read(sample, "results")
    expected = sample[1].summary.set_index(["label", "metric", "loss"])
    assert set(table["label"]) == {1, 2}
    for row in table.to_dict("records"):
        for loss in LOSSES:
            found = expected.loc[(row["label"], row["metric"], loss)]
            assert row[loss] == found["mean"]
            assert (row[f"{loss}: lower"], row[f"{loss}: upper"]) == (found["lower"], found["upper"])


def test_every_pair_metric_and_label_is_in_the_comparison(sample: tuple[StudyView, Analysis]) -> None:
    table = _read(sample, "comparison").set_index(["label", "metric", "A", "B"])
    expected = sample[1].comparison
    judged = expected[expected["metric"].isin([name for name in METRICS if METRICS[name].direction])]
    assert len(table) == len(judged)
    for row in judged.to_dict("records"):
        found = table.loc[(row["label"], row["metric"], row["loss_a"], row["loss_b"])]
        for shown, name in (
            ("Difference", "difference"), ("Difference: upper", "upper"), ("p (Holm)", "p_adjusted"),
            ("p (sign)", "p_sign"), ("p (rank sum)", "p_rank_sum"), ("Cohen's d", "cohen_d"),
            ("Patients", "n_patients"),
        ):  # fmt: skip
            assert found[shown] == pytest.approx(row[name], nan_ok=True)


def test_the_other_tables_hold_their_numbers(sample: tuple[StudyView, Analysis]) -> None:
    analysis = sample[1]
    assert analysis.omnibus is not None
    ranks = _read(sample, "mean_ranks").set_index("Loss")["Mean rank"]
    assert dict(ranks) == dict(analysis.omnibus.mean_ranks.to_numpy())
    post_hoc = _read(sample, "post_hoc").set_index("Loss")
    for row in analysis.omnibus.pairs.to_dict("records"):
        assert post_hoc.loc[row["loss_a"], row["loss_b"]] == post_hoc.loc[row["loss_b"], row["loss_a"]] == row["p"]
    stability = _read(sample, "stability").set_index("Loss")
    for row in analysis.rank_shares.to_dict("records"):
        assert stability.loc[row["loss"], f"Rank {row['rank']}"] == row["share"]
    variance = _read(sample, "variance").set_index("Loss")
    for row in analysis.variance.to_dict("records"):
        title = {"patient": "Patients", "fold": "Folds", "seed": "Seeds", "rest": "Rest"}[row["component"]]
        assert variance.loc[row["loss"], title] == pytest.approx(row["sd"], nan_ok=True)
    agreement = _read(sample, "agreement").set_index(["label", "Loss"])
    for row in analysis.agreement.to_dict("records"):
        assert agreement.loc[(row["label"], row["loss"]), "Bias (mm²)"] == row["bias"]
        assert agreement.loc[(row["label"], row["loss"]), "Upper limit (mm²)"] == row["limit_upper"]


def test_patients_needed_stand_under_the_difference_they_are_for(sample: tuple[StudyView, Analysis]) -> None:
    table = _read(sample, "power").set_index(["A", "B"])
    for row in sample[1].power.to_dict("records"):
        found = table.loc[(row["loss_a"], row["loss_b"])]
        name = "Patients for it" if row["is_observed"] else f"Patients for {row['difference']:g}"
        assert found[name] == row["n_patients"]
        assert found["SD of differences"] == row["sd_difference"]


def test_undefined_scores_are_counted_with_their_reason(sample: tuple[StudyView, Analysis]) -> None:
    table = _read(sample, "undefined")
    dice = table[(table["metric"] == "dice") & (table["label"] == 1)]
    # Two patients without truth, two cases each, two seeds.
    assert dice["Reason"].tolist() == [NO_TRUTH]
    assert dice[list(LOSSES)].to_numpy().tolist() == [[8, 8, 8]]


def test_hostile_text_stays_in_its_cell_of_the_csv(tmp_path: Path) -> None:
    losses = ('a,"b"\nc', "=1+1", "x;y")
    study, analysis = write_sample(tmp_path, Sample(losses, patients=5))
    for tables in table_files(study, analysis, table_sections(study, analysis)).values():
        rows = list(csv.reader(io.StringIO(to_csv(tables))))
        assert len({len(row) for row in rows}) == 1
        assert len(rows) == 1 + sum(len(table.rows) for table in tables)


def test_marks_say_worse_or_equivalent_as_the_verdict_does(sample: tuple[StudyView, Analysis]) -> None:
    _, analysis = sample
    label = analysis.verdict.label
    verdict = replace(analysis.verdict, best="bce", told_apart=("focal",), equivalent=(LOSSES[2],))
    summary = analysis.summary.copy()
    chosen = (summary["metric"] == "dice") & (summary["label"] == label)
    summary.loc[chosen, "mean"] = [0.9, 0.8, 0.89]
    table = results_table(replace(analysis, verdict=verdict, summary=summary), LOSSES, label)
    cells = table.rows[table.row_metrics.index("dice")][1]
    assert [cell.text for cell in cells] == ["0.900", f"0.800{WORSE}", f"0.890{EQUIVALENT}"]
    assert [cell.strong for cell in cells] == [True, False, False]
    for mark in (WORSE, EQUIVALENT, "No mark"):
        assert mark in table.caption


def test_marks_of_other_metrics_follow_their_comparison(sample: tuple[StudyView, Analysis]) -> None:
    _, analysis = sample
    assert analysis.verdict.metric == "dice"
    label = analysis.verdict.label
    summary, comparison = analysis.summary.copy(), analysis.comparison.copy()
    summary.loc[(summary["metric"] == "hd95") & (summary["label"] == label), "mean"] = [5.0, 2.0, 3.0]
    chosen = (comparison["metric"] == "hd95") & (comparison["label"] == label)
    pairs = comparison.loc[chosen, ["loss_a", "loss_b"]].to_numpy().tolist()
    assert pairs == [["bce", "focal"], ["bce", LOSSES[2]], ["focal", LOSSES[2]]]
    comparison.loc[chosen, "difference"] = [3.0, 2.0, -1.0]
    comparison.loc[chosen, "effect_size"] = [0.9, 0.9, -0.2]
    comparison.loc[chosen, "p_adjusted"] = [0.01, 0.01, 0.6]
    comparison.loc[chosen, "is_equivalent"] = [False, False, True]
    table = results_table(replace(analysis, summary=summary, comparison=comparison), LOSSES, label)
    texts = [cell.text for cell in table.rows[table.row_metrics.index("hd95")][1]]
    assert texts == [f"5.00{WORSE}", "2.00", f"3.00{EQUIVALENT}"]
    # As for the verdict: the mean is better, and either the ranks are or its interval leaves zero out.
    comparison.loc[chosen, "effect_size"] = [-0.9, 0.9, -0.2]
    for lower, text in ((1.0, f"5.00{WORSE}"), (-1.0, "5.00")):
        comparison.loc[chosen, "lower"], comparison.loc[chosen, "upper"] = lower, 6.0
        table = results_table(replace(analysis, summary=summary, comparison=comparison), LOSSES, label)
        assert table.rows[table.row_metrics.index("hd95")][1][0].text == text


def test_the_papers_table_is_the_other_way_round(sample: tuple[StudyView, Analysis]) -> None:
    _, analysis = sample
    label = analysis.verdict.label
    paper = paper_table(analysis, LOSSES, label)
    results = results_table(analysis, LOSSES, label)
    assert [name for name, _ in paper.rows] == list(LOSSES)
    for column, title in enumerate(paper.columns):
        (row,) = [cells for name, cells in results.rows if name == title]
        assert [cells[column] for _, cells in paper.rows] == list(row)


def test_one_loss_has_nothing_bold_and_nothing_compared(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(("bce",), patients=6))
    sections = {section.id: section for section in table_sections(study, analysis)}
    assert not {"comparison", "omnibus", "stability", "power"} & set(sections)
    assert not any(cell.strong for _, cells in sections["results"].tables[0].rows for cell in cells)


def test_an_old_analysis_without_the_later_tables_still_has_its_own(sample: tuple[StudyView, Analysis]) -> None:
    study, whole = sample
    old = Analysis(whole.summary, whole.pooled, whole.comparison, whole.ranking, whole.verdict)
    assert [section.id for section in table_sections(study, old)] == ["results", "pooled", "comparison", "groups"]


def test_small_differences_are_not_shown_as_none(sample: tuple[StudyView, Analysis]) -> None:
    study, analysis = sample
    tables = table_files(study, analysis, table_sections(study, analysis))["comparison"]
    (table,) = [each for each in tables if each.about[:2] == (("label", "1"), ("metric", "specificity"))]
    largest = max(abs(cells[1].numbers[0]) for _, cells in table.rows)
    assert 0 < largest < 0.001
    shown = max(abs(float(cells[1].text.replace("−", "-"))) for _, cells in table.rows)
    assert shown == pytest.approx(largest, rel=0.2)
    assert not np.isclose(shown, 0)
