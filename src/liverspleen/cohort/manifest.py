"""Reading and writing of `cohort.csv`; all issues of a table are reported at once."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from liverspleen.cohort.row import COLUMNS, RENAMED_COLUMNS, REQUIRED_COLUMNS, ManifestRow, file_name_key, parse_row
from liverspleen.cohort.spellings import Spellings, spelling_issues, spellings_by_kind, unicode_key
from liverspleen.cohort.vocabulary import DEVELOPMENT, PAPER, Vocabulary
from liverspleen.delimited import CLEAR_NUMBERS, MISSING_WORDS, has_decimal_commas, records_of
from liverspleen.errors import InputError, Issue, counted
from liverspleen.organs import ORGANS, Structure
from liverspleen.reading import read_text
from liverspleen.spreadsheet import csv_text
from liverspleen.storage import StrPath, write_text

MOST_ROWS: Final = 250_000
"""Rows of a cohort that are read at most; time and memory were measured with 100 000, see docs/cohort.md."""

_NUMBERS: Final = ("age", "height_cm", "weight_kg", "slice_thickness_mm")
_MAY_BE_MISSING: Final = frozenset(COLUMNS) - {"case_id", "image"}


@dataclass(frozen=True)
class Case:
    """One CT examination: a validated row of `cohort.csv`.

    `labelled_structures` are the structures in the reference label map. `covariates` holds the further columns.
    """

    case_id: str
    patient_id: str
    image: Path
    label: Path | None = None
    labelled_structures: tuple[Structure, ...] = ORGANS
    dataset: str = ""
    condition: str = ""
    site: str = ""
    sex: str = ""
    age: float | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    slice_thickness_mm: float | None = None
    phase: str = ""
    spleen_absent: bool = False
    covariates: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_development(self) -> bool:
        """Whether the case may be used for training; an empty dataset counts as development."""
        return self.dataset in ("", DEVELOPMENT)


@dataclass(frozen=True)
class Cohort:
    """The valid rows of a `cohort.csv`.

    `issues` are those of single rows; rows with errors are not among `cases`. `hash` is the SHA-256 of the values of
    all rows; it does not depend on the order of rows and columns, line ends, byte order mark, or content of image
    files. `vocabulary` gives the order and the labels of its values in tables.
    """

    cases: tuple[Case, ...]
    issues: tuple[Issue, ...]
    path: Path
    root: Path
    hash: str
    vocabulary: Vocabulary = PAPER

    def select(self, datasets: Sequence[str]) -> Cohort:
        """Return the cohort with only the cases of these datasets; with all cases if `datasets` is empty."""
        selected = {*datasets, ""} if DEVELOPMENT in datasets else set(datasets)
        return replace(self, cases=tuple(case for case in self.cases if not datasets or case.dataset in selected))


@dataclass(frozen=True)
class _Row:
    """Cells of one row by column; `number` is that of a spreadsheet, with the header as row 1."""

    number: int
    cells: Mapping[str, str]
    surplus: bool

    def issue(self, code: str, column: str, message: str, hint: str, path: Path) -> Issue:
        return Issue(
            code, f"row {self.number}, column '{column}': {message}", hint, self.cells.get("case_id") or None, path
        )


def read_cohort(path: StrPath, *, root: StrPath | None = None, vocabulary: Vocabulary | None = None) -> Cohort:
    """Read a cohort from a CSV file (UTF-8 with or without BOM, any line ends).

    Paths in it are relative to `root` (by default the folder of the file) and used verbatim; a path outside `root`,
    also through `..` or a link, is an error. The files themselves are not read. Rows with errors are excluded and
    listed in `issues`.

    Raises:
        InputError: the table as a whole cannot be used: LS-COH-001 unreadable, 002 not UTF-8, 003 column missing, 004
            column repeated or without a name, 005 no rows, 006 not CSV, 007 root is not a folder, 042 too many rows.
    """
    path = Path(path)
    root = path.parent if root is None else Path(root)
    return parse_cohort(_text(path), path=path, root=root, vocabulary=vocabulary)


def parse_cohort(text: str, *, path: Path, root: Path, vocabulary: Vocabulary | None = None) -> Cohort:
    """Read a cohort from the text of a CSV file, as `read_cohort`; `path` is the file in its issues."""
    vocabulary = vocabulary or PAPER
    rows, notes = _rows(text, path, root)
    rows, tidied = _tidied(rows, path, vocabulary)
    renamed = [*notes, *tidied]
    repeated = _repeated(rows, path)
    rejected, similar = _several_spellings(rows, path)
    cases, issues, top = [], [*renamed, *similar], _Root(root)
    for row in rows:
        parsed = parse_row(row.cells, vocabulary=vocabulary)
        found = [
            *repeated.get(row.number, []),
            *rejected.get(row.number, []),
            *_surplus(row, path),
            *_outside(row, path, top),
        ]
        if isinstance(parsed, ManifestRow):
            if not found:
                cases.append(_case(row, parsed, root))
        else:
            found += [row.issue(f.code, f.column, f.message, f.hint, path) for f in parsed]
        issues += found
    return Cohort(tuple(cases), tuple(issues), path, root, _hash(rows), vocabulary)


def write_cohort(path: StrPath, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows (column to value) as `cohort.csv`: known columns first, None as an empty field.

    The file is complete or absent.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "cohort.csv"
    >>> write_cohort(target, [{"image": "a.nii", "case_id": "A1", "patient_id": "P1", "label": None}])
    >>> target.read_text().splitlines()
    ['case_id,patient_id,image,label', 'A1,P1,a.nii,']
    """
    write_text(Path(path), cohort_text(rows))


