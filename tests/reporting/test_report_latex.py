"""LaTeX tables: every text is only text, everything compiles, nothing runs over the edge of a page."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_scores import Sample, write_sample

from unifocal.reporting.latex_text import escape_latex
from unifocal.reporting.sections import table_files, table_sections
from unifocal.reporting.table import Cell, Table
from unifocal.reporting.table_latex import to_latex

HOSTILE = (
    "</table><script>alert(1)</script>",
    "$x_1$ \\frac{a}{b}",
    "ünïcödé_γ=2_损失_ąŁß",
    "a" * 60,
    'my.module:Loss(alpha="0.25", beta=[1, 2], gamma=None, delta=0.7)',
    "x|y`z~^#%&{} -- ?` \N{COLLISION SYMBOL}",
    *(f"loss_{index}" for index in range(6)),
)
AWKWARD = st.text(st.sampled_from("ab_&%$#{}~^\\<>|`*[]()–−↑↓±µγ损é\"' -\n"), max_size=20)


def _compiled(folder: Path, files: Sequence[Path]) -> tuple[int, list[str]]:
    """How many pages, and what LaTeX complained of: errors, warnings, lines more than 10 pt too wide."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed: whether the tables compile was not checked")
    parts = "\n".join(rf"\input{{{path}}}\clearpage" for path in files)
    text = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{parts}\end{{document}}"
    (folder / "all.tex").write_text(text, encoding="utf-8")
    subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    log = (folder / "all.log").read_text(encoding="utf-8", errors="replace")
    pages = re.search(r"Output written on all\.pdf \((\d+) page", log)
    wide = [line for line in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log) if float(line) > 10]
    complaints = re.findall(r"^! .*|^LaTeX Warning.*", log, flags=re.MULTILINE)
    return int(pages.group(1)) if pages else 0, [*complaints, *(f"{width} pt too wide" for width in wide)]


@pytest.mark.parametrize(
    "sample",
    [
        Sample(losses=HOSTILE, labels=(1, 2), patients=14, cases_per_patient=1, empty=2, step=0.005),
        Sample(labels=tuple(range(1, 15)), patients=6, cases_per_patient=1, empty=1),
        Sample(losses=("bce",), patients=3, folds=1, cases_per_patient=1),
        Sample(patients=1, folds=1, cases_per_patient=1),
        Sample(patients=4, empty=4),
    ],
    ids=["twelve hostile losses", "fourteen labels", "one loss", "one case", "nothing defined"],
)
def test_all_tables_of_a_study_compile_and_fit(tmp_path: Path, sample: Sample) -> None:
    study, analysis = write_sample(tmp_path / "study", sample)
    files = table_files(study, analysis, table_sections(study, analysis))
    paths = []
    for name, tables in files.items():
        # A study of many labels has hundreds of comparisons, all alike.
        text = to_latex(tables[:: max(1, len(tables) // 8)])
        paths.append(tmp_path / f"{name}.tex")
        paths[-1].write_text(text, encoding="utf-8")
    pages, complaints = _compiled(tmp_path, paths)
    assert pages > 0
    assert complaints == []


def test_a_table_longer_than_a_page_goes_on_with_all_its_rows(tmp_path: Path) -> None:
    rows = tuple((f"row{place}", (Cell("0.5", "[0, 1]", "3 undefined"),) * 9) for place in range(150))
    latex = to_latex([Table("Long", "Loss", tuple(f"column{place}" for place in range(9)), rows)])
    for place in range(150):
        assert latex.count(f"row{place} ") == latex.count("row0 ")
    assert latex.count("(continued)") == latex.count(r"\begin{table}") - 1 > 2
    (tmp_path / "long.tex").write_text(latex)
    pages, complaints = _compiled(tmp_path, [tmp_path / "long.tex"])
    assert pages > 3
    assert complaints == []


def _columns_per_row(latex: str) -> list[tuple[int, set[int]]]:
    blocks = re.findall(r"\\begin\{tabular\}\{@\{\}(.*?)@\{\}\}\n(.*?)\n\\end\{tabular\}", latex, flags=re.DOTALL)
    counted = []
    for kinds, body in blocks:
        plain = re.sub(r"p\{[^}]*\}", "p", kinds)
        rows = [line for line in body.splitlines() if r"\tabularnewline" in line]
        counted.append((len(plain), {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows}))
    return counted


def test_latex_rows_have_as_many_cells_as_columns(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(losses=HOSTILE[:7], patients=8))
    for tables in table_files(study, analysis, table_sections(study, analysis)).values():
        latex = to_latex(tables[:2])
        counted = _columns_per_row(latex)
        assert counted
        assert all(cells == {columns} for columns, cells in counted)
        assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == len(counted)


def test_wide_results_go_on_in_further_blocks_of_about_equal_width() -> None:
    losses = tuple(f"loss_{index}" for index in range(9))
    row = tuple(Cell(str(index), note="[0.123, 0.456]") for index in range(9))
    latex = to_latex([Table("Caption", "Metric", losses, (("Dice", row),))])
    columns = [columns - 1 for columns, _ in _columns_per_row(latex)]
    assert sum(columns) == 9
    assert len(columns) > 1
    assert max(columns) - min(columns) <= 1
    for index in range(9):
        assert rf"loss\_\allowbreak{{}}{index}" in latex


@settings(max_examples=100, deadline=None)
@given(text=AWKWARD)
def test_latex_escapes_leave_no_active_character(text: str) -> None:
    escaped = escape_latex(text)
    known = (
        r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|allowbreak|penalty5000|`)\{\}"
    )
    rest = re.sub(known, "", escaped)
    rest = re.sub(r"\{\\ttfamily\\char34\}|\\'\{e\}|\\[&%$#_{}]", "", rest)
    rest = re.sub(r"\$(-|\\uparrow|\\downarrow|\\pm|\\mu|\\gamma)\$|\{\[\}|\{\]\}|\{-\}", "", rest)
    assert not set(rest) & set('&%$#_{}~^\\<>"`|')
    assert rest.isascii()


def test_a_long_word_may_be_broken_and_a_short_one_not() -> None:
    assert escape_latex("precision") == "precision"
    assert escape_latex("a" * 30, longest=10).count(r"\penalty5000{}") == 2
    assert escape_latex("0.512, 1.25") == "0.512, 1.25"
    assert escape_latex("损").replace("{[}", "[").replace("{]}", "]") == "[U+635F]"
