"""The tables say what the analysis found, in every format."""

import re

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_study import Study

from unifocal.metrics import METRICS
from unifocal.reporting.study import read_study
from unifocal.reporting.table import Cell, Table, escape_markdown, to_markdown
from unifocal.reporting.tables_results import category_table, results_table
from unifocal.reporting.tables_tests import comparison_table
from unifocal.reporting.wording import (
    count,
    digits_for,
    enumeration,
    interval,
    number,
    p_value,
    plural,
    share,
    shortened,
    signed,
)
from unifocal.statistics import Analysis


def _read_markdown(text: str) -> list[list[list[str]]]:
    """Every Markdown table as rows of cells, escapes undone."""
    tables: list[list[list[str]]] = []
    previous = ""
    for line in text.splitlines():
        if line.startswith("|"):
            if not previous.startswith("|"):
                tables.append([])
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            tables[-1].append([re.sub(r"\\(.)", r"\1", cell).replace("&amp;", "&").strip() for cell in cells])
        previous = line
    return tables


def test_every_mean_and_interval_of_the_analysis_is_in_the_results(shared_study: Study) -> None:
    text = (shared_study.folder / "tables" / "results.md").read_text(encoding="utf-8")
    header, _, *rows = _read_markdown(text)[0]
    by_title = {metric.title: name for name, metric in METRICS.items()}
    seen = 0
    for row in rows:
        title = re.sub(r"( \((px|mm)\))? [↑↓]$", "", row[0])
        summary = shared_study.analysis.summary
        chosen = summary[summary["metric"] == by_title[title]].set_index("loss")
        arrow = "↑" if METRICS[by_title[title]].direction == "higher" else "↓"
        assert row[0].endswith(arrow)
        for loss, cell in zip(header[1:], row[1:], strict=True):
            mean, lower, upper = (float(part) for part in re.findall(r"\d+\.\d+", cell))
            expected = chosen.loc[loss, ["mean", "lower", "upper"]].astype(float)
            assert [mean, lower, upper] == pytest.approx(list(expected), abs=0.0051)
            seen += 1
    assert seen == len(rows) * 3 >= 30


def test_the_best_mean_of_each_row_and_no_other_is_bold(shared_study: Study) -> None:
    analysis = shared_study.analysis
    table = results_table(analysis, shared_study.recipe.losses, 1)
    for (_, cells), metric in zip(table.rows, [m for m in METRICS if METRICS[m].direction], strict=False):
        means = analysis.summary[analysis.summary["metric"] == metric].set_index("loss")["mean"]
        best = means.max() if METRICS[metric].direction == "higher" else means.min()
        bold = {loss for loss, cell in zip(table.columns, cells, strict=True) if cell.strong}
        assert bold == set(means.index[means == best])


def test_a_comparison_shows_both_p_values_and_bold_below_the_level(shared_study: Study) -> None:
    analysis = shared_study.analysis
    table = comparison_table(analysis, "dice", 1)
    expected = analysis.comparison[analysis.comparison["metric"] == "dice"].to_dict("records")
    assert len(table.rows) == len(expected) == 3
    for (name, cells), row in zip(table.rows, expected, strict=True):
        assert (name, cells[0].text) == (row["loss_a"], row["loss_b"])
        assert float(cells[1].text.replace("−", "-")) == pytest.approx(row["difference"], abs=0.00051)
        assert cells[2].text == p_value(row["p"])
        assert cells[3].text == p_value(row["p_adjusted"])
        assert cells[3].strong == (row["p_adjusted"] < 0.05)
        shown = dict(zip(table.columns, cells, strict=True))
        assert shown["p (rank sum)"].text == p_value(row["p_rank_sum"])
        assert shown["p (sign)"].text == p_value(row["p_sign"])
        assert int(shown["Patients"].text) == row["n_patients"]


