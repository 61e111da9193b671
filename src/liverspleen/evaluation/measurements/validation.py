"""Checks of `measurements.csv`; all issues of a file are raised together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liverspleen.cohort.spellings import spelling_issues, spellings_by_kind
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.metrics.attenuation import HU_STATUSES
from liverspleen.evaluation.metrics.volume import STATUSES
from liverspleen.organs import ORGAN_KEYS

REQUIRED: Final = ("case_id", "structure", "reader", "volume_cm3")
_CASE_COLUMNS: Final = ("patient_id", "dataset", "condition", "site")
_IDENTIFIERS: Final = ("case_id", "patient_id", "dataset", "condition", "site", "reader", "reference")

IDS: Final = {"case_id": ("case_id",), "patient_id": ("patient_id",), "reader": ("reader", "reference")}
"""The ids that may have several spellings, with their columns."""

_NOT_NEGATIVE: Final = (lambda value: value >= 0, "a number of 0 or more")
_FRACTION: Final = (lambda value: 0 <= value <= 1, "a number from 0 to 1")
_ANY: Final = (lambda value: True, "a number")
_RANGES: Final[dict[str, tuple[Callable[[float], bool], str]]] = {
    "volume_cm3": (lambda value: value >= 0, "a volume of 0 cm³ or more"),
    "volume_soft_cm3": (lambda value: value >= 0, "a volume of 0 cm³ or more"),
    "dss": _FRACTION,
    "iou": _FRACTION,
    "voxels": _NOT_NEGATIVE,
    "shared_voxels": _NOT_NEGATIVE,
    "volume_error_cm3": _ANY,
    "volume_error_pct": _ANY,
    "hd95_mm": _NOT_NEGATIVE,
    "assd_mm": _NOT_NEGATIVE,
    "nsd": _FRACTION,
    "nsd_tolerance_mm": _NOT_NEGATIVE,
    "hu_mean": _ANY,
    "hu_median": _ANY,
    "hu_sd": _NOT_NEGATIVE,
    "hu_voxels": _NOT_NEGATIVE,
    "hu_core_mm": _NOT_NEGATIVE,
}
NUMBERS: Final = tuple(_RANGES)
"""The columns with numbers; only `volume_cm3` is required."""
_CODES: Final = {"volume_cm3": "LS-MEA-006", "dss": "LS-MEA-007"}
HU_COLUMNS: Final = ("hu_mean", "hu_median", "hu_sd", "hu_voxels", "hu_core_mm", "hu_status")
"""The columns of the attenuation, see the module `attenuation`."""
_OF_ONE_READER: Final = ("volume_cm3", "volume_soft_cm3", "voxels", *HU_COLUMNS)
_COMPARISON_COLUMNS: Final = tuple(name for name in NUMBERS if name not in _OF_ONE_READER)
_OPTIONAL: Final = dict.fromkeys((*_CASE_COLUMNS, "volume_status", "reference", "hu_status", *NUMBERS), "")

Row = dict[str, str]


@dataclass(frozen=True)
class Record:
    """The cells of one row; `number` is the row number as in a spreadsheet, with the header as row 1."""

    number: int
    cells: tuple[str, ...]


def number_or_none(text: str) -> float | None:
    """Parse the number of a field; None if it is empty.

    Raises:
        ValueError: `text` is not a finite number in plain decimal notation.
    """
    if not text.strip():
        return None
    value = float(text) if "_" not in text else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def check_header(header: list[str], path: Path) -> None:
    """Reject a header that lacks a required column or repeats a column."""
    issues = []
    if missing := [name for name in REQUIRED if name not in header]:
        message = f"the header has no column {', '.join(map(repr, missing))}"
        issues.append(Issue("LS-MEA-002", message, "add the missing columns", file=path))
    for name in sorted({name for name in header if name and header.count(name) > 1}):
        issues.append(Issue("LS-MEA-002", f"the header repeats column {name!r}", "remove one", file=path))
    if issues:
        raise InputError(issues)


def check_records(header: list[str], records: list[Record], path: Path) -> list[Issue]:
    """Return the warnings of the rows.

    Raises:
        InputError: rows are incomplete, out of range, repeated, or contradictory; all in one error.
    """
    if not records:
        raise InputError(
            Issue("LS-MEA-013", "the table has a header and no rows", "measure at least one case", file=path)
        )
    issues: list[Issue] = []
    complete: list[tuple[int, Row]] = []
    for record in records:
        if len(record.cells) != len(header):
            fields = counted(len(record.cells), "field")
            message = f"row {record.number} has {fields}, expected {len(header)} as in the header"
            issues.append(Issue("LS-MEA-003", message, "correct the commas or quotes of the row", file=path))
            continue
        row = {**_OPTIONAL, **dict(zip(header, record.cells, strict=True))}
        row["patient_id"] = row["patient_id"] or row["case_id"]
        complete.append((record.number, row))
    for number, row in complete:
        issues.extend(_row_issues(number, row, path))
    similar: list[Issue] = []
    for issue in _several_spellings(complete, path):
        (issues if issue.severity == "error" else similar).append(issue)
    for check in (_repeated_keys, _contradicting_cases, _contradicting_volumes):
        issues.extend(check(complete, path))
    if issues:
        raise InputError(issues)
    return similar


def _several_spellings(rows: list[tuple[int, Row]], path: Path) -> Iterator[Issue]:
    """Yield the issues of cases, patients and readers with several spellings."""
    places = {
        kind: [(row[name], f"row {number}") for number, row in rows for name in columns if row[name]]
        for kind, columns in IDS.items()
    }
    for kind, found in spellings_by_kind(places).items():
        yield from spelling_issues(kind, found, file=path)


def _row_issues(number: int, row: Row, path: Path) -> Iterator[Issue]:
    def issue(code: str, column: str, message: str, hint: str) -> Issue:
        return Issue(code, f"row {number}, column {column!r}: {message}", hint, case_id=row["case_id"], file=path)

    for name in ("case_id", "reader"):
        if not row[name].strip():
            yield issue("LS-MEA-004", name, "is empty", "fill in the name")
    for name in _IDENTIFIERS:
        if row[name] != row[name].strip() and not (name == "patient_id" and row[name] == row["case_id"]):
            yield issue("LS-MEA-004", name, f"{row[name]!r} begins or ends with a space", "remove the space")
    if row["structure"] not in ORGAN_KEYS:
        expected = " or ".join(map(repr, ORGAN_KEYS))
        yield issue("LS-MEA-005", "structure", f"{row['structure']!r} is not {expected}", "correct the name")
    for name, (inside, expected) in _RANGES.items():
        try:
            value = number_or_none(row[name])
            wrong = value is not None and not inside(value)
        except ValueError:
            wrong = True
        if wrong:
            code = _CODES.get(name, "LS-MEA-014")
            yield issue(code, name, f"{row[name]!r} is not {expected}", "correct it, or leave it empty if undefined")
    for name in _COMPARISON_COLUMNS:
        if row[name].strip() and not row["reference"]:
            yield issue(
                "LS-MEA-008",
                name,
                "has a value, but the row has no reference",
                "write the reference reader in column 'reference'",
            )
    if unknown := sorted(set(filter(None, row["volume_status"].split(";"))).difference(STATUSES)):
        message = f"unknown status {', '.join(map(repr, unknown))}, expected one or more of {', '.join(STATUSES)}"
        yield issue("LS-MEA-009", "volume_status", message, "use these statuses, joined by ';'")
    if row["hu_status"] not in ("", *HU_STATUSES):
        message = f"unknown status {row['hu_status']!r}, expected one of {', '.join(HU_STATUSES)}"
        yield issue("LS-MEA-009", "hu_status", message, "use one of these statuses, or leave it empty without a CT")


def _repeated_keys(rows: list[tuple[int, Row]], path: Path) -> Iterator[Issue]:
    first: dict[tuple[str, ...], int] = {}
    for number, row in rows:
        key = (row["case_id"], row["structure"], row["reader"], row["reference"])
        if first.setdefault(key, number) != number:
            message = f"row {number} repeats structure, reader and reference of row {first[key]}: {', '.join(key[1:])}"
            yield Issue("LS-MEA-010", message, "keep one of the rows", case_id=row["case_id"], file=path)


def _contradicting_cases(rows: list[tuple[int, Row]], path: Path) -> Iterator[Issue]:
    first: dict[str, tuple[int, Row]] = {}
    for number, row in rows:
        origin, known = first.setdefault(row["case_id"], (number, row))
        for name in _CASE_COLUMNS:
            if row[name] != known[name]:
                message = f"row {number}, column {name!r}: {row[name]!r} differs from {known[name]!r} in row {origin}"
                yield Issue(
                    "LS-MEA-011", message, "give all rows of a case the same value", case_id=row["case_id"], file=path
                )


def _contradicting_volumes(rows: list[tuple[int, Row]], path: Path) -> Iterator[Issue]:
    """Check that a reader compared with two references has the same volume in both rows."""
    first: dict[tuple[str, ...], tuple[int, Row]] = {}
    for number, row in rows:
        origin, known = first.setdefault((row["case_id"], row["structure"], row["reader"]), (number, row))
        try:
            same = number_or_none(row["volume_cm3"]) == number_or_none(known["volume_cm3"])
        except ValueError:
            continue  # the range check has reported it
        if not same and row["reference"] != known["reference"]:
            message = (
                f"row {number}, column 'volume_cm3': {row['volume_cm3']!r} differs from {known['volume_cm3']!r} of the "
                f"same reader in row {origin}"
            )
            yield Issue(
                "LS-MEA-012",
                message,
                "correct the volume; a reader has one volume per organ and case",
                case_id=row["case_id"],
                file=path,
            )