def cohort_text(rows: Iterable[Mapping[str, object]]) -> str:
    """Return the text that `write_cohort` writes."""
    listed = list(rows)
    present = dict.fromkeys(name for row in listed for name in row)
    names = [*(name for name in COLUMNS if name in present), *(name for name in present if name not in COLUMNS)]
    return csv_text([names, *([row.get(name) for name in names] for row in listed)])


def _rows(text: str, path: Path, root: Path) -> tuple[list[_Row], list[Issue]]:
    """Return the rows that are not blank, and a note for each renamed column; raises for issues of the whole table."""
    issues = [] if root.is_dir() else [Issue("LS-COH-007", "root is not a folder", "correct root=", file=root)]
    try:
        records, delimiter = records_of(text, COLUMNS, most=MOST_ROWS + 2)
    except csv.Error as error:
        raise InputError(Issue("LS-COH-006", f"table is not CSV ({error})", "correct its quotes", file=path)) from error
    if len(records) > MOST_ROWS + 1:
        message = f"table has more than {MOST_ROWS} rows"
        raise InputError(Issue("LS-COH-042", message, "divide it over several tables and output folders", file=path))
    names, renamed = _current_names(records[0] if records else [], path)
    issues += _column_issues(names, path)
    rows = []
    for number, cells in enumerate(records[1:], start=2):
        if any(cell.strip() for cell in cells):
            # not strict: a row may be shorter than the header; a longer one has surplus cells
            rows.append(_Row(number, dict(zip(names, cells, strict=False)), surplus=len(cells) > len(names)))
    if not rows:
        issues.append(Issue("LS-COH-005", "table has no rows", "write one row per CT examination", file=path))
    if issues:
        raise InputError(issues)
    return _with_points(rows, path, delimiter), renamed


def _with_points(rows: list[_Row], path: Path, delimiter: str) -> list[_Row]:
    """Return the rows with decimal points in their numbers."""
    try:
        commas = has_decimal_commas((row.cells.get(name, "") for row in rows for name in _NUMBERS), delimiter)
    except ValueError as error:
        raise InputError(Issue("LS-COH-044", str(error), CLEAR_NUMBERS, file=path)) from error
    if not commas:
        return rows
    return [
        replace(
            row, cells={name: cell.replace(",", ".") if name in _NUMBERS else cell for name, cell in row.cells.items()}
        )
        for row in rows
    ]


def _tidied(rows: list[_Row], path: Path, vocabulary: Vocabulary) -> tuple[list[_Row], list[Issue]]:
    """Return the rows without words for missing values, such as `NA`, and a note; ids and paths may be these words."""
    allowed = {"dataset": vocabulary.datasets, "condition": vocabulary.conditions, "site": vocabulary.sites}
    words: Counter[str] = Counter()
    tidy = []
    for row in rows:
        missing = [
            name
            for name, cell in row.cells.items()
            if name in _MAY_BE_MISSING and (word := cell.strip()) in MISSING_WORDS and word not in allowed.get(name, ())
        ]
        words.update(row.cells[name].strip() for name in missing)
        tidy.append(replace(row, cells={**row.cells, **dict.fromkeys(missing, "")}) if missing else row)
    if not words:
        return rows, []
    message = f"{counted(sum(words.values()), 'cell')} with {', '.join(map(repr, words))} count as empty"
    return tidy, [Issue("LS-COH-043", message, "leave missing cells empty", file=path, severity="note")]


def _current_names(names: list[str], path: Path) -> tuple[list[str], list[Issue]]:
    """Return the header with the present names of renamed columns, and a note for each."""
    renamed = {old: new for old, new in RENAMED_COLUMNS.items() if old in names and new not in names}
    notes = [
        Issue("LS-COH-018", f"column '{old}' is now called '{new}'", "rename the column", file=path, severity="note")
        for old, new in renamed.items()
    ]
    return [renamed.get(name, name) for name in names], notes


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        message = f"table cannot be read ({error.strerror or type(error).__name__})"
        raise InputError(Issue("LS-COH-001", message, "correct the path", file=path)) from error
    except UnicodeDecodeError as error:
        message = f"table is not UTF-8 (byte {error.start})"
        raise InputError(Issue("LS-COH-002", message, "save the table as CSV UTF-8", file=path)) from error


