"""Cells of a report: statistics of some cases, as numbers at full precision and as text in the form of the paper.

| cell | names in `values` | units |
|---|---|---|
| DSS of a group | `mean, sd, minimum, maximum` | 1 |
| limits of agreement | `bias, sd, half_width, loa_lower, loa_upper` | % |
| p value of a bias | `p, t, df` | 1 |
| p value between subgroups | `p, statistic, df` | 1 |
| p value between sites | `p, statistic, z` | 1 |
| percentage RC | `rc_pct, ci_lower, ci_upper, wcv_pct` | % |

A value is None if it is undefined; `reason` states why. `rows` lists the included cases, `excluded` the cases that
belong to the cell and could not be included. `n` is the number of observations: CT scans, or patients if each
observation is a pair of CT scans.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.statistics.bland_altman import BlandAltman
from liverspleen.evaluation.statistics.intervals import Interval
from liverspleen.evaluation.statistics.rank_tests import KruskalWallis, WilcoxonSignedRank
from liverspleen.evaluation.statistics.reproducibility import PercentageRC
from liverspleen.evaluation.statistics.samples import describe

if TYPE_CHECKING:
    import pandas

PAIRED: Final = " vs "
"""Separates the names of the two groups in the address of a row that compares them."""


@dataclass(frozen=True)
class Address:
    """Table, row and column of a cell; a row `head:tail` is a part of the row `head`."""

    table: str
    row: str
    column: str


@dataclass(frozen=True)
class Cell:
    """One entry of a table: values, text, n, method and cases; `reason` is None unless a value is undefined."""

    address: Address
    values: Mapping[str, float | None]
    units: str
    text: str
    n: int
    method: str
    rows: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    reason: str | None = None

    def __post_init__(self) -> None:
        if None not in self.values.values():
            object.__setattr__(self, "reason", None)

    def to_dict(self) -> dict[str, Any]:
        """Return the cell as a dict for JSON."""
        return {
            "table": self.address.table,
            "row": self.address.row,
            "column": self.address.column,
            "values": dict(self.values),
            "units": self.units,
            "text": self.text,
            "n": self.n,
            "method": self.method,
            "rows": list(self.rows),
            "excluded": list(self.excluded),
            "reason": self.reason,
        }


class Table(dict[str, dict[str, Cell]]):
    """The cells of one table by row and column, as in `table["total"]["liver"]`.

    >>> cells = [Cell(Address("t", row, "liver"), {"mean": mean, "sd": sd}, "1", text, n, "")
    ...          for row, mean, sd, text, n in (("total", 0.9625, 0.0125, "0.963 ± 0.013", 9),
    ...                                         ("fatty", 0.95, None, "0.950 ± –", 1))]
    >>> by_row(cells, "t").to_frame()
                   liver
    total  0.963 ± 0.013
    fatty      0.950 ± –
    >>> by_row(cells, "t").to_frame(values=True)
            liver
             mean      sd    n
    total  0.9625  0.0125  9.0
    fatty  0.9500     NaN  1.0
    """

    def to_frame(self, *, values: bool = False) -> pandas.DataFrame:
        """Return the table as a pandas DataFrame; index and columns are the names of its rows and columns.

        It contains the text that a report prints, empty if the table has no cell. With `values` it contains the
        numbers at full precision: float64, NaN where undefined. Its columns are then pairs of the column and the name
        of the value (`("liver", "mean")`), with `n` last.
        """
        import pandas

        if values:
            numbers = {row: _values(cells) for row, cells in self.items()}
            columns = pandas.MultiIndex.from_tuples(_value_columns(self), names=(None, None))
            listed = [[found.get(column) for column in columns] for found in numbers.values()]
            return pandas.DataFrame(listed, index=list(self), columns=columns, dtype="float64")
        names = list(dict.fromkeys(column for cells in self.values() for column in cells))
        texts = [[cells[name].text if name in cells else "" for name in names] for cells in self.values()]
        return pandas.DataFrame(texts, index=list(self), columns=names)


def by_row(cells: Iterable[Cell], table: str) -> Table:
    """Return the cells of one table by row and column; empty if there are none."""
    rows = Table()
    for cell in cells:
        if cell.address.table == table:
            rows.setdefault(cell.address.row, {})[cell.address.column] = cell
    return rows


def dss_cell(address: Address, scores: Mapping[str, float]) -> Cell:
    """Return the cell with mean ± SD (range) of the DSS; `scores` is the DSS by case, NaN where undefined."""
    result = describe(list(scores.values()))
    names = ("mean", "sd", "minimum", "maximum")
    return Cell(
        address,
        values={name: getattr(result, name) for name in names},
        units="1",
        text=formatting.dss_text(result.mean, result.sd, result.minimum, result.maximum),
        n=result.n,
        method=result.method,
        reason=result.reason,
        **defined(scores),
    )


def loa_cell(address: Address, result: BlandAltman, cases: Sequence[str]) -> Cell:
    """Return the cell with bias and limits of agreement of percent differences; `cases` has the order of the pairs."""
    limits = result.limits
    half_width = None if limits is None else limits.half_width
    return Cell(
        address,
        values={
            "bias": result.bias,
            "sd": result.sd,
            "half_width": half_width,
            "loa_lower": None if limits is None else limits.lower,
            "loa_upper": None if limits is None else limits.upper,
        },
        units=result.units,
        text=formatting.loa_text(result.bias, half_width),
        n=result.n,
        method=result.method,
        reason=result.reason,
        **included(cases, result.positions),
    )


def bias_p_cell(address: Address, result: BlandAltman, cases: Sequence[str]) -> Cell:
    """Return the cell with the p value of the bias against zero."""
    values = bias_test_values(result)
    return Cell(
        address,
        values=values,
        units="1",
        text=formatting.p_text(values["p"]),
        n=result.n,
        method="two-sided one-sample t-test of percent differences against zero"
        + ("" if result.clustered is None else " of the means of the patients"),
        reason=result.reason,
        **included(cases, result.positions),
    )


def bias_test_values(result: BlandAltman) -> dict[str, float | None]:
    """Return the p value of a bias with t and degrees of freedom, as values of a cell."""
    test = result.bias_test
    df = test.df if test is not None else result.n - 1 if result.n > 1 else None
    return {"p": None if test is None else test.p, "t": None if test is None else test.t, "df": df}


def subgroup_p_cell(address: Address, result: KruskalWallis, scores: Mapping[str, float]) -> Cell:
    """Return the cell with the Kruskal-Wallis test over the conditions; `scores` is the DSS of all cases with one."""
    empty = f"; groups without a value are excluded: {', '.join(result.empty_groups)}" if result.empty_groups else ""
    return Cell(
        address,
        values={"p": result.p, "statistic": result.statistic, "df": result.df},
        units="1",
        text=formatting.p_text(result.p),
        n=result.n,
        method=result.method + empty,
        reason=result.reason,
        **defined(scores),
    )


def site_p_cell(address: Address, result: WilcoxonSignedRank, rows: Sequence[str], excluded: Sequence[str]) -> Cell:
    """Return the cell with the Wilcoxon signed-rank test between the sites; n is the number of patients."""
    return Cell(
        address,
        values={"p": result.p, "statistic": result.statistic, "z": result.z_spss},
        units="1",
        text=formatting.p_text(result.p),
        n=result.n,
        method=result.method,
        rows=tuple(rows),
        excluded=tuple(excluded),
        reason=result.reason,
    )


def not_applicable_cell(address: Address) -> Cell:
    """Return the cell where the paper prints NA: it does not test differences between limits of agreement."""
    reason = "the paper does not test differences between limits of agreement"
    return Cell(address, {"p": None}, "1", formatting.NOT_APPLICABLE, 0, "none", reason=reason)


def rc_cell(address: Address, result: PercentageRC, pairs: Sequence[tuple[str, str]]) -> Cell:
    """Return the cell with percentage RC (95 % CI); n is the number of patients, `pairs` has their cases."""
    inside = set(result.positions)
    return Cell(
        address,
        values={"rc_pct": result.rc_pct, **bounds("ci", result.rc_ci), "wcv_pct": result.wcv_pct},
        units=result.units,
        text=formatting.rc_text(result.rc_pct, result.rc_ci),
        n=result.n,
        method=result.method,
        rows=tuple(case for position, pair in enumerate(pairs) if position in inside for case in pair),
        excluded=tuple(case for position, pair in enumerate(pairs) if position not in inside for case in pair),
        reason=result.reason,
    )


def bounds(name: str, interval: Interval | None) -> dict[str, float | None]:
    """Return the bounds of an interval as values of a cell."""
    lower, upper = interval or (None, None)
    return {f"{name}_lower": lower, f"{name}_upper": upper}


def defined(scores: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    """Return the cases with a score as `rows`, the others as `excluded`."""
    return {
        "rows": tuple(case for case, dss in scores.items() if not math.isnan(dss)),
        "excluded": tuple(case for case, dss in scores.items() if math.isnan(dss)),
    }


def included(cases: Sequence[str], positions: Sequence[int]) -> dict[str, tuple[str, ...]]:
    """Return the cases at these positions as `rows`, the others as `excluded`."""
    inside = set(positions)
    return {
        "rows": tuple(cases[position] for position in positions),
        "excluded": tuple(case for position, case in enumerate(cases) if position not in inside),
    }


def _values(cells: Mapping[str, Cell]) -> dict[tuple[str, str], float | None]:
    """Return the numbers of a row by column and name."""
    return {
        (column, name): value for column, cell in cells.items() for name, value in {**cell.values, "n": cell.n}.items()
    }


def _value_columns(table: Table) -> list[tuple[str, str]]:
    """Return the pairs of column and name in the order of the table, with `n` last in each column."""
    found = dict.fromkeys(pair for cells in table.values() for pair in _values(cells))
    columns = {column: position for position, column in enumerate(dict.fromkeys(column for column, _ in found))}
    return sorted(found, key=lambda pair: (columns[pair[0]], pair[1] == "n"))
