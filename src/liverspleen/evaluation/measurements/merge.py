"""Merge tables of measurements; a reader and a case must have the same values in all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from liverspleen.cohort.spellings import spelling_issues, spellings_between
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.table import MOST_ROWS, Measurements, too_many_rows
from liverspleen.evaluation.measurements.validation import HU_COLUMNS, IDS, NUMBERS

_CASE_COLUMNS: Final = ("patient_id", "dataset", "condition", "site")
_KEY: Final = ("case_id", "structure", "reader", "reference")
_SAME: Final = 1e-6  # relative; another program may have printed fewer digits

Row = dict[str, Any]


def merge_measurements(tables: Sequence[Measurements]) -> Measurements:
    """Merge all rows in one table; a row that is in several tables is kept once.

    If a table has no patient, dataset, condition or site for a case, the value comes from another table, and so do the
    columns of the attenuation, which a table has only if it was measured with the CT. The vocabulary is that of the
    first table.

    Raises:
        InputError: LS-CMP-001 two tables have different numbers of one reader for the same structure of a case,
            LS-CMP-002 they have different patients, datasets, conditions or sites for a case, LS-IDN-010 they write an
            id with different Unicode characters, LS-REP-053 they have more than 500 000 rows together.
    """
    import pandas

    if len(tables) == 1:
        return tables[0]
    if (rows := sum(len(table.table) for table in tables)) > MOST_ROWS:
        raise too_many_rows(f"the tables have {rows} rows together, expected at most {MOST_ROWS}", tables[0].source)
    origins: list[tuple[Path | None, Row]] = [
        (table.source, {str(name): value for name, value in row.items()})
        for table in tables
        for row in table.table.to_dict("records")
    ]
    facts, issues = _facts(origins)
    similar: list[Issue] = []
    for issue in _several_spellings(tables):
        (issues if issue.severity == "error" else similar).append(issue)
    kept: dict[tuple[str, ...], tuple[Path | None, Row]] = {}
    volumes: dict[tuple[str, ...], tuple[Path | None, Row]] = {}
    for source, row in origins:
        row.update(facts[row["case_id"]])
        key = tuple(row[name] for name in _KEY)
        known_source, known = kept.setdefault(key, (source, row))
        if known is not row:
            _share_attenuation(known, row)
            issues += _differences(known, row, NUMBERS, known_source, source)
        elif volumes.setdefault(key[:3], (source, row))[1] is not row:
            other_source, other = volumes[key[:3]]
            issues += _differences(other, row, ("volume_cm3",), other_source, source)
    if issues:
        raise InputError(dict.fromkeys(issues))
    merged = pandas.DataFrame([row for _, row in kept.values()], columns=_columns(tables))
    warnings = [issue for table in tables for issue in table.issues] + similar
    return Measurements(merged, vocabulary=tables[0].vocabulary, issues=tuple(warnings))


def _several_spellings(tables: Sequence[Measurements]) -> Iterator[Issue]:
    """Yield the issues of cases, patients and readers whose spellings are not all in one table."""
    names = [f"'{table.source}'" if table.source else f"table {number}" for number, table in enumerate(tables, 1)]
    cases: set[str] = set()
    for kind, columns in IDS.items():
        texts = {
            name: {text for column in columns for text in table.table[column] if text} - cases
            for name, table in zip(names, tables, strict=True)
        }
        if kind == "case_id":  # the default patient of a case
            cases = set().union(*texts.values())
        yield from spelling_issues(kind, spellings_between(texts))


def _columns(tables: Sequence[Measurements]) -> list[str]:
    return list(dict.fromkeys(column for table in tables for column in table.table.columns))


def _facts(origins: Sequence[tuple[Path | None, Row]]) -> tuple[dict[str, Row], list[Issue]]:
    """Return patient, dataset, condition and site by case, and an issue for each contradiction between tables."""
    facts: dict[str, Row] = {}
    issues: list[Issue] = []
    for source, row in origins:
        case_id = row["case_id"]
        known = facts.setdefault(case_id, {name: row[name] for name in _CASE_COLUMNS})
        for name in _CASE_COLUMNS:
            default = case_id if name == "patient_id" else ""
            if known[name] == default:
                known[name] = row[name]
            elif row[name] not in (default, known[name]):
                message = f"column {name!r}: {row[name]!r} differs from {known[name]!r} in another table"
                issues.append(Issue("LS-CMP-002", message, "measure all readers with the same cohort", case_id, source))
    return facts, issues


def _share_attenuation(known: Row, row: Row) -> None:
    """Give the attenuation of two rows of the same label map to both, if one of them was measured without the CT."""
    for first, second in ((known, row), (row, known)):
        if not first["hu_status"] and math.isnan(first["hu_mean"]):
            first.update({name: second[name] for name in HU_COLUMNS})


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
            hint = "give each reader its own name (measure reader=NAME), and use the same references for all"
            yield Issue("LS-CMP-001", message, hint, row["case_id"], source)
            return  # the other columns have the same cause
