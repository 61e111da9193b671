"""CSV text whose cells a spreadsheet reads as data: text that it would run as a formula gets an apostrophe in front.

Every CSV file of this project is written with `csv_line` or `csv_text`, and read with `read_csv` or `restored`, which
removes the apostrophe again. So each text reads back equal.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

_START: Final = r"'*(?:\s*[=+\-@\uff1d\uff0b\uff0d\uff20]| *[\t\r\n])"
"""Start of a formula: = + - @ (also of full width), tab or line end; after spaces and apostrophes."""
_FORMULA: Final = re.compile(_START)
_ESCAPED: Final = re.compile(f"'{_START}")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")


def inert(text: str) -> str:
    """Return text with an apostrophe in front if a spreadsheet would run it as a formula; a number is unchanged.

    >>> inert("=1+1"), inert("A017"), inert("-3.5"), inert("-3.5+1"), inert("'=1")
    ("'=1+1", 'A017', '-3.5', "'-3.5+1", "''=1")
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def restored(cell: str) -> str:
    """Return the text of which `inert` made this cell.

    >>> restored("'=1+1"), restored("'A017"), restored("-3.5"), restored("''=1")
    ('=1+1', "'A017", '-3.5', "'=1")
    """
    return cell[1:] if _ESCAPED.match(cell) else cell


def quoted_line(fields: Iterable[str]) -> str:
    r"""Return one row of a CSV file with a line feed at its end; the fields are unchanged, so they may be formulas.

    >>> quoted_line(["a,b", "c\rd", "e"])
    '"a,b","c\rd",e\n'
    """
    # Before Python 3.13 a lone carriage return is quoted only if the line end has one.
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerow(fields)
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def csv_line(cells: Iterable[object]) -> str:
    r"""Return one row of a CSV file with a line feed at its end; text is inert, and None is an empty field.

    >>> csv_line(["=1+1", "a,b", None, -3.5, 2])
    '\'=1+1,"a,b",,-3.5,2\n'
    """
    return quoted_line(_field(cell) for cell in cells)


def _field(cell: object) -> str:
    return inert(cell) if isinstance(cell, str) else "" if cell is None else str(cell)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return the rows as the text of a CSV file; cells as in `csv_line`."""
    return "".join(map(csv_line, rows))


def csv_records(text: str, *, delimiter: str = ",", most: int | None = None) -> list[list[str]]:
    r"""Return the records of CSV text (the first `most`), with those of blank lines; each cell is `restored`.

    Raises:
        csv.Error: it is not CSV.

    >>> csv_records("a,b\n'=1+1,2\n")
    [['a', 'b'], ['=1+1', '2']]
    """
    records = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    return [[restored(cell) for cell in record] for record in islice(records, most)]


def csv_rows(text: str) -> list[dict[str, str]]:
    r"""Return the rows of CSV text by column, without blank lines; cells that a row does not have are missing.

    Raises:
        csv.Error: it is not CSV.

    >>> csv_rows("a,b\n'=1+1,2\n")
    [{'a': '=1+1', 'b': '2'}]
    """
    header, *records = csv_records(text) or [[]]
    # not strict: a row may be shorter than the header
    return [dict(zip(header, record, strict=False)) for record in records if record]
