"""Several tables of measurements as one: what one reader and one case are must be the same in all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.evaluation.measurements.validation import NUMBERS

_OF_THE_CASE: Final = ("patient_id", "dataset", "condition", "site")
_KEY: Final = ("case_id", "structure", "reader", "reference")
_SAME: Final = 1e-6  # relative; another program may have printed fewer digits

Row = dict[str, Any]


def merge_measurements(tables: Sequence[Measurements]) -> Measurements:
    """One table of all rows; rows that stand in several tables are kept once.

    What a table does not say of a case (no condition, the case as its own patient) is taken from one that does. The
    vocabulary is that of the first table.

    Raises:
        InputError: LS-CMP-001 two tables give one reader different numbers for the same structure of a case, LS-CMP-002
            they say different things of a case.
    """
    import pandas

    if len(tables) == 1:
        return tables[0]
    origins: list[tuple[Path | None, Row]] = [
        (table.source, {str(name): value for name, value in row.items()})
        for table in tables
        for row in table.table.to_dict("records")
    ]
    facts, issues = _facts(origins)
    kept: dict[tuple[str, ...], tuple[Path | None, Row]] = {}
    volumes: dict[tuple[str, ...], tuple[Path | None, Row]] = {}
    for source, row in origins:
        row.update(facts[row["case_id"]])
        key = tuple(row[name] for name in _KEY)
        known_source, known = kept.setdefault(key, (source, row))
        if known is not row:
            issues += _differences(known, row, NUMBERS, known_source, source)
        elif volumes.setdefault(key[:3], (source, row))[1] is not row:
            other_source, other = volumes[key[:3]]
            issues += _differences(other, row, ("volume_cm3",), other_source, source)
    if issues:
        raise InputError(dict.fromkeys(issues))
    merged = pandas.DataFrame([row for _, row in kept.values()], columns=_columns(tables))
    return Measurements(merged, vocabulary=tables[0].vocabulary)


def _columns(tables: Sequence[Measurements]) -> list[str]:
    return list(dict.fromkeys(column for table in tables for column in table.table.columns))


def _facts(origins: Sequence[tuple[Path | None, Row]]) -> tuple[dict[str, Row], list[Issue]]:
    """Patient, dataset, condition and site by case, and where two tables contradict each other."""
    facts: dict[str, Row] = {}
    issues: list[Issue] = []
    for source, row in origins:
        case_id = row["case_id"]
        known = facts.setdefault(case_id, {name: row[name] for name in _OF_THE_CASE})
        for name in _OF_THE_CASE:
            unsaid = case_id if name == "patient_id" else ""
            if known[name] == unsaid:
                known[name] = row[name]
            elif row[name] not in (unsaid, known[name]):
                message = f"column {name!r}: {row[name]!r} differs from {known[name]!r} in another table"
                issues.append(Issue("LS-CMP-002", message, "measure all readers with one cohort", case_id, source))
    return facts, issues


def _differences(
    known: Row, row: Row, names: Sequence[str], known_source: Path | None, source: Path | None
) -> Iterator[Issue]:
    for name in names:
        first, second = known[name], row[name]
        if math.isnan(first) and math.isnan(second):
            continue
        if not math.isclose(first, second, rel_tol=_SAME, abs_tol=1e-12):
            message = (
                f"{row['structure']} of reader {row['reader']!r}, column {name!r}: {second:g} differs from {first:g} "
                f"in '{known_source}'"
            )
            hint = "name each reader differently (measure reader=NAME), and measure all against the same references"
            yield Issue("LS-CMP-001", message, hint, row["case_id"], source)
            return  # the other columns follow from the same cause
