"""What an import tells: `import.csv`, a row per case of the source, and `series.csv`, a row per DICOM series."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from liverspleen.cohort.identity import Identity
from liverspleen.cohort.importing import Outcome, Plan
from liverspleen.cohort.layouts.source import Found
from liverspleen.errors import Issue
from liverspleen.storage import write_text

_IMPORT = ("source", "case_id", "taken", "code", "why", "image_sha256", "label_sha256")
_SERIES = (
    "series",
    "case_id",
    "taken",
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
    """Write a row per case of the source, in the order of their (hashed) names; the issues of all of them."""
    rows: list[dict[str, str]] = []
    issues: list[Issue] = []
    for task, outcome in zip(plan.tasks, outcomes, strict=True):
        told = {"source": identity.path(task.source.name), "case_id": task.case_id}
        hashes = {"image_sha256": outcome.image_sha256, "label_sha256": outcome.label_sha256}
        rows.append(told | _verdict(outcome.row is not None, outcome.issues) | hashes)
        issues += outcome.issues
    for case, rejected in plan.rejected:
        rows.append({"source": identity.path(case.name)} | _verdict(False, rejected))
        issues += _about(identity, case.name, rejected)
    for left in found.left:
        rows.append({"source": identity.path(left.name)} | _verdict(False, [left.issue]))
        issues += _about(identity, left.name, [left.issue])
    _write(path, _IMPORT, sorted(rows, key=lambda row: (row["source"], row["code"])))
    return tuple(issues)


def write_series_table(path: Path, found: Found, plan: Plan, outcomes: Sequence[Outcome], identity: Identity) -> None:
    """Write a row per series, in the order of their hashes; one whose case is rejected in the end has its reason."""
    ends = {task.source.key or task.source.name: outcome for task, outcome in zip(plan.tasks, outcomes, strict=True)}
    rows = []
    for series in found.series:
        row = asdict(series)
        outcome = ends.get(row.pop("key"))
        row["series"] = identity.hashed("series", series.key)
        taken = not series.code and outcome is not None and outcome.row is not None
        row |= {"taken": str(taken).lower(), "case_id": outcome.case_id if outcome and taken else ""}
        if outcome is not None and outcome.row is None:
            row |= {"code": outcome.issues[0].code, "reason": outcome.issues[0].message}
        rows.append(row)
    _write(path, _SERIES, sorted(rows, key=lambda row: str(row["series"])))


def _verdict(taken: bool, issues: Sequence[Issue]) -> dict[str, str]:
    codes = ";".join(dict.fromkeys(issue.code for issue in issues))
    return {"taken": str(taken).lower(), "code": codes, "why": "; ".join(issue.message for issue in issues)}


def _about(identity: Identity, name: str, issues: Iterable[Issue]) -> list[Issue]:
    """The issues, each with a file to be found by: the case itself where it names none."""
    return [
        identity.issue(issue) if issue.file else Issue(**{**vars(issue), "file": identity.path(name)})
        for issue in issues
    ]


def _write(path: Path, columns: Sequence[str], rows: Sequence[dict[str, object]] | Sequence[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
