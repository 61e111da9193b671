"""The cases of cells with very many of them: one file with a column per list, in place of a list in each cell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from liverspleen.evaluation.reporting.cells import Cell
from liverspleen.spreadsheet import csv_line

MOST_LISTED: Final = 2_000
"""A cell with more cases, included and excluded together, has them in `FILE`; 700 cells would fill the memory."""

FILE: Final = "cases.csv"
"""One row per case, one column per list: 1 included, 0 excluded, empty if the case does not belong to the cells."""


class CaseLists:
    """The lists of more than `MOST_LISTED` cases; each is named after the first cell that has it."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._names: dict[tuple[tuple[str, ...], tuple[str, ...]], str] = {}
        for cell in cells:
            if len(cell.rows) + len(cell.excluded) > MOST_LISTED:
                address = cell.address
                self._names.setdefault((cell.rows, cell.excluded), f"{address.table} {address.row} {address.column}")

    def to_dict(self, cell: Cell) -> dict[str, Any]:
        """Return the cell for JSON; a long list is the column `cases` of `FILE`, and `rows` and `excluded` are None."""
        name = self._names.get((cell.rows, cell.excluded))
        return cell.to_dict() if name is None else {**cell.to_dict(), "rows": None, "excluded": None, "cases": name}

    def files(self) -> dict[str, bytes]:
        """Return the content of `FILE` by name; empty if there is no long list."""
        if not self._names:
            return {}
        columns = [dict.fromkeys(rows, "1") | dict.fromkeys(excluded, "0") for rows, excluded in self._names]
        cases = sorted(set().union(*columns))
        lines = [csv_line(["case_id", *self._names.values()])]
        lines += [
            ",".join([csv_line([case])[:-1], *(column.get(case, "") for column in columns)]) + "\n" for case in cases
        ]
        return {FILE: "".join(lines).encode()}
