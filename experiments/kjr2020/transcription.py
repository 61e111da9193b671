"""The published numbers in `published.csv`: one printed number per row."""

from __future__ import annotations

import csv
import operator
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import Final

from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.reporting.formatting import fixed

_RELATIONS: Final = {"<": operator.lt, "≤": operator.le, ">": operator.gt, "≥": operator.ge}
PUBLISHED: Final = Path(__file__).with_name("published.csv")
_COLUMNS: Final = ("id", "place", "row", "column", "quantity", "printed", "unit", "n", "note")


@dataclass(frozen=True)
class PrintedNumber:
    """A number as printed, with its place."""

    id: str
    place: str
    row: str
    column: str
    quantity: str
    printed: str
    unit: str = ""
    n: str = ""
    note: str = ""

    @property
    def interval(self) -> tuple[float, float]:
        """The values that round to the printed number; for a count the count.

        >>> PrintedNumber("a", "Table 2", "total", "liver", "mean", "0.973").interval
        (0.9725, 0.9735)
        """
        value, digits = self._value
        if self._relation:
            return (-inf, float(value)) if self._relation in "<≤" else (float(value), inf)
        half = Decimal(0) if self.quantity == "count" else Decimal(5).scaleb(-digits - 1)
        return float(value - half), float(value + half)

    def prints(self, value: float) -> str:
        """Return `value` with the printed digits, or the printed relation if it holds (else with one more digit).

        >>> PrintedNumber("a", "Table 2", "total", "liver", "mean", "0.973").prints(0.97251)
        '0.973'
        """
        bound, digits = self._value
        if not self._relation:
            return fixed(value, digits)
        return self.printed if _RELATIONS[self._relation](value, bound) else fixed(value, digits + 1)

    @property
    def _ascii(self) -> str:
        return self.printed.replace("−", "-").replace(",", "")

    @property
    def _relation(self) -> str:
        return self._ascii[:1] if self._ascii[:1] in _RELATIONS else ""

    @property
    def _value(self) -> tuple[Decimal, int]:
        """The number, and the count of printed decimals."""
        value = Decimal(self._ascii.removeprefix(self._relation).strip())
        return value, -int(value.as_tuple().exponent)

    def is_printed_by(self, text: str) -> bool:
        """Return whether `text` is the printed number, with any minus sign."""
        return text in (self.printed, self._ascii)


def read_published(path: Path = PUBLISHED) -> tuple[PrintedNumber, ...]:
    """Read the numbers in the order of the file.

    Raises:
        InputError: LS-EXP-011, a missing column, a repeated id, or a text that is not a number.
    """
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
            raise InputError(Issue("LS-EXP-011", f"no column {', '.join(missing)}", "add the column", file=path))
        numbers = tuple(PrintedNumber(**{name: row[name].strip() for name in _COLUMNS}) for row in reader)
    issues, seen = [], set()
    for number in numbers:
        if number.id in seen:
            issues.append(Issue("LS-EXP-011", f"id {number.id!r} is repeated", "rename one", file=path))
        seen.add(number.id)
        try:
            _ = number.interval
        except ArithmeticError:
            message = f"{number.id}: {number.printed!r} is not a number"
            issues.append(Issue("LS-EXP-011", message, "write one number as printed", file=path))
    if issues:
        raise InputError(issues)
    return numbers
