"""One table as CSV (addresses, text and n of each cell) and as Markdown (labels and text)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Final

from liverspleen.errors import one_line
from liverspleen.evaluation.measurements.table import csv_line, inert
from liverspleen.evaluation.reporting.cells import Cell
from liverspleen.evaluation.reporting.table_layout import TableLayout

_MARKUP: Final = re.compile(r"([\\`*_\[\]<>|&$~#])")

_WIDEST_CELL: Final = 40  # characters beyond which a cell is broken into lines where room is short
_BREAK: Final = re.compile(r"(?<![<±]) (?![±%]|[^(]*\))")  # where a cell may be broken: not within parentheses


def csv_text(layout: TableLayout) -> str:
    """The table as CSV: `row`, then per column its text and its n (`liver, liver_n, …`).

    Names that come from the data cannot run as formulas (`read_table_csv` gives them back as they were); our own
    numbers stay as they are.
    """
    names = [name for column, _ in layout.columns for name in (inert(column), inert(f"{column}_n"))]
    lines = [csv_line(["row", *names])]
    for row, _, cells in layout.rows:
        lines.append(csv_line([inert(row), *(field for cell in cells for field in _text_and_n(cell))]))
    return "".join(lines)


def read_table_csv(text: str) -> list[list[str]]:
    r"""The header and rows of a table that `csv_text` wrote; names are what they were in the data.

    >>> read_table_csv("row,liver,liver_n\n'=1+1,-0.17 ± 3.07,30\n")
    [['row', 'liver', 'liver_n'], ['=1+1', '-0.17 ± 3.07', '30']]
    """
    header, *records = csv.reader(io.StringIO(text, newline=""), strict=True)
    return [[*map(_disarmed, header)], *([_disarmed(cells[0]), *cells[1:]] for cells in records)]


def markdown_text(layout: TableLayout) -> str:
    """The table as Markdown with its title, the n of each row, and the footnote."""
    header, *rows = grid(layout)
    lines = [[*map(escaped, header)], ["---", *("---:" for _ in header[1:])]]
    lines += [[escaped(label), *cells] for label, *cells in rows]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{escaped(layout.title)}**\n\n{body}\n\n{escaped(layout.footnote)}\n"


def grid(layout: TableLayout) -> list[list[str]]:
    """The table as it is printed: the line of labels, then the rows; n of each row last, where the table shows it."""
    lines = [["", *(label for _, label in layout.columns)]]
    lines += [[label, *(cell.text if cell else "" for cell in cells)] for _, label, cells in layout.rows]
    if layout.shows_n:
        column = ["n", *(_row_n(cells) for _, _, cells in layout.rows)]
        lines = [[*line, n] for line, n in zip(lines, column, strict=True)]
    return lines


def column_widths(lines: Sequence[Sequence[str]], page: int) -> list[float]:
    """Characters that each column gets of a page of so many: what it needs, if all of it fits.

    Else its longest word at least, then the labels of rows, then a fraction of what the other cells want.

    >>> column_widths([["", "DSS"], ["Total", "0.973 ± 0.019"]], 96)
    [5.0, 13.0]
    """
    columns = list(zip(*lines, strict=True))
    longest = [max(map(len, column)) for column in columns]
    if sum(longest) < page:
        return [*map(float, longest)]
    words = [min(max(len(word) for text in column for word in _BREAK.split(text)), _WIDEST_CELL) for column in columns]
    wanted = [max(min(whole, _WIDEST_CELL) - word, 0) for word, whole in zip(words, longest, strict=True)]
    room = max(page - sum(words), 0)
    labels = min(wanted[0], room)
    scale = (room - labels) / (sum(wanted[1:]) or 1)
    return [words[0] + labels, *(word + scale * want for word, want in zip(words[1:], wanted[1:], strict=True))]


def _text_and_n(cell: Cell | None) -> tuple[str, str]:
    return ("", "") if cell is None else (cell.text, str(cell.n) if cell.n or cell.method != "none" else "")


def _row_n(cells: tuple[Cell | None, ...]) -> str:
    """The n of the cells of a row, each number once, in column order."""
    return " / ".join(dict.fromkeys(n for cell in cells if (n := _text_and_n(cell)[1])))


def _disarmed(name: str) -> str:
    """What `inert` was given."""
    return name[1:] if name.startswith("'") and inert(name[1:]) == name else name


def escaped(text: str) -> str:
    """Foreign text as one line of Markdown without markup."""
    return _MARKUP.sub(r"\\\1", one_line(text))
