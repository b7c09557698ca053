"""The report of a search: `report.html`, `tables/` and `figures/` in a tuning folder."""

from collections.abc import Mapping
from pathlib import Path

from unifocal.reporting.drawings_tuning import SEARCH_FIGURES, draw_search
from unifocal.reporting.drawn import Drawing
from unifocal.reporting.figure import house_style
from unifocal.reporting.files import write_whole
from unifocal.reporting.page import as_yaml, content_policy, environment, template_file
from unifocal.reporting.page_sections import definitions_of, drawings_of
from unifocal.reporting.report import write_figures, write_tables
from unifocal.reporting.search import TuningView, read_search
from unifocal.reporting.search_words import cautions, explanation, facts, headline, method
from unifocal.reporting.tables_search import SEARCH_TABLES, search_tables
from unifocal.reporting.templating import template


def write_tuning_report(folder: Path) -> Path:
    """Write `report.html`, `tables/` and `figures/` into a tuning folder.

    The same folder gives the same bytes. Every file is replaced as a whole; a table or figure of an earlier report
    that this one does not have is removed.

    Args:
        folder: What `unifocal tune` wrote.

    Returns:
        The page's path.

    Raises:
        InputError: If `study.yaml`, `trials.csv` or `importance.csv` cannot be read; with every problem.
    """
    view = read_search(folder)
    with house_style():
        drawings = draw_search(view)
    page = render_search(view, drawings)
    write_tables(folder / "tables", {name: [table] for name, table in search_tables(view).items()}, SEARCH_TABLES)
    write_figures(folder / "figures", drawings, SEARCH_FIGURES)
    path = folder / "report.html"
    write_whole(path, page.encode())
    return path


def render_search(view: TuningView, drawings: Mapping[str, Drawing]) -> str:
    """The page as one HTML file that loads nothing."""
    script = template_file("page.js")
    explained = definitions_of(view.objectives)
    return template("tuning.html.j2").render(
        css=template_file("report.css"),
        script=script,
        policy=content_policy(script),
        colours={},
        loss=view.loss,
        name=view.setting("data", "name"),
        created=view.setting("created"),
        headline=headline(view),
        explanation=explanation(view),
        cautions=cautions(view),
        facts=facts(view),
        best="" if view.chosen.empty else view.best,
        folder=view.folder.name,
        tables=search_tables(view),
        sections={
            anchor: drawings_of(drawings, section)
            for anchor, section in (("trials", "trials"), ("settings", "settings"), ("front", "front"))
        },
        definitions=explained,
        defined={each.key for each in explained},
        method=method(view),
        environment=environment(view),
        config=as_yaml(view.setting("config")),
    )
