"""Reader of `published.csv`: the printed numbers of a publication, one per row.

| column | meaning |
|---|---|
| `id` | stable and readable, such as `table3.cirrhosis.liver.bias` |
| `place` | where it is printed: `Table 3`, `Abstract` |
| `row`, `column` | the cell of that table, or the subject of the sentence |
| `quantity` | a key of `QUANTITIES` |
| `printed` | the text of this one number, as printed: `0.974`, `< 0.001` |
| `unit` | `%`, `cm3`, `1`, … |
| `n` | the sample size; empty if it is not stated |
| `note` | a remark, repeated with each finding |
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Final

from liverspleen.audit.intervals import Interval
from liverspleen.audit.printed import Printed, Reading, read_printed
from liverspleen.errors import InputError, Issue
from liverspleen.reading import read_csv
from liverspleen.storage import StrPath

COLUMNS: Final = ("id", "place", "row", "column", "quantity", "printed", "unit", "n", "note")

_ANY: Final = Interval(-inf, inf)
_NOT_NEGATIVE: Final = Interval(Fraction(0), inf)

QUANTITIES: Final[dict[str, Interval]] = {
    "count": _NOT_NEGATIVE,
    "percent": Interval.of(0, 100),
    "mean": _ANY,
    "sd": _NOT_NEGATIVE,
    "minimum": _ANY,
    "maximum": _ANY,
    "p": Interval.of(0, 1),
    "statistic": _ANY,
    "bias": _ANY,
    "half_width": _NOT_NEGATIVE,
    "lower": _ANY,
    "upper": _ANY,
    "rc": _NOT_NEGATIVE,
    "rc_lower": _NOT_NEGATIVE,
    "rc_upper": _NOT_NEGATIVE,
    "lowest": _ANY,
    "highest": _ANY,
    "bound": _ANY,
    "value": _ANY,
}
"""The quantities, with their possible values. `percent` is a part of a whole; `half_width` is 1.96 SD; `lowest`,
`highest` and `bound` are statements in a sentence about other numbers; `value` is anything else."""


@dataclass(frozen=True)
class PublishedNumber:
    """One printed number and its place."""

    id: str
    place: str
    row: str
    column: str
    quantity: str
    printed: Printed
    unit: str
    n: int | None
    note: str

    def values(self, reading: Reading) -> Interval:
        """Return the values that the number may have before rounding; a count is exact."""
        if self.quantity == "count" and not self.printed.relation and self.printed.is_whole:
            return Interval.of(self.printed.value)
        represented = self.printed.values(reading)
        possible = represented.common(QUANTITIES[self.quantity])
        return represented if possible.is_empty else possible


@dataclass(frozen=True)
class Published:
    """The numbers of a file by id, in its order, and an issue LS-AUD-002 for each row that is not valid."""

    numbers: Mapping[str, PublishedNumber]
    issues: tuple[Issue, ...] = ()


def read_published(path: StrPath) -> Published:
    """Read the numbers from a file.

    Raises:
        InputError: LS-AUD-001, the file cannot be read, or has no rows or not all columns.
    """
    path = Path(path)
    try:
        header, *records = read_csv(path) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        hint = "give a CSV file in UTF-8 with a header"
        raise InputError(Issue("LS-AUD-001", f"cannot be read: {error}", hint, file=path)) from error
    rows = [(number, cells) for number, cells in enumerate(records, start=2) if cells]
    if missing := [name for name in COLUMNS if not rows or name not in header]:
        message = f"has no rows, or no column {', '.join(missing)}"
        raise InputError(Issue("LS-AUD-001", message, f"give the columns {','.join(COLUMNS)}", file=path))
    numbers: dict[str, PublishedNumber] = {}
    issues = []
    for line, cells in rows:
        try:
            if len(cells) != len(header):
                raise ValueError("the number of fields differs from the number of columns")
            number = _number(dict(zip(header, cells, strict=True)))
            if number.id in numbers:
                raise ValueError(f"id {number.id!r} is used twice")
        except ValueError as error:
            issues.append(Issue("LS-AUD-002", f"row {line}: {error}", "correct the row", file=path))
        else:
            numbers[number.id] = number
    return Published(numbers, tuple(issues))


def _number(record: Mapping[str, str]) -> PublishedNumber:
    fields = {name: record[name].strip() for name in COLUMNS}
    if not fields["id"]:
        raise ValueError("id is empty")
    if fields["quantity"] not in QUANTITIES:
        raise ValueError(f"quantity {fields['quantity']!r} is not one of {', '.join(QUANTITIES)}")
    n = fields.pop("n")
    printed = read_printed(fields.pop("printed"))
    if n and not (n.isascii() and n.isdigit() and 0 < len(n) < 10 and int(n) > 0):
        raise ValueError(f"n is {n!r}, expected a positive whole number")
    return PublishedNumber(**fields, printed=printed, n=int(n) if n else None)