def _column_issues(names: list[str], path: Path) -> Iterator[Issue]:
    for name in REQUIRED_COLUMNS:
        if name not in names:
            found = ", ".join(filter(None, names)) or "none"
            yield Issue("LS-COH-003", f"column '{name}' is missing, found {found}", "add the column", file=path)
    for name, number in Counter(names).items():
        if not name:
            columns = "1 column has" if number == 1 else f"{number} columns have"
            yield Issue("LS-COH-004", f"{columns} no name", "add a name or remove the column", file=path)
        elif number > 1:
            message = f"table has {number} columns '{name}', expected one"
            yield Issue("LS-COH-004", message, "keep one of them", file=path)


def _repeated(rows: list[_Row], path: Path) -> dict[int, list[Issue]]:
    """Return issues by row number: its case_id is that of another row, or one that some file systems treat as equal."""
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        if case_id := row.cells.get("case_id"):
            groups.setdefault(file_name_key(case_id), []).append(row)
    found = {}
    for group in groups.values():
        literally = Counter(row.cells["case_id"] for row in group)
        numbers = ", ".join(str(row.number) for row in group)
        for row in group if len(group) > 1 else []:
            if literally[row.cells["case_id"]] > 1:
                code, message = "LS-COH-011", f"rows {numbers} have the same case_id"
            elif len({unicode_key(case_id) for case_id in literally}) == 1:
                continue  # see `_several_spellings`
            else:
                code, message = "LS-COH-012", f"case_ids of rows {numbers} differ only in letter case"
            found[row.number] = [row.issue(code, "case_id", message, "give each examination its own case_id", path)]
    return found


def _several_spellings(rows: list[_Row], path: Path) -> tuple[dict[int, list[Issue]], list[Issue]]:
    """Return errors by row number for ids that are equal as Unicode text, and warnings for similar ids."""
    rejected, similar = defaultdict[int, list[Issue]](list), list[Issue]()
    texts = {
        column: [(row.cells[column], f"row {row.number}") for row in rows if row.cells.get(column)]
        for column in ("case_id", "patient_id")
    }
    for column, found in spellings_by_kind(texts).items():
        similar += spelling_issues(column, [one for one in found if not _is_rejected(one, column)], file=path)
        issue_of = {
            text: issue
            for one in found
            if one.equal
            for issue in spelling_issues(column, [one], file=path)
            for text in one.places
        }
        for row in rows:
            if issue := issue_of.get(row.cells.get(column, "")):
                rejected[row.number].append(replace(issue, case_id=row.cells.get("case_id") or None))
    return rejected, similar


def _is_rejected(one: Spellings, column: str) -> bool:
    """Whether the rows with these texts are rejected in any case, also by `_repeated`."""
    return one.equal or (column == "case_id" and len({file_name_key(text) for text in one.places}) == 1)


def _surplus(row: _Row, path: Path) -> Iterator[Issue]:
    if row.surplus:
        hint = "correct the row, and quote cells that contain commas"
        yield row.issue("LS-COH-017", [*row.cells][-1], "row has more cells than columns", hint, path)


def _outside(row: _Row, path: Path, root: _Root) -> Iterator[Issue]:
    for column in ("image", "label"):
        value = row.cells.get(column, "")
        if value and value not in root:
            message = f"{value!r} is outside the root '{root.path}'"
            hint = "move the file into the root, or give root= as a folder that contains it"
            if "\0" not in value and not {"..", "/"} & {*Path(value).parts}:
                message = f"{value!r} is a link that leads out of the root '{root.path}'"
                hint = "replace the link by its file, or give root= as a folder that contains both, with paths from it"
            yield row.issue("LS-COH-015", column, message, hint, path)


class _Root:
    """The root of a cohort; `value in root` is whether a path leads into it, also through links."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._top = _inner(os.path.realpath(path))
        self._real: dict[str, str] = {}  # the folders of the files: few, so each is resolved once

    def __contains__(self, value: str) -> bool:
        if "\0" in value:  # not valid in a path
            return False
        folder, name = os.path.split(self.path / value)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        file = Path(self._real[folder], name)
        real = os.path.realpath(file) if name == os.pardir or file.is_symlink() else str(file)
        return _inner(real).startswith(self._top)


def _inner(path: str) -> str:
    """Return a text with which the paths of a folder and of everything in it start."""
    return os.path.normcase(path).rstrip(os.sep) + os.sep


def _case(row: _Row, parsed: ManifestRow, root: Path) -> Case:
    known = {name: getattr(parsed, name) for name in COLUMNS}
    known["image"] = root / parsed.image
    known["label"] = None if parsed.label is None else root / parsed.label
    return Case(**known, covariates={name: cell for name, cell in row.cells.items() if name not in COLUMNS})


def _hash(rows: list[_Row]) -> str:
    stated = sorted(
        json.dumps({name: cell for name, cell in row.cells.items() if cell}, sort_keys=True, ensure_ascii=False)
        for row in rows
    )
    return hashlib.sha256("\n".join(stated).encode()).hexdigest()
