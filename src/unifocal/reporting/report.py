"""Write a study's report: the page, the tables and the figures."""

from pathlib import Path

from unifocal.reporting.drawings import FIGURE_NAMES, case_panels, draw_all
from unifocal.reporting.figure import house_style
from unifocal.reporting.files import write_whole
from unifocal.reporting.page import render
from unifocal.reporting.study import StudyView, read_study
from unifocal.reporting.table import Table, to_latex, to_markdown
from unifocal.reporting.tables import (
    category_table,
    compared_metrics,
    comparison_table,
    labels_of,
    pooled_table,
    results_table,
)
from unifocal.statistics.result import Analysis


def write_report(folder: Path, analysis: Analysis) -> Path:
    """Write `report.html`, `tables/` and `figures/` into a study folder.

    The same study and analysis give the same bytes. Every file is replaced as a whole.

    Args:
        folder: What `unifocal compare` wrote. Images that are gone leave a note in their place.
        analysis: Of its scores.

    Returns:
        The page's path.

    Raises:
        InputError: If the folder is not a study; with every problem.
    """
    study = read_study(folder)
    with house_style():
        shown = case_panels(study, analysis)
        drawings = draw_all(study, analysis, shown)
    page = render(study, analysis, drawings, shown)
    for name, tables in all_tables(study, analysis).items():
        write_whole(folder / "tables" / f"{name}.md", to_markdown(tables).encode())
        write_whole(folder / "tables" / f"{name}.tex", to_latex(tables).encode())
    for name in FIGURE_NAMES:
        vector, picture = (folder / "figures" / f"{name}.{kind}" for kind in ("svg", "png"))
        if name in drawings:
            write_whole(vector, drawings[name].svg.encode())
            write_whole(picture, drawings[name].png)
        else:
            # One from an earlier report would contradict this one.
            vector.unlink(missing_ok=True)
            picture.unlink(missing_ok=True)
    path = folder / "report.html"
    write_whole(path, page.encode())
    return path


def all_tables(study: StudyView, analysis: Analysis) -> dict[str, list[Table]]:
    """The tables of each file in `tables/`."""
    labels = labels_of(analysis)
    return {
        "results": [
            *(results_table(analysis, study.losses, label) for label in labels),
            *(pooled_table(analysis, study.losses, label) for label in labels),
            *(category_table(study, analysis, column) for column in study.categories),
        ],
        "comparison": [
            comparison_table(analysis, metric, label)
            for label in labels
            for metric in compared_metrics(analysis, label)
        ],
    }
