"""Table of pairs of CT scans and label maps, for files whose names do not pair them."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from liverspleen.cohort.layouts.source import NiftiScan, Request, SourceCase, nifti_labels
from liverspleen.delimited import records_of
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.files import strip_suffix
from liverspleen.reading import read_text

_REQUIRED = ("image", "label")
_COLUMNS = (*_REQUIRED, "case_id", "patient_id")


@dataclass(frozen=True)
class _Row:
    """A row of the table, with the files of its paths; None for an empty or invalid path."""

    number: int
    cells: Mapping[str, str]
    files: Mapping[str, Path | None]
    surplus: bool

    @property
    def name(self) -> str:
        """Name of the case: that of the row, or of the image."""
        image = self.files["image"]
        return self.cells["case_id"] or (image and strip_suffix(image.name)) or ""


def pairs_of(request: Request) -> tuple[tuple[SourceCase, ...], tuple[Issue, ...]]:
    """Return the cases of `pairs=`, and warnings about the meaning of label values.

    The file is CSV with the columns image, label and optionally case_id and patient_id.

    Paths are relative to the folder of the table or to `input=`, and inside of one of them. A row without a label is a
    CT without one. By default the name of the image is that of the case, and each CT is of its own patient.

    Raises:
        InputError: all issues, without values of the file: LS-IMP-042 it cannot be read, or its columns are not valid,
            LS-IMP-043 a row is not valid; as `nifti_labels`.
    """
    assert request.pairs is not None
    rows = list(_rows(request.pairs, request.input))
    if issues := [*_row_issues(rows)]:
        raise InputError(issues)
    label_maps, notes = nifti_labels(request, filter(None, (row.files["label"] for row in rows)))
    cases = []
    for row in rows:
        image, label = row.files["image"], row.files["label"]
        assert image is not None
        labels = label_maps[label] if label else None
        cases.append(SourceCase(row.name, row.cells["patient_id"] or row.name, NiftiScan(image), labels))
    return tuple(cases), notes


def _rows(table: Path, folder: Path) -> Iterator[_Row]:
    try:
        records, _ = records_of(read_text(table), _COLUMNS)
    except OSError as error:
        raise _invalid(f"file cannot be read ({error.strerror or type(error).__name__})", "correct the path") from None
    except (UnicodeDecodeError, csv.Error):
        raise _invalid("file is not CSV in UTF-8", "save it as CSV UTF-8") from None
    names = records[0] if records else []
    if not set(_REQUIRED) <= set(names) <= set(_COLUMNS) or len(set(names)) < len(names):
        hint = f"write a header with the columns {', '.join(_REQUIRED)}, and optionally case_id and patient_id"
        raise _invalid("columns are missing, repeated or not allowed", hint)
    folders = [os.path.realpath(path) for path in (table.parent, folder if folder.is_dir() else folder.parent)]
    rows = [(number, record) for number, record in enumerate(records[1:], start=2) if any(map(str.strip, record))]
    if not rows:
        raise _invalid("file has no row", "write a row for each CT")
    for number, record in rows:
        # not strict: a row may be shorter than the header; a longer one is an issue
        given = dict(zip(names, (cell.strip() for cell in record), strict=False))
        cells = {name: given.get(name, "") for name in _COLUMNS}
        files = {name: _file(cells[name], folders) for name in _REQUIRED}
        yield _Row(number, cells, files, len(record) > len(names))


def _file(cell: str, folders: list[str]) -> Path | None:
    """Return the image file of a path in one of the folders; None if there is none, or if there are two.

    The file may be a link to a place outside of the folders, as in a folder of linked images; its folder may not.
    """
    if not cell or "\0" in cell or strip_suffix(Path(cell).name) is None:
        return None
    paths = (Path(folder, cell) for folder in folders)
    files = {Path(os.path.realpath(path.parent), path.name) for path in paths if path.is_file()}
    inside = [file for file in files if any(file.is_relative_to(folder) for folder in folders)]
    return inside[0] if len(inside) == 1 else None


def _row_issues(rows: list[_Row]) -> Iterator[Issue]:
    number_of = Counter(file for row in rows for file in row.files.values())
    cases = Counter(row.name for row in rows)
    for row in rows:
        if row.surplus:
            yield _row_issue(row, "row has more cells than columns", "correct the row")
        for name, file in row.files.items():
            if file is None and (row.cells[name] or name == "image"):
                message = f"{name} is not one image file in the folder of the table or in input="
                yield _row_issue(row, message, "correct the path")
            elif file is not None and number_of[file] > 1:
                yield _row_issue(row, f"{name} is in the table more than once", "keep one row of each file")
        if row.name and cases[row.name] > 1:
            yield _row_issue(row, "another row has the same case", "give each row its own case_id")


def _row_issue(row: _Row, message: str, hint: str) -> Issue:
    return Issue("LS-IMP-043", f"pairs: row {row.number}: {message}", hint)


def _invalid(message: str, hint: str) -> InputError:
    return InputError(Issue("LS-IMP-042", f"pairs: {message}", hint))
