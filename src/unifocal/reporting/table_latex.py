"""Tables as LaTeX that fits a page: too many columns go on beneath, too many rows on the next page."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unifocal.reporting.latex_text import escape_latex
from unifocal.reporting.table import Cell, Table

# Points, of the article class at 10 pt, whose text is 345 pt wide and, on letter paper, 550 pt high.
TEXT_WIDTH = 340.0
TEXT_HEIGHT = 490.0
GAP = 8.0
LINE, NOTE_LINE, CAPTION_LINE = 9.5, 8.0, 12.0
FONT, NOTE_FONT, CAPTION_FONT = 8.5, 7.4, 10.0
BOLD = 1.17
MOST_HEADING = 62.0
WIDEST_NAMES = (112.0, 88.0, 72.0)
LONGEST_PIECE = 12
FLOATS_PER_RUN = 12
# Parts of an em in Computer Modern, by groups of alike characters.
_NARROW, _SLIM, _PLAIN = frozenset("ijl.,:;|'!I "), frozenset("cefrstz()[]/-{}"), frozenset("0123456789agoyvkx")
_WIDE = frozenset("mwMWQGOHNDK@%−×±≤≥+<>=↑↓")
STACK = (
    r"\providecommand{\stacked}[2]{\begin{tabular}[t]{@{}c@{}}#1\\[-1pt]\scriptsize #2\end{tabular}}"
    "% a value and, smaller, what belongs to it"
)


def to_latex(tables: Sequence[Table]) -> str:
    r"""The tables as LaTeX `table` environments; they need `\usepackage{booktabs}` only.

    They fit the text of the article class. Columns that a page is too narrow for follow in a block beneath, rows
    that it is too short for in a table marked as continued.
    """
    floats = [lines for table in tables for lines in _floats(table)]
    out = [STACK, ""]
    for place, lines in enumerate(floats):
        # LaTeX keeps a few dozen floats in hand and stops with an error at one more.
        out += [r"\clearpage", ""] if place and place % FLOATS_PER_RUN == 0 else []
        out += [*lines, ""]
    return "\n".join(out)


@dataclass(frozen=True)
class _Block:
    """Some columns of some rows."""

    lines: tuple[str, ...]
    height: float


def text_width(text: str, font: float) -> float:
    """About how wide a line of text is, in points, rather too wide than too narrow."""
    return font * sum(_em(character) for character in text)


def _em(character: str) -> float:
    if character in _WIDE:
        return 0.84
    if character in _NARROW:
        return 0.31
    if character in _SLIM:
        return 0.43
    if character in _PLAIN:
        return 0.52
    if character.isascii():
        return 0.72 if character.isupper() else 0.57
    # Accented letters are as wide as plain ones; what no font holds is set as its code point.
    return 0.72 if character.isalpha() and ord(character) < 0x250 else 3.9 if ord(character) > 0x2BFF else 0.8


def _floats(table: Table) -> Iterator[list[str]]:
    caption = table.caption
    room = TEXT_HEIGHT - CAPTION_LINE * (2 + text_width(caption, CAPTION_FONT) / TEXT_WIDTH)
    held: list[_Block] = []
    is_first = True
    for block in _blocks(table, room):
        if held and sum(each.height for each in held) + block.height > room:
            yield _float(caption, held, is_first=is_first)
            held, is_first = [], False
        held.append(block)
    yield _float(caption, held, is_first=is_first)


def _float(caption: str, blocks: Sequence[_Block], *, is_first: bool) -> list[str]:
    title = [rf"\caption{{{escape_latex(caption)}}}"] if is_first else []
    again = [r"\addtocounter{table}{-1}", r"\caption{(continued)}"] if not is_first else []
    return [
        r"\begin{table}[!htbp]",
        r"\centering",
        *title,
        *again,
        r"\footnotesize",
        r"\setlength{\tabcolsep}{4pt}",
        *(line for block in blocks for line in (r"\vspace{6pt}", "", *block.lines)),
        r"\end{table}",
    ]


def _blocks(table: Table, room: float) -> Iterator[_Block]:
    names = [_texts(table, place) for place in range(table.names)]
    widths = _name_widths(names, has_numbers=len(table.columns) >= table.names)
    free = TEXT_WIDTH - sum(width + GAP for width in widths)
    for columns in _groups([_number_width(table, place) for place in range(table.names, _count(table))], free):
        shown = [place + table.names for place in columns]
        numbers = [_number_width(table, place) for place in shown]
        heights = [_row_height(table, row, widths, shown) for row in range(len(table.rows))]
        head = LINE * 3 + 26
        for rows in _pages(heights, room - head):
            lines = _tabular(table, rows, shown, widths, numbers)
            yield _Block(tuple(lines), head + sum(heights[row] for row in rows))


def _count(table: Table) -> int:
    return 1 + len(table.columns)


def _title(table: Table, place: int) -> str:
    return (table.stub, *table.columns)[place]


def _cell(table: Table, row: int, place: int) -> Cell:
    name, cells = table.rows[row]
    return cells[place - 1] if place else Cell(name)


def _texts(table: Table, place: int) -> list[str]:
    return [_title(table, place), *(_cell(table, row, place).text for row in range(len(table.rows)))]


def _name_widths(names: Sequence[Sequence[str]], *, has_numbers: bool) -> list[float]:
    most = WIDEST_NAMES[min(len(names), len(WIDEST_NAMES)) - 1] if has_numbers else TEXT_WIDTH / len(names) - GAP
    return [min(max(text_width(text, FONT) for text in texts) + 4, most) for texts in names]


def _number_width(table: Table, place: int) -> float:
    cells = [_cell(table, row, place) for row in range(len(table.rows))]
    title = _title(table, place)
    pieces = title.replace("_", "_ ").replace("(", " (").replace("=", "= ").split() or [""]
    heading = max(text_width(piece[:LONGEST_PIECE], FONT) for piece in pieces)
    body = [text_width(cell.text, FONT * (BOLD if cell.strong else 1)) for cell in cells]
    notes = [text_width(note, NOTE_FONT) for cell in cells for note in _notes(cell)]
    # A heading of many words needs room, or it grows taller than the table.
    roomy = min(text_width(title, FONT) / 2.4, MOST_HEADING)
    return max(heading, roomy, *body, *notes, 14.0)


def _notes(cell: Cell) -> list[str]:
    return [part for part in (cell.note, cell.remark) if part]


def _groups(widths: Sequence[float], free: float) -> list[list[int]]:
    """Neighbouring columns, as many together as fit, the groups about equally full."""

    def split(limit: float) -> list[list[int]]:
        groups: list[list[int]] = [[]]
        used = 0.0
        for place, width in enumerate(widths):
            if groups[-1] and used + width + GAP > limit:
                groups.append([])
                used = 0.0
            groups[-1].append(place)
            used += width + GAP
        return groups

    fewest = len(split(free))
    total = sum(widths) + GAP * len(widths)
    for share in range(20):
        limit = min(free, total / fewest + (free - total / fewest) * share / 19)
        if len(split(limit)) == fewest:
            return split(limit)
    return split(free)


def _pages(heights: Sequence[float], room: float) -> Iterator[range]:
    start, used = 0, 0.0
    for row, height in enumerate(heights):
        if row > start and used + height > room:
            yield range(start, row)
            start, used = row, 0.0
        used += height
    yield range(start, len(heights))


def _row_height(table: Table, row: int, widths: Sequence[float], shown: Sequence[int]) -> float:
    named = [
        math.ceil(1.15 * text_width(_cell(table, row, place).text, FONT) / width) for place, width in enumerate(widths)
    ]
    notes = max(len(_notes(_cell(table, row, place))) for place in shown)
    return max(LINE * max(named), LINE + NOTE_LINE * notes) + 3.0


def _tabular(
    table: Table, rows: Sequence[int], shown: Sequence[int], widths: Sequence[float], numbers: Sequence[float]
) -> list[str]:
    kinds = "".join(rf"p{{{width:.0f}pt}}" for width in widths) + "c" * len(shown)
    titles = [
        rf"\parbox[b]{{{width:.0f}pt}}{{\{side} {escape_latex(_title(table, place), LONGEST_PIECE)}}}"
        for place, width, side in (
            *((place, width, "raggedright") for place, width in enumerate(widths)),
            *((place, width, "centering") for place, width in zip(shown, numbers, strict=True)),
        )
    ]
    return [
        rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}",
        r"\toprule",
        rf"{' & '.join(titles)} \tabularnewline",
        r"\midrule",
        *(_line(table, row, shown, len(widths)) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        "",
    ]


def _line(table: Table, row: int, shown: Sequence[int], names: int) -> str:
    named = [rf"\raggedright {escape_latex(_cell(table, row, place).text, LONGEST_PIECE)}" for place in range(names)]
    cells = [_latex_cell(_cell(table, row, place)) for place in shown]
    return rf"{' & '.join([*named, *cells])} \tabularnewline[1.5pt]"


def _latex_cell(cell: Cell) -> str:
    value = rf"\textbf{{{escape_latex(cell.text)}}}" if cell.strong else escape_latex(cell.text)
    notes = r"\\[-1pt]\scriptsize ".join(escape_latex(note) for note in _notes(cell))
    return rf"\stacked{{{value}}}{{{notes}}}" if notes else value