def test_groups_show_means_over_patients_not_over_images(shared_study: Study) -> None:
    study = read_study(shared_study.folder)
    table = category_table(study, shared_study.analysis, "class")
    scores = shared_study.scores()
    cases = pd.read_csv(shared_study.folder / "cases.csv", dtype={"case": str})
    assert [name for name, _ in table.rows] == list(study.categories["class"])
    for kind, cells in table.rows:
        members = set(cases.loc[cases["class"] == kind, "case"])
        for loss, cell in zip(table.columns[1:], cells[1:], strict=True):
            by_patient: dict[str, list[float]] = {}
            for row in scores.to_dict("records"):
                if row["loss"] == loss and row["metric"] == "dice" and row["case"] in members:
                    by_patient.setdefault(row["patient"], []).append(row["value"])
            means = [sum(values) / len(values) for values in by_patient.values()]
            assert int(cells[0].text) == len(means)
            assert float(cell.text) == pytest.approx(sum(means) / len(means), abs=0.00051)


def test_the_page_and_the_files_show_the_same_numbers(page: str, shared_study: Study) -> None:
    text = (shared_study.folder / "tables" / "results.md").read_text(encoding="utf-8")
    for number_ in re.findall(r"\d+\.\d{2,4}", text):
        assert number_ in page


def test_a_loss_without_any_score_gets_dashes(shared_study: Study) -> None:
    table = results_table(shared_study.analysis, [*shared_study.recipe.losses, "never_run"], 1)
    assert {cells[-1].text for _, cells in table.rows} == {"–"}
    assert not any(cells[-1].strong for _, cells in table.rows)


AWKWARD = st.text(st.sampled_from("ab_&%$#{}~^\\<>|`*[]()–−↑↓±µ \n"), max_size=20)


@settings(max_examples=60, deadline=None)
@given(text=AWKWARD)
def test_markdown_keeps_a_cell_in_one_cell(text: str) -> None:
    table = Table("Caption", "Loss", ("B",), ((text or "x", (Cell(text or "x"),)),))
    rows = _read_markdown(to_markdown([table]))[0]
    assert rows[2] == [" ".join((text or "x").split())] * 2
    assert "<" not in re.sub(r"\\<", "", escape_markdown(text))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(-0.0004, 3), "0.000"),
        (number(-1.25, 2), "−1.25"),
        (number(float("nan"), 3), "–"),
        (signed(0.0126, 3), "+0.013"),
        (signed(-0.0126, 3), "−0.013"),
        (signed(0.0001, 3), "0.000"),
        (interval(float("nan"), 0.5, 3), ""),
        (interval(-0.1, 0.5, 1), "[−0.1, 0.5]"),
        (p_value(0.00099), "<0.001"),
        (p_value(1.0), "1.000"),
        (count(1, "case"), "1 case"),
        (count(1234, "case"), "1,234 cases"),
        (enumeration(["a", "b", "c"]), "a, b and c"),
        (plural("loss"), "losses"),
        (plural("method"), "methods"),
        (share(0.004), "<1 %"),
        (share(0.9951), ">99 %"),
        (share(1.0), "100 %"),
        (share(float("nan")), "–"),
        (shortened("abcdefghij", 7), "abc…hij"),
        (shortened("abcdefg", 7), "abcdefg"),
        (str(digits_for("", 0.995)), "4"),
        (str(digits_for("mm", 0.995)), "2"),
    ],
)
def test_numbers_read_as_in_print(shown: str, expected: str) -> None:
    assert shown == expected


def test_several_labels_each_get_their_table(shared_study: Study) -> None:
    analysis = shared_study.analysis
    twice = pd.concat([analysis.summary, analysis.summary.assign(label=2)], ignore_index=True)
    both = Analysis(twice, analysis.pooled, analysis.comparison, analysis.ranking, analysis.verdict)
    assert ", label 2" in results_table(both, shared_study.recipe.losses, 2).caption
    assert "label" not in results_table(analysis, shared_study.recipe.losses, 1).caption
