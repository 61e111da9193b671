"""Cells of the additional tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from liverspleen.evaluation.measurements.readings import PatientPair
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import Address, Cell


def number_cell(
    table: str,
    row: str,
    column: str,
    value: float | None,
    result: Any,
    sample: Mapping[str, Any],
    *,
    digits: int,
    units: str = "1",
    also: Mapping[str, float | None] | None = None,
) -> Cell:
    """Return a cell with one number, printed with `digits` decimals."""
    return Cell(
        Address(table, row, column),
        values={"value": value, **(also or {})},
        units=units,
        text=formatting.fixed(value, digits),
        method=result.method,
        reason=result.reason,
        **sample,
    )


def p_cell(
    table: str,
    row: str,
    column: str,
    p: float | None,
    result: Any,
    sample: Mapping[str, Any],
    *,
    also: Mapping[str, float | None] | None = None,
) -> Cell:
    """Return a cell with a p value."""
    return Cell(
        Address(table, row, column),
        values={"p": p, **(also or {})},
        units="1",
        text=formatting.precise_p_text(p),
        method=result.method,
        reason=result.reason,
        **sample,
    )


def complete_pairs_of(pairs: Sequence[PatientPair], scores: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    """Return the cases of the pairs with two scores as `rows`, the others as `excluded`."""
    complete = [not (math.isnan(scores[pair.first]) or math.isnan(scores[pair.second])) for pair in pairs]
    return split_pairs(pairs, [position for position, kept in enumerate(complete) if kept])


def split_pairs(pairs: Sequence[PatientPair], positions: Iterable[int]) -> dict[str, tuple[str, ...]]:
    """Return the cases of the pairs at these positions as `rows`, the others as `excluded`."""
    inside = set(positions)
    cases = [(pair.first, pair.second) for pair in pairs]
    return {
        "rows": tuple(case for position, both in enumerate(cases) if position in inside for case in both),
        "excluded": tuple(case for position, both in enumerate(cases) if position not in inside for case in both),
    }


def split(cases: Sequence[str], included: Sequence[bool]) -> dict[str, tuple[str, ...]]:
    """Return the included cases as `rows`, the others as `excluded`."""
    return {
        "rows": tuple(case for case, inside in zip(cases, included, strict=True) if inside),
        "excluded": tuple(case for case, inside in zip(cases, included, strict=True) if not inside),
    }
