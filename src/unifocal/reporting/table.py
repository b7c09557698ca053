"""A table as data, and the same table as Markdown and CSV."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MARKDOWN_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\|`*_<>[]#~$"})
BOUNDS = ("lower", "upper")


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What it says.
        note: A second, smaller line, for instance an interval.
        remark: A third one, for instance how many values are undefined.
        strong: Whether it stands out (the best of its column, a significant difference).
        numbers: The same for programs, unrounded: the value alone, or with its lower and upper bound. Empty where
            the cell holds words.
    """

    text: str
    note: str = ""
    remark: str = ""
    strong: bool = False
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table: each row has a name and one cell per further column.

    Attributes:
        caption: What it shows and how to read it.
        stub: The title of the first column.
        columns: The titles of the others.
        rows: Each row's name and cells.
        names: How many of the first columns hold names, not numbers (a pair of losses: two).
        row_metrics: The key of each row's metric; empty where rows are no metrics.
        name: Of its files. Tables of one name stand in one file and have the same columns.
        title: What tells it from the others of its name, in few words.
        about: The same for programs: pairs of a column and the value that all rows have in it.
    """

    caption: str
    stub: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    names: int = 1
    row_metrics: tuple[str, ...] = ()
    name: str = ""
    title: str = ""
    about: tuple[tuple[str, str], ...] = ()


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


def to_csv(tables: Sequence[Table]) -> str:
    """Tables with the same columns as one CSV: numbers unrounded, bounds in columns of their own, nothing if undefined.

    The columns of `about` come first, then the key of the row's metric where there is one.
    """
    first = tables[0]
    widths = [_numbers_in(tables, place) for place in range(len(first.columns))]
    header = [key for key, _ in first.about]
    header += ["metric"] if first.row_metrics else []
    header.append(first.stub)
    for title, width in zip(first.columns, widths, strict=True):
        header += [title, *(f"{title}: {bound}" for bound in BOUNDS[: max(width, 1) - 1])]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for table in tables:
        writer.writerows(_csv_rows(table, widths))
    return buffer.getvalue()


def _numbers_in(tables: Sequence[Table], place: int) -> int:
    return max((len(cells[place].numbers) for table in tables for _, cells in table.rows), default=0)


def _csv_rows(table: Table, widths: Sequence[int]) -> Iterator[list[str]]:
    metrics = [[metric] for metric in table.row_metrics] or [[]] * len(table.rows)
    for metric, (name, cells) in zip(metrics, table.rows, strict=True):
        row = [*(value for _, value in table.about), *metric, name]
        for cell, width in zip(cells, widths, strict=True):
            row += [_exact(value) for value in cell.numbers] if width else [cell.text]
            row += [""] * (width - len(cell.numbers))
        yield row


def _exact(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""
