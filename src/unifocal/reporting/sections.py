"""Which tables a report has, in sections: the page shows them so, and each name becomes files in `tables/`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from unifocal.reporting.study import StudyView
from unifocal.reporting.table import Table
from unifocal.reporting.tables import labels_of, metric_title
from unifocal.reporting.tables_race import failed_table, notes_table, race_intro, race_table
from unifocal.reporting.tables_ranking import (
    agreement_table,
    mean_ranks_table,
    post_hoc_table,
    power_table,
    stability_table,
    variance_table,
)
from unifocal.reporting.tables_results import (
    category_table,
    paper_table,
    pooled_table,
    results_table,
    undefined_table,
)
from unifocal.reporting.tables_tests import compared_metrics, comparison_table
from unifocal.reporting.tables_time import time_table
from unifocal.reporting.tables_tuned import chosen_table, gain_tables, trial_tables
from unifocal.statistics.result import Analysis

TABLE_NAMES = (
    "results",
    "paper",
    "undefined",
    "pooled",
    "comparison",
    "mean_ranks",
    "post_hoc",
    "stability",
    "variance",
    "power",
    "agreement",
    "groups",
    "race",
    "tuned",
    "tuning_gain",
    "tuning_trials",
    "failed_runs",
    "run_notes",
    "time",
)


@dataclass(frozen=True)
class TableSection:
    """Tables that belong together.

    Attributes:
        id: Letters only; its anchor on the page.
        title: In words.
        intro: What to know before reading them; may be empty.
        tables: At least one.
        is_open: Whether the page shows it without being asked.
    """

    id: str
    title: str
    intro: str
    tables: tuple[Table, ...]
    is_open: bool = True


def table_sections(study: StudyView, analysis: Analysis) -> list[TableSection]:
    """The report's tables; a section without any is left out."""
    sections = [
        TableSection(each.id, each.title, each.intro, tuple(t for t in each.tables if t.rows), each.is_open)
        for each in (
            *_score_sections(study, analysis),
            *_test_sections(study, analysis),
            *_work_sections(study, analysis),
        )
    ]
    return [section for section in sections if section.tables]


def _score_sections(study: StudyView, analysis: Analysis) -> Iterator[TableSection]:
    losses, labels = study.losses, labels_of(analysis)
    yield TableSection("results", "All metrics", "", tuple(results_table(analysis, losses, label) for label in labels))
    yield TableSection(
        "undefined",
        "Undefined scores",
        "A score without a meaning (a Dice of two empty masks, say) is left empty, never set to a flattering number.",
        tuple(undefined_table(analysis, losses, label) for label in labels),
        is_open=False,
    )
    yield TableSection(
        "pooled",
        "Pooled over all cases, for comparison with papers that report it",
        "",
        tuple(pooled_table(analysis, losses, label) for label in labels),
        is_open=False,
    )


def _test_sections(study: StudyView, analysis: Analysis) -> Iterator[TableSection]:
    losses, labels, noun = study.losses, labels_of(analysis), study.noun
    metric = metric_title(analysis.verdict.metric)
    others = f"Of label {analysis.verdict.label}; the other labels are in tables/comparison.csv, .md and .tex."
    yield TableSection(
        "comparison",
        "Pairwise comparison",
        others if len(labels) > 1 else "",
        tuple(_comparisons(analysis, analysis.verdict.label)),
    )
    yield TableSection(
        "omnibus",
        f"All {study.nouns} at once, by rank",
        "",
        _there(mean_ranks_table(analysis, noun), post_hoc_table(analysis, noun)),
        is_open=False,
    )
    yield TableSection(
        "stability", "How stable the ranking is", "", _there(stability_table(analysis, noun)), is_open=False
    )
    yield TableSection(
        "variance",
        f"Where the spread of {metric} comes from",
        "",
        _there(variance_table(analysis, noun)),
        is_open=False,
    )
    yield TableSection(
        "power", "How many patients a difference would need", "", _there(power_table(analysis)), is_open=False
    )
    yield TableSection(
        "agreement",
        "Predicted against true size",
        "",
        _there(*(agreement_table(analysis, losses, label, noun) for label in labels)),
        is_open=False,
    )
    yield TableSection(
        "groups", "Groups of cases", "", tuple(category_table(study, analysis, column) for column in study.categories)
    )


def _work_sections(study: StudyView, analysis: Analysis) -> Iterator[TableSection]:
    race, chosen, failed = (
        race_table(study, metric_title(analysis.verdict.metric)),
        chosen_table(study),
        failed_table(study),
    )
    yield TableSection("race", "The race", race_intro(study) if race else "", _there(race))
    yield TableSection("tuned", "What each fold chose", "", _there(chosen))
    yield TableSection("gain", "What tuning changed, on inner folds", "", gain_tables(study))
    yield TableSection("trials", "All trials", "", trial_tables(study), is_open=False)
    yield TableSection("failed", "Failed runs", "", _there(failed))
    yield TableSection("notes", "Runs that met trouble and went on", "", _there(notes_table(study)), is_open=False)
    yield TableSection("time", "Where the time went", "", _there(time_table(study)))


def _comparisons(analysis: Analysis, label: int) -> Iterator[Table]:
    for metric in compared_metrics(analysis, label):
        is_first = (metric, label) == (analysis.verdict.metric, analysis.verdict.label)
        yield comparison_table(analysis, metric, label, is_explained=is_first)


def _there(*tables: Table | None) -> tuple[Table, ...]:
    return tuple(table for table in tables if table is not None)


def table_files(study: StudyView, analysis: Analysis, sections: Iterable[TableSection]) -> dict[str, list[Table]]:
    """The tables of each file in `tables/`: the sections', every label's comparisons, the main metrics as in papers."""
    found: dict[str, list[Table]] = {}
    for section in sections:
        for table in section.tables:
            found.setdefault(table.name, []).append(table)
    papers = [paper_table(analysis, study.losses, label, study.noun) for label in labels_of(analysis)]
    found["paper"] = [table for table in papers if table.columns and table.rows]
    found["comparison"] = [
        table for label in labels_of(analysis) for table in _comparisons(analysis, label) if table.rows
    ]
    return {name: found[name] for name in TABLE_NAMES if found.get(name)}
