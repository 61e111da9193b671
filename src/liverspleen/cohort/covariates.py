"""The covariates file of an import: what is known of cases beside their images, keyed by the source's own names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from liverspleen.cohort.layouts.source import SourceCase
from liverspleen.cohort.row import RENAMED_COLUMNS, ManifestRow, parse_row
from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import InputError, Issue
from liverspleen.storage import StrPath

KEYS = ("source", "patient", "series")
_NOT_GIVEN = ("case_id", "patient_id", "image", "label")
_PLACEHOLDERS = {"case_id": "x", "patient_id": "x", "image": "x"}


@dataclass(frozen=True)
class CovariateRow:
    """One row: what it is about (`source`, `patient`, `series`; empty if not stated) and cells of `cohort.csv`."""

    number: int
    source: str
    patient: str
    series: str
    cells: Mapping[str, str]

    def concerns(self, case: SourceCase) -> bool:
        """Whether it is about that case: by its name if the row states one, else by its patient."""
        if self.series and self.series not in case.series.split("\0"):
            return False
        if not self.source:
            return self.patient == case.patient
        # where several series of a folder are taken, their names go on
        return self.source == case.name or (bool(self.series) and case.name.startswith(f"{self.source}/"))


@dataclass(frozen=True)
class Covariates:
    """The rows of a covariates file; none if there is no file."""

    rows: tuple[CovariateRow, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[Mapping[str, str], ...]:
        """The rows as layouts use them to choose among series."""
        return tuple(
            {"source": row.source, "patient": row.patient, "series": row.series, "phase": row.cells.get("phase", "")}
            for row in self.rows
        )

    def patient(self, case: SourceCase) -> str | None:
        """The patient that a row with a source states for it; None if none does."""
        return next((row.patient for row in self.about(case) if row.source and row.patient), None)

    def cells(self, case: SourceCase) -> dict[str, str]:
        """What the rows say about a case; a row of its source goes over one of its patient."""
        found: dict[str, str] = {}
        for row in sorted(self.about(case), key=lambda row: bool(row.source)):
            found |= {name: cell for name, cell in row.cells.items() if cell}
        return found

    def about(self, case: SourceCase) -> list[CovariateRow]:
        """The rows that concern a case."""
        keys = (("source", case.name), ("source", case.name.rpartition("/")[0]), ("patient", case.patient))
        return [row for key in keys for row in self._by_key.get(key, ()) if row.concerns(case)]

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, str], list[CovariateRow]]:
        found: dict[tuple[str, str], list[CovariateRow]] = {}
        for row in self.rows:
            found.setdefault(("source", row.source) if row.source else ("patient", row.patient), []).append(row)
        return found

    def unused(self, cases: Sequence[SourceCase]) -> Iterator[Issue]:
        """LS-COV-006 for each row without a case, LS-COV-007 if cases have no row."""
        rows = [self.about(case) for case in cases]
        used = {row.number for found in rows for row in found}
        for row in self.rows:
            if row.number not in used:
                message = f"covariates row {row.number} is about no case that is taken"
                yield Issue("LS-COV-006", message, "correct its key", severity="warning")
        if self.rows and (bare := sum(not found for found in rows)):
            message = f"{bare} of {len(cases)} cases have no row in the covariates"
            yield Issue("LS-COV-007", message, "add rows if something is known of them", severity="warning")


def read_covariates(file: StrPath, *, vocabulary: Vocabulary) -> Covariates:
    """The covariates in a CSV file (UTF-8, with a header).

    Columns: `source` (a case's name in its layout) or `patient` or both, optionally `series`, and columns of
    `cohort.csv` or further ones. With both keys in a row, `source` says which case it is, `patient` whose.

    Raises:
        InputError: with all issues, by row; no value of the file is in them: LS-COV-001 it cannot be read, 002 a
            column is missing, twice, unnamed or not for covariates, 003 a row has no key, 004 two rows have one key,
            005 a value that `cohort.csv` does not allow.
    """
    file = Path(file)
    names, records = _records(file)
    issues = [*_column_issues(names)]
    if issues:
        raise InputError(issues)
    rows: list[CovariateRow] = []
    seen: dict[tuple[str, str], int] = {}
    for number, record in enumerate(records, start=2):
        # not strict: a row may be shorter than the header; a longer one is an issue
        stated = dict(zip(names, (cell.strip() for cell in record), strict=False))
        if not any(stated.values()):
            continue
        source, patient, series = (stated.pop(key, "") for key in KEYS)
        row = CovariateRow(number, source, patient, series, stated)
        rows.append(row)
        issues += _row_issues(row, len(record) > len(names), vocabulary)
        key = (f"source {source}" if source else f"patient {patient}", series)
        if (first := seen.setdefault(key, number)) != number:
            issues.append(_issue("LS-COV-004", f"row {number} has the key of row {first}", "keep one of them"))
    if issues:
        raise InputError(issues)
    return Covariates(tuple(rows), tuple(name for name in names if name not in KEYS))


def _records(file: Path) -> tuple[list[str], list[list[str]]]:
    try:
        records = list(csv.reader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline=""), strict=True))
    except OSError as error:
        message = f"cannot be read ({error.strerror or type(error).__name__})"
        raise InputError(_issue("LS-COV-001", message, "correct the path")) from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(_issue("LS-COV-001", "not a CSV file in UTF-8", "save it as CSV UTF-8")) from None
    if not records:
        raise InputError(_issue("LS-COV-001", "the file is empty", "write a header and rows"))
    names = (name.strip() for name in records[0])
    return [RENAMED_COLUMNS.get(name, name) for name in names], records[1:]


def _column_issues(names: list[str]) -> Iterator[Issue]:
    if not {"source", "patient"} & set(names):
        yield _issue("LS-COV-002", "neither a column 'source' nor 'patient'", "add one, with names as in the source")
    for name in _NOT_GIVEN:
        if name in names:
            yield _issue("LS-COV-002", f"column '{name}' is made by the import", "remove it")
    for key in KEYS:
        if any(name != key and name.casefold().removesuffix("id").strip(" _-") == key for name in names):
            message = f"a column is called nearly as the key '{key}', and would reach the output"
            yield _issue("LS-COV-002", message, f"call it '{key}', or remove it")
    if "" in names or len(set(names)) < len(names):
        yield _issue("LS-COV-002", "a column has no name, or the name of another", "give each its own name")


def _row_issues(row: CovariateRow, surplus: bool, vocabulary: Vocabulary) -> Iterator[Issue]:
    if not row.source and not row.patient:
        yield _issue("LS-COV-003", f"row {row.number} has neither source nor patient", "fill one in")
    if surplus:
        yield _issue("LS-COV-008", f"row {row.number} has more cells than columns", "correct the row")
    parsed = parse_row({**_PLACEHOLDERS, **row.cells}, vocabulary=vocabulary)
    for found in () if isinstance(parsed, ManifestRow) else parsed:
        message = found.message
        for part in (row.cells[found.column], *row.cells[found.column].split(";")):  # the value may be a misplaced name
            message = message.replace(repr(part.strip()), "value")
        yield _issue("LS-COV-005", f"row {row.number}, column '{found.column}': {message}", found.hint)


def _issue(code: str, message: str, hint: str) -> Issue:
    return Issue(code, f"covariates: {message}", hint)
