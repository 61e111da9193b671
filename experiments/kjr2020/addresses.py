"""Where each published number stands in the report of the cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from transcription import PrintedNumber

Key = tuple[str, str, str, str]
"""Table, row and column of a cell of the report, and the name of one of its values."""

_VALUES: Final = {"rc": "rc_pct", "rc_lower": "ci_lower", "rc_upper": "ci_upper"}


def address_of(number: PrintedNumber) -> Key | None:
    """The value of the report that this number is to be compared with; None if the report has none."""
    table, *words = number.id.split(".")
    if table not in ("table2", "table3", "table4", "reproducibility"):
        return None
    row, column = words[:2]
    if table == "table3" and number.quantity == "p":
        column += "_p"
    return table, row, column, _VALUES.get(number.quantity, number.quantity)


def values_of(report: Mapping[str, Any]) -> dict[Key, float]:
    """Every defined value of a `report.json` at full precision."""
    return {
        (cell["table"], cell["row"], cell["column"], name): value
        for cell in report["cells"]
        for name, value in cell["values"].items()
        if value is not None
    }


def reproduced(numbers: Iterable[PrintedNumber], values: Mapping[Key, float]) -> dict[str, float]:
    """The values by id of the published number."""
    addresses = {number.id: address_of(number) for number in numbers}
    return {name: values[key] for name, key in addresses.items() if key is not None and key in values}
