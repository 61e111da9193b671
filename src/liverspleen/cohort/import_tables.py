"""Tables of an import: `import.csv`, a row per case of the source, and `series.csv`, a row per DICOM series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from liverspleen.cohort.identity import Identity
from liverspleen.cohort.importing import Outcome, Plan
from liverspleen.cohort.layouts.source import Found
from liverspleen.errors import Issue
from liverspleen.spreadsheet import csv_text
from liverspleen.storage import write_text

_IMPORT = ("source", "case_id", "included", "code", "why", "image_sha256", "label_sha256")
_SERIES = (
    "series",
    "case_id",
    "included",
    "code",
    "reason",
    "slices",
    "matrix",
    "spacing_mm",
    "slice_thickness_mm",
    "phase",
)


def write_import(
    path: Path, found: Found, plan: Plan, outcomes: Sequence[Outcome], identity: Identity
) -> tuple[Issue, ...]:
    """Write a row per case of the source, in the order of their (hashed) names, and return the issues of all cases."""
    rows: list[dict[str, str]] = []
    issues: list[Issue] = []
    for task, outcome in zip(plan.tasks, outcomes, strict=True):
        ids = {"source": identity.path(task.source.name), "case_id": task.case_id}
        hashes = {"image_sha256": outcome.image_sha256, "label_sha256": outcome.label_sha256}
        rows.append(ids | _status(outcome.row is not None, outcome.issues) | hashes)
        issues += outcome.issues
    excluded = [(case.name, rejected) for case, rejected in plan.rejected]
    excluded += [(exclusion.name, (exclusion.issue,)) for exclusion in found.excluded]
    for name, reasons in excluded:
        rows.append({"source": identity.path(name)} | _status(False, reasons))
        issues += _with_file(identity, name, reasons)
    _write(path, _IMPORT, sorted(rows, key=lambda row: (row["source"], row["code"])))
    return tuple(issues)


def write_series_table(path: Path, found: Found, plan: Plan, outcomes: Sequence[Outcome], identity: Identity) -> None:
    """Write a row per series, in the order of their hashes; a series of a rejected case has the reason of the case."""
    by_key = {task.source.key or task.source.name: outcome for task, outcome in zip(plan.tasks, outcomes, strict=True)}
    rows = []
    for series in found.series:
        row = asdict(series)
        outcome = by_key.get(row.pop("key"))
        row["series"] = identity.hashed("series", series.key)
        included = not series.code and outcome is not None and outcome.row is not None
        row |= {"included": str(included).lower(), "case_id": outcome.case_id if outcome and included else ""}
        if outcome is not None and outcome.row is None:
            row |= {"code": outcome.issues[0].code, "reason": outcome.issues[0].message}
        rows.append(row)
    _write(path, _SERIES, sorted(rows, key=lambda row: str(row["series"])))


def _status(included: bool, issues: Sequence[Issue]) -> dict[str, str]:
    codes = ";".join(dict.fromkeys(issue.code for issue in issues))
    return {"included": str(included).lower(), "code": codes, "why": "; ".join(issue.message for issue in issues)}


def _with_file(identity: Identity, name: str, issues: Iterable[Issue]) -> list[Issue]:
    """Return the issues with redacted files; an issue without a file gets the name of the case."""
    return [
        identity.issue(issue) if issue.file else Issue(**{**vars(issue), "file": identity.path(name)})
        for issue in issues
    ]


def _write(path: Path, columns: Sequence[str], rows: Sequence[dict[str, object]] | Sequence[dict[str, str]]) -> None:
    write_text(path, csv_text([columns, *([row.get(name) for name in columns] for row in rows)]))
