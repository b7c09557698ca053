"""Write a study's report: the page, the tables and the figures."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unifocal.clock import note, stage
from unifocal.reporting.drawings import FIGURE_NAMES, Drawing, case_panels, draw_all
from unifocal.reporting.figure import house_style
from unifocal.reporting.files import write_whole
from unifocal.reporting.page import render
from unifocal.reporting.sections import TABLE_NAMES, table_files, table_sections
from unifocal.reporting.study import read_study
from unifocal.reporting.table import Table, to_csv, to_markdown
from unifocal.reporting.table_latex import to_latex
from unifocal.statistics.result import Analysis


def write_report(folder: Path, analysis: Analysis) -> Path:
    """Write `report.html`, `tables/` and `figures/` into a study folder.

    The same study and analysis give the same bytes. Every file is replaced as a whole; a table or figure of an
    earlier report that this one does not have is removed, for it would contradict it.

    Args:
        folder: What `unifocal compare` or `unifocal evaluate` wrote. Images that are gone leave a note in their place.
        analysis: Of its scores.

    Returns:
        The page's path.

    Raises:
        InputError: If the folder is not a study, or its probabilities cannot be read; with every problem.
    """
    study = read_study(folder)
    with stage("report: figures"), house_style():
        shown = case_panels(study, analysis)
        drawings = draw_all(study, analysis, shown)
    note()  # the page shows where the time went
    path = folder / "report.html"
    with stage("report: page and files"):
        page = render(study, analysis, drawings, shown)
        tables = table_files(study, analysis, table_sections(study, analysis))
        write_tables(folder / "tables", tables, TABLE_NAMES)
        write_figures(folder / "figures", drawings, FIGURE_NAMES)
        write_whole(path, page.encode())
    return path


def write_tables(folder: Path, files: Mapping[str, Sequence[Table]], names: Iterable[str]) -> None:
    """Write each file's tables as Markdown, LaTeX and CSV; remove the files of `names` that have none."""
    formats = {"md": to_markdown, "tex": to_latex, "csv": to_csv}
    for name in names:
        for ending, written in formats.items():
            _replace(folder / f"{name}.{ending}", written(files[name]).encode() if name in files else None)


def write_figures(folder: Path, drawings: Mapping[str, Drawing], names: Iterable[str]) -> None:
    """Write each figure as SVG and PNG; remove those of `names` that were not drawn."""
    for name in names:
        drawing = drawings.get(name)
        _replace(folder / f"{name}.svg", None if drawing is None else drawing.svg.encode())
        _replace(folder / f"{name}.png", None if drawing is None else drawing.png)


def _replace(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        write_whole(path, content)
