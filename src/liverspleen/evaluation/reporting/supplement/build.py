"""Building blocks of the cells beyond the paper."""

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
    about: Mapping[str, Any],
    *,
    digits: int,
    units: str = "1",
    also: Mapping[str, float | None] | None = None,
) -> Cell:
    """A number with its digits."""
    return Cell(
        Address(table, row, column),
        values={"value": value, **(also or {})},
        units=units,
        text=formatting.fixed(value, digits),
        method=result.method,
        reason=result.reason,
        **about,
    )


def p_cell(
    table: str,
    row: str,
    column: str,
    p: float | None,
    result: Any,
    about: Mapping[str, Any],
    *,
    also: Mapping[str, float | None] | None = None,
) -> Cell:
    """A p."""
    return Cell(
        Address(table, row, column),
        values={"p": p, **(also or {})},
        units="1",
        text=formatting.p_text(p),
        method=result.method,
        reason=result.reason,
        **about,
    )


def complete_pairs_of(pairs: Sequence[PatientPair], scores: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    """The cases of the pairs with two scores as `rows`, the others as `excluded`."""
    whole = [not (math.isnan(scores[pair.first]) or math.isnan(scores[pair.second])) for pair in pairs]
    return split_pairs(pairs, [position for position, kept in enumerate(whole) if kept])


def split_pairs(pairs: Sequence[PatientPair], positions: Iterable[int]) -> dict[str, tuple[str, ...]]:
    """The cases of the pairs at these positions as `rows`, the others as `excluded`."""
    inside = set(positions)
    cases = [(pair.first, pair.second) for pair in pairs]
    return {
        "rows": tuple(case for position, both in enumerate(cases) if position in inside for case in both),
        "excluded": tuple(case for position, both in enumerate(cases) if position not in inside for case in both),
    }


def split(cases: Sequence[str], kept: Sequence[bool]) -> dict[str, tuple[str, ...]]:
    """The kept cases as `rows`, the others as `excluded`."""
    return {
        "rows": tuple(case for case, inside in zip(cases, kept, strict=True) if inside),
        "excluded": tuple(case for case, inside in zip(cases, kept, strict=True) if not inside),
    }
