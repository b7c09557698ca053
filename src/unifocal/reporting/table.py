"""A table as data, and the same table as Markdown and LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass

LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_\allowbreak{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "−": r"$-$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "(": r"\allowbreak{}(",
    "[": "{[}",
    "]": "{]}",
}
MOST_LATEX_COLUMNS = 4
NAME_WIDTHS = ("3.4cm", "2.3cm")
MARKDOWN_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\|`*_<>[]#~$"})


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What it says.
        note: A second, smaller line, for instance an interval.
        remark: A third one, for instance how many values are undefined.
        strong: Whether it stands out (the best of its column, a significant difference).
    """

    text: str
    note: str = ""
    remark: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table: each row has a name and one cell per further column.

    Attributes:
        caption: What it shows and how to read it.
        stub: The title of the first column.
        columns: The titles of the others.
        rows: Each row's name and cells.
        names: How many of the first columns hold names, not numbers (a pair of losses: two).
    """

    caption: str
    stub: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    names: int = 1


def escape_latex(text: str) -> str:
    """Text with every character that LaTeX would act on written out."""
    one_line = " ".join(text.split())
    return "".join(LATEX_SPECIAL.get(character, character) for character in one_line)


def escape_markdown(text: str) -> str:
    """Text with every character that Markdown or HTML would act on written out."""
    return " ".join(text.split()).replace("&", "&amp;").translate(MARKDOWN_SPECIAL)


def to_markdown(tables: Sequence[Table]) -> str:
    """The tables as Markdown, each under its caption."""
    return "\n".join(_one_markdown(table) for table in tables)


def _one_markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    titles = [escape_markdown(title) for title in (table.stub, *table.columns)]
    marks = ["---"] * table.names + ["---:"] * (len(titles) - table.names)
    lines = [escape_markdown(table.caption), "", line(titles), line(marks)]
    for name, cells in table.rows:
        lines.append(line([escape_markdown(name), *(_markdown_cell(cell) for cell in cells)]))
    return "\n".join([*lines, ""])


def _markdown_cell(cell: Cell) -> str:
    text = escape_markdown(cell.text)
    parts = [f"**{text}**" if cell.strong and text else text]
    parts += [escape_markdown(cell.note)] if cell.note else []
    parts += [f"({escape_markdown(cell.remark)})"] if cell.remark else []
    return " ".join(parts)


def to_latex(tables: Sequence[Table]) -> str:
    r"""The tables as LaTeX `table` environments; they need `\usepackage{booktabs}` only."""
    return "\n".join(_one_latex(table) for table in tables)


def _one_latex(table: Table) -> str:
    """One float; columns that a page is too narrow for follow in a second block beneath."""
    last = len(table.columns)
    step = MOST_LATEX_COLUMNS if table.names == 1 else max(last, 1)
    blocks = [
        line for first in range(0, max(last, 1), step) for line in _latex_block(table, slice(first, first + step))
    ]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(table.caption)}}}",
            r"\footnotesize",
            r"\setlength{\tabcolsep}{4pt}",
            *blocks,
            r"\end{table}",
            "",
        ]
    )


def _latex_block(table: Table, part: slice) -> list[str]:
    columns = table.columns[part]
    width = NAME_WIDTHS[min(table.names, len(NAME_WIDTHS)) - 1]
    kinds = rf"p{{{width}}}" * table.names + "c" * (1 + len(columns) - table.names)
    titles = " & ".join(escape_latex(title) for title in (table.stub, *columns))
    return [
        rf"\begin{{tabular}}{{{kinds}}}",
        r"\toprule",
        rf"{titles} \\",
        r"\midrule",
        *(line for name, cells in table.rows for line in _latex_lines(name, cells[part], beneath=table.names == 1)),
        r"\bottomrule",
        r"\end{tabular}",
        "",
    ]


def _latex_lines(name: str, cells: Sequence[Cell], *, beneath: bool) -> list[str]:
    """A row: the notes in the same line, or in a line of their own beneath the values."""
    values = [rf"\textbf{{{escape_latex(cell.text)}}}" if cell.strong else escape_latex(cell.text) for cell in cells]
    notes = [_latex_note(cell) for cell in cells]
    if not beneath:
        values = [f"{value} {note}".strip() for value, note in zip(values, notes, strict=True)]
    lines = [" & ".join([escape_latex(name), *values]) + r" \\"]
    if beneath and any(notes):
        lines.append(" & ".join(["", *notes]) + r" \\[2pt]")
    return lines


def _latex_note(cell: Cell) -> str:
    words = escape_latex(" ".join(filter(None, (cell.note, cell.remark))))
    return rf"{{\scriptsize {words}}}" if words else ""
