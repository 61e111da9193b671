"""Tables of a correction folder: the label maps in force as a cohort, and all entries of the histories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from liverspleen.cohort.label_origin import LABEL_COLUMNS
from liverspleen.cohort.manifest import cohort_text
from liverspleen.correction.case_folder import CaseFolder
from liverspleen.correction.history import Entry, History
from liverspleen.correction.merging import remove_merged
from liverspleen.organs import ORGAN_KEYS
from liverspleen.spreadsheet import csv_text
from liverspleen.storage import sha256_of, write_text

COHORT, CORRECTIONS = "cohort.csv", "corrections.csv"

_CHANGES: Final = ("dss", "before_cm3", "after_cm3", "slices")
_COLUMNS: Final = (
    *("case_id", "entry", "state", "of", "reader", "date", "recorded", "in_force", "slices", "seconds_between_files"),
    *(f"{key}_{name}" for key in ORGAN_KEYS for name in _CHANGES),
)


def write_tables(root: Path, found: Iterable[History], *, confirmed_only: bool) -> tuple[list[Path], bool]:
    """Write `corrections.csv`, one row per entry, and `cohort.csv`, one row per case with a label map in force.

    The content depends only on the histories. Without a label map in force there is no `cohort.csv`. A merged cohort of
    another `cohort.csv` is removed, because it has label maps that are no longer in force.

    Returns:
        The tables, and whether a merged cohort was removed.
    """
    histories = [*found]
    rows = [row for history in histories for row in _rows(history, history.in_force(confirmed_only=confirmed_only))]
    text = csv_text([_COLUMNS, *([row.get(name) for name in _COLUMNS] for row in rows)])
    write_text(root / CORRECTIONS, text)
    cases = [row for history in histories if (row := cohort_row(root, history, confirmed_only=confirmed_only))]
    text = cohort_text(cases) if cases else ""
    file = root / COHORT
    changed = (file.read_bytes() if file.is_file() else b"") != text.encode(errors="backslashreplace")
    removed = changed and remove_merged(root)
    if not cases:
        file.unlink(missing_ok=True)
        return [root / CORRECTIONS], removed
    write_text(file, text)
    return [root / CORRECTIONS, file], removed


def cohort_row(root: Path, history: History, *, confirmed_only: bool) -> dict[str, Any] | None:
    """Return the row of a case in the cohort; None if no label map is in force.

    Patient, dataset and covariates are those of the prediction's cohort, so a test case remains a test case.
    """
    if (entry := history.in_force(confirmed_only=confirmed_only)) is None:
        return None
    about = history.first.content
    ct = CaseFolder(root, history.case_id).folder / about["ct"]["file"]
    case: Mapping[str, Any] = about["case"]
    return {
        **case,
        "image": ct.relative_to(root).as_posix(),
        "label": history.map_file(entry).relative_to(root).as_posix(),
        "labelled_structures": ";".join(entry.covered),
        **dict(zip(LABEL_COLUMNS, _origin(history, entry), strict=True)),
    }


def _origin(history: History, entry: Entry) -> tuple[object, ...]:
    """Return the cells of `LABEL_COLUMNS`."""
    confirmed = sorted(one.reader or "" for one in history.verdicts(entry).values() if one.state == "confirmed")
    first = sha256_of(history.folder / "0001.json")
    by = ";".join(filter(None, confirmed))
    return history.state_of(entry), entry.state, entry.reader, by, first, entry.number, entry.map_sha256


def _rows(history: History, in_force: Entry | None) -> Iterator[dict[str, Any]]:
    for entry in history.entries:
        yield {
            "case_id": history.case_id,
            "entry": entry.number,
            "state": entry.state,
            "of": entry.of,
            "reader": entry.reader,
            "date": entry.date,
            "recorded": entry.recorded,
            "in_force": "true" if entry == in_force else "false",
            "seconds_between_files": entry.content.get("seconds_between_files"),
            **_changed(entry),
        }


def _changed(entry: Entry) -> dict[str, Any]:
    found = entry.content.get("changes")
    if found is None:
        return {}
    per_organ = {f"{key}_{name}": value for key, values in found["organs"].items() for name, value in values.items()}
    return {"slices": found["slices"], **per_organ}
