"""One table as CSV (addresses, text and n of each cell) and as Markdown (labels and text)."""

from __future__ import annotations

import csv
import io
import re
from typing import Final

from liverspleen.errors import one_line
from liverspleen.evaluation.cells import Cell
from liverspleen.evaluation.layout import TableLayout
from liverspleen.evaluation.measurements import inert

_MARKUP: Final = re.compile(r"([\\`*_\[\]<>|&])")


def csv_text(layout: TableLayout) -> str:
    """The table as CSV: `row`, then per column its text and its n (`liver, liver_n, …`).

    Names that come from the measurements cannot run as formulas; our own numbers stay as they are.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = [name for column, _ in layout.columns for name in (inert(column), inert(f"{column}_n"))]
    writer.writerow(["row", *names])
    for row, _, cells in layout.rows:
        writer.writerow([inert(row), *(field for cell in cells for field in _text_and_n(cell))])
    return buffer.getvalue()


def markdown_text(layout: TableLayout) -> str:
    """The table as Markdown with its title, the n of each row, and the footnote."""
    header = ["", *(_escaped(label) for _, label in layout.columns), "n"]
    lines = [header, ["---", *("---:" for _ in header[1:])]]
    lines += [[_escaped(label), *map(_text, cells), _row_n(cells)] for _, label, cells in layout.rows]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{_escaped(layout.title)}**\n\n{body}\n\n{_escaped(layout.footnote)}\n"


def _text_and_n(cell: Cell | None) -> tuple[str, str]:
    return ("", "") if cell is None else (cell.text, str(cell.n) if cell.n or cell.method != "none" else "")


def _text(cell: Cell | None) -> str:
    return "" if cell is None else cell.text


def _row_n(cells: tuple[Cell | None, ...]) -> str:
    """The n of the cells of a row, each number once, in column order."""
    return " / ".join(dict.fromkeys(n for cell in cells if (n := _text_and_n(cell)[1])))


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", one_line(text))
