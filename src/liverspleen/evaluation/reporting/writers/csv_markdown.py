"""One table as CSV (addresses, text and n of each cell) and as Markdown (labels and text)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from liverspleen.errors import one_line
from liverspleen.evaluation.reporting.cells import Cell
from liverspleen.evaluation.reporting.table_layout import TableLayout
from liverspleen.spreadsheet import csv_records, inert, quoted_line

_MARKUP: Final = re.compile(r"([\\`*_\[\]<>|&$~#])")

_PRINTED: Final = re.compile(r"[+-]?\d[\d.]*(?:$| [±(])")

_WIDEST_CELL: Final = 40  # maximum characters of a line of a cell on a narrow page
_BREAK: Final = re.compile(r"(?<![<±]) (?![±%]|[^(]*\))")  # possible line breaks in a cell: not within parentheses


def csv_text(layout: TableLayout) -> str:
    """Return the table as CSV: `row`, then text and n of each column (`liver, liver_n, …`).

    Names from the data cannot run as formulas; `read_table_csv` restores them. Numbers are unchanged.
    """
    names = [name for column, _ in layout.columns for name in (inert(column), inert(f"{column}_n"))]
    lines = [quoted_line(["row", *names])]
    for row, _, cells in layout.rows:
        lines.append(quoted_line([inert(row), *(field for cell in cells for field in _fields(cell))]))
    return "".join(lines)


def read_table_csv(text: str) -> list[list[str]]:
    r"""Return the header and rows of a table of `csv_text`, with the names as they are in the data.

    >>> read_table_csv("row,liver,liver_n\n'=1+1,-0.17 ± 3.07,30\n")
    [['row', 'liver', 'liver_n'], ['=1+1', '-0.17 ± 3.07', '30']]
    """
    return csv_records(text)


def markdown_text(layout: TableLayout) -> str:
    """Return the table as Markdown with its title, the n of each row, and the footnote."""
    header, *rows = grid(layout)
    lines = [[*map(escaped, header)], ["---", *("---:" for _ in header[1:])]]
    lines += [[escaped(label), *cells] for label, *cells in rows]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{escaped(layout.title)}**\n\n{body}\n\n{escaped(layout.footnote)}\n"


def grid(layout: TableLayout) -> list[list[str]]:
    """Return the printed table: a line of labels, then the rows; n is the last column if the table shows it."""
    lines = [["", *(label for _, label in layout.columns)]]
    lines += [[label, *(cell.text if cell else "" for cell in cells)] for _, label, cells in layout.rows]
    if layout.shows_n:
        column = ["n", *(_row_n(cells) for _, _, cells in layout.rows)]
        lines = [[*line, n] for line, n in zip(lines, column, strict=True)]
    return lines


def column_widths(lines: Sequence[Sequence[str]], page: int) -> list[float]:
    """Return the width of each column in characters on a page of `page` characters.

    If the table fits, each column has the width of its longest cell. Otherwise each has at least the width of its
    longest word; the remaining width goes first to the row labels, then in proportion to the other columns.

    >>> column_widths([["", "DSS"], ["Total", "0.973 ± 0.019"]], 96)
    [5.0, 13.0]
    """
    columns = list(zip(*lines, strict=True))
    longest = [max(map(len, column)) for column in columns]
    if sum(longest) < page:
        return [*map(float, longest)]
    words = [min(max(len(word) for text in column for word in _BREAK.split(text)), _WIDEST_CELL) for column in columns]
    extras = [max(min(width, _WIDEST_CELL) - word, 0) for word, width in zip(words, longest, strict=True)]
    remaining = max(page - sum(words), 0)
    labels = min(extras[0], remaining)
    scale = (remaining - labels) / (sum(extras[1:]) or 1)
    return [words[0] + labels, *(word + scale * extra for word, extra in zip(words[1:], extras[1:], strict=True))]


def _fields(cell: Cell | None) -> tuple[str, str]:
    """Return text and n as fields of a CSV file; a number with its interval or SD is no formula."""
    text, n = _text_and_n(cell)
    return text if _PRINTED.match(text) else inert(text), n


def _text_and_n(cell: Cell | None) -> tuple[str, str]:
    return ("", "") if cell is None else (cell.text, str(cell.n) if cell.n or cell.method != "none" else "")


def _row_n(cells: tuple[Cell | None, ...]) -> str:
    """Return the n of the cells of a row, each number once, in column order."""
    return " / ".join(dict.fromkeys(n for cell in cells if (n := _text_and_n(cell)[1])))


def escaped(text: str) -> str:
    """Return text as one line of Markdown without markup."""
    return _MARKUP.sub(r"\\\1", one_line(text))
