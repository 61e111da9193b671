"""Covariates file of an import: further values of cases, by the names of the source."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from liverspleen.cohort.layouts.source import SourceCase
from liverspleen.cohort.row import COLUMNS, RENAMED_COLUMNS, ManifestRow, parse_row
from liverspleen.cohort.spellings import similar_key
from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.delimited import MISSING_WORDS, records_of
from liverspleen.errors import InputError, Issue, counted
from liverspleen.reading import read_text
from liverspleen.storage import StrPath

KEYS = ("source", "patient", "series", "segmentation")
_RESERVED = ("case_id", "patient_id", "image", "label")
_PLACEHOLDERS = {"case_id": "x", "patient_id": "x", "image": "x"}


@dataclass(frozen=True)
class CovariateRow:
    """One row: its keys (see `KEYS`; empty if not given) and its cells of `cohort.csv`."""

    number: int
    source: str
    patient: str
    series: str
    segmentation: str
    cells: Mapping[str, str]

    def matches(self, case: SourceCase) -> bool:
        """Whether the row applies to a case: by `source` if the row gives it, otherwise by `patient`."""
        if self.series and self.series not in case.series.split("\0"):
            return False
        if self.segmentation and not case.series:
            return False  # the source is not DICOM
        if not self.source:
            return self.patient == case.patient
        # if several series of a folder are selected, the name has the series as a further part
        return self.source == case.name or (bool(self.series) and case.name.startswith(f"{self.source}/"))


@dataclass(frozen=True)
class Covariates:
    """Rows of a covariates file; empty if there is no file."""

    rows: tuple[CovariateRow, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def for_selection(self) -> tuple[Mapping[str, str], ...]:
        """The rows as layouts use them to select among series."""
        return tuple(
            {key: getattr(row, key) for key in KEYS} | {"phase": row.cells.get("phase", "")} for row in self.rows
        )

    def patient(self, case: SourceCase) -> str | None:
        """Return the patient of a case if a row with `source` gives one, otherwise None."""
        return next((row.patient for row in self.rows_of(case) if row.source and row.patient), None)

    def cells(self, case: SourceCase) -> dict[str, str]:
        """Return the cells of a case; a row with `source` has priority over a row with `patient`."""
        found: dict[str, str] = {}
        for row in sorted(self.rows_of(case), key=lambda row: bool(row.source)):
            found |= {name: cell for name, cell in row.cells.items() if cell}
        return found

    def rows_of(self, case: SourceCase) -> list[CovariateRow]:
        """Return the rows that apply to a case."""
        keys = (("source", case.name), ("source", case.name.rpartition("/")[0]), ("patient", case.patient))
        return [row for key in keys for row in self._by_key.get(key, ()) if row.matches(case)]

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, str], list[CovariateRow]]:
        found: dict[tuple[str, str], list[CovariateRow]] = {}
        for row in self.rows:
            found.setdefault(("source", row.source) if row.source else ("patient", row.patient), []).append(row)
        return found

    def unused(self, cases: Sequence[SourceCase]) -> Iterator[Issue]:
        """Yield LS-COV-006 for each row without a case, and LS-COV-007 if cases have no row."""
        rows = [self.rows_of(case) for case in cases]
        used = {row.number for found in rows for row in found}
        names = {similar_key(name) for case in cases for name in (case.name, case.patient)}
        for row in self.rows:
            if row.number not in used:
                is_similar = similar_key(row.source or row.patient) in names
                almost = ", but its key is almost a name of the source" if is_similar else ""
                message = f"covariates: row {row.number} matches no case that is imported{almost}"
                hint = "correct the key of the row: letter case, zeros and blanks count"
                yield Issue("LS-COV-006", message, hint, severity="warning")
        if self.rows and (number := sum(not found for found in rows)):
            message = f"covariates: no row for {number} of {counted(len(cases), 'case')}"
            yield Issue("LS-COV-007", message, "add rows if the values are known", severity="warning")


def read_covariates(file: StrPath, *, vocabulary: Vocabulary) -> Covariates:
    """Read the covariates from a CSV file (UTF-8, with a header).

    Columns: `source` (a case's name in its layout) or `patient` or both, optionally `series` and
    `segmentation` (both of DICOM), and columns of `cohort.csv` or further ones. If a row has both keys, `source`
    identifies the case, and `patient` gives its patient.

    Raises:
        InputError: all issues by row, without values of the file: LS-COV-001 it cannot be read, 002 a column is
            missing, repeated, unnamed or not allowed, 003 a row has no key, 004 two rows have the same key, 005 a
            value is not allowed in `cohort.csv`, 008 a row has more cells than columns.
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
        cells = dict(zip(names, (cell.strip() for cell in record), strict=False))
        cells |= {name: "" for name, cell in cells.items() if cell in MISSING_WORDS and name not in KEYS}
        if not any(cells.values()):
            continue
        source, patient, series, segmentation = (cells.pop(key, "") for key in KEYS)
        row = CovariateRow(number, source, patient, series, segmentation, cells)
        rows.append(row)
        issues += _row_issues(row, len(record) > len(names), vocabulary)
        key = (f"source {source}" if source else f"patient {patient}", series)
        if (first := seen.setdefault(key, number)) != number:
            issues.append(_issue("LS-COV-004", f"row {number} has the same key as row {first}", "keep one of them"))
    if issues:
        raise InputError(issues)
    return Covariates(tuple(rows), tuple(name for name in names if name not in KEYS))


def _records(file: Path) -> tuple[list[str], list[list[str]]]:
    try:
        records, _ = records_of(read_text(file), [*KEYS, *COLUMNS])
    except InputError as error:  # without the path, as all issues here
        raise InputError(_issue(issue.code, issue.message, issue.hint) for issue in error.issues) from None
    except OSError as error:
        message = f"file cannot be read ({error.strerror or type(error).__name__})"
        raise InputError(_issue("LS-COV-001", message, "correct the path")) from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(_issue("LS-COV-001", "file is not CSV in UTF-8", "save it as CSV UTF-8")) from None
    if not records:
        raise InputError(_issue("LS-COV-001", "file is empty", "write a header and rows"))
    return [RENAMED_COLUMNS.get(name, name) for name in records[0]], records[1:]


def _column_issues(names: list[str]) -> Iterator[Issue]:
    if not {"source", "patient"} & set(names):
        message = "columns 'source' and 'patient' are missing, expected one of them"
        yield _issue("LS-COV-002", message, "add one, with names as in the source")
    for name in _RESERVED:
        if name in names:
            yield _issue("LS-COV-002", f"column '{name}' is reserved for the import", "remove the column")
    for key in KEYS:
        if any(name != key and name.casefold().removesuffix("id").strip(" _-") == key for name in names):
            message = f"a column has almost the name of the key '{key}', and would be copied to the output"
            yield _issue("LS-COV-002", message, f"rename it to '{key}', or remove it")
    if "" in names or len(set(names)) < len(names):
        yield _issue("LS-COV-002", "a column has no name or a repeated name", "give each column its own name")


def _row_issues(row: CovariateRow, surplus: bool, vocabulary: Vocabulary) -> Iterator[Issue]:
    if not row.source and not row.patient:
        yield _issue("LS-COV-003", f"row {row.number} has neither source nor patient", "fill in one of them")
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
