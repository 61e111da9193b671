"""Tables that people write with a spreadsheet or R: delimiter, decimal commas, and words for missing values."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable
from typing import Final

from liverspleen.spreadsheet import csv_records

MISSING_WORDS: Final = frozenset(
    {"NA", "N/A", "n/a", "#NA", "#N/A", "#N/A N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None"}
    | {"NaT", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"}
)
"""Words that R, Excel and pandas write for a missing value, or read as one; `pandas.read_csv` has the same list."""

CLEAR_NUMBERS: Final = "write numbers with a decimal point and without separators of thousands"
"""Hint for numbers that `has_decimal_commas` rejects."""

_DELIMITERS: Final = (",", ";", "\t")
_STATED: Final = re.compile(r'^"?sep=(.)"?[ \t,;]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
_NUMBER: Final = re.compile(r"[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_EITHER: Final = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def records_of(text: str, columns: Collection[str], *, most: int | None = None) -> tuple[list[list[str]], str]:
    r"""Return the records of a table (the first `most`), with those of blank lines, and its delimiter.

    The delimiter is that of a first line `sep=;`, which Excel writes and does not count as a row. Otherwise it is the
    one of comma, semicolon and tab by which the header has most of `columns`. Names in the header are stripped, and
    unnamed columns at its end are removed; rows lose empty cells beyond the header. Escaped formulas are restored.

    Raises:
        csv.Error: it is not CSV.

    >>> records_of("sep=;\na;b;\n1;2;\n", ["a", "b"])
    ([['a', 'b'], ['1', '2']], ';')
    """
    if stated := _STATED.match(text):
        text, delimiter = text[stated.end() :], stated[1]
    else:
        delimiter = max(_DELIMITERS, key=lambda one: len({*_header(text, one)} & {*columns}))  # the first of equals
    records = csv_records(text, delimiter=delimiter, most=most)
    if not records:
        return [], delimiter
    header = without_empty_end([name.strip() for name in records[0]], 0)
    return [header, *(without_empty_end(record, len(header)) for record in records[1:])], delimiter


def without_empty_end(cells: list[str], width: int) -> list[str]:
    """Return cells without the empty ones that spreadsheets append beyond `width`."""
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def has_decimal_commas(cells: Iterable[str], delimiter: str) -> bool:
    """Whether the numbers in these cells have decimal commas.

    A single comma before three digits (1,423) is a decimal comma if another cell shows it (0,97), or if the delimiter
    is a semicolon, which spreadsheets use only with decimal commas.

    Raises:
        ValueError: the cells do not show it, have both kinds of decimal separators, or separators of thousands.

    >>> has_decimal_commas(["295,001", "0,97"], ","), has_decimal_commas(["1423.5", ""], ";")
    (True, False)
    >>> has_decimal_commas(["1,423", "295,001"], ",")
    Traceback (most recent call last):
    ValueError: the number '1,423' may be 1423 or 1.423
    """
    stripped = [cell.strip() for cell in cells]
    commas = [cell for cell in stripped if "," in cell and _NUMBER.fullmatch(cell)]
    if not commas:
        return False
    for cell in commas:
        if not _DECIMAL_COMMA.fullmatch(cell):
            raise ValueError(f"the number {cell!r} has separators of thousands")
    if points := [cell for cell in stripped if "." in cell and _NUMBER.fullmatch(cell)]:
        raise ValueError(f"the number {commas[0]!r} has a comma, and {points[0]!r} has a point")
    if delimiter != ";" and all(_EITHER.fullmatch(cell) for cell in commas):
        raise ValueError(
            f"the number {commas[0]!r} may be {commas[0].replace(',', '')} or {commas[0].replace(',', '.')}"
        )
    return True


def _header(text: str, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter), [])
    except csv.Error:
        return []
    return [name.strip() for name in names]
