"""Examination of all cases of a cohort in several processes, and comparison of the cases."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from liverspleen.cohort.findings.duplicates import cohort_issues
from liverspleen.cohort.findings.examination import Examination, examine_case
from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.errors import Issue, Severity, unexpected
from liverspleen.processes import progress, spread
from liverspleen.spreadsheet import csv_text
from liverspleen.storage import write_text

COLUMNS = ("severity", "code", "case_id", "file", "message", "hint")
"""Columns of `findings.csv`."""


@dataclass(frozen=True)
class Checked:
    """Findings of a cohort, and measured facts by case."""

    findings: tuple[Issue, ...]
    facts: Mapping[str, Mapping[str, Any]]

    @property
    def shown(self) -> tuple[Issue, ...]:
        """Errors and warnings; notes are about valid cases and would cause false alarms."""
        return tuple(issue for issue in self.findings if issue.severity != "note")

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings by severity."""
        return {severity: sum(f.severity == severity for f in self.findings) for severity in get_args(Severity)}

    def as_json(self) -> dict[str, Any]:
        """Return counts, findings and facts as JSON values."""
        return {
            "counts": self.counts,
            "codes": dict(sorted(Counter(issue.code for issue in self.findings).items())),
            "findings": [dict(zip(COLUMNS, _cells(issue), strict=True)) for issue in self.findings],
            "cases": self.facts,
        }


def check_cohort(cohort: Cohort) -> Checked:
    """Examine all cases; each process reads one case at a time and returns findings, hashes and facts, not voxels."""
    examinations = []
    with spread(examine_case, cohort.cases, 0) as futures, progress("check", len(cohort.cases)) as advance:
        for case, future in zip(cohort.cases, futures, strict=True):
            examinations.append(_result(case, future))
            advance(case.case_id)
    case_issues = [issue for examination in examinations for issue in examination.issues]
    facts = {case.case_id: found.facts for case, found in zip(cohort.cases, examinations, strict=True)}
    return Checked((*cohort.issues, *case_issues, *cohort_issues(cohort.cases, examinations)), facts)


def write_findings(path: Path, findings: Sequence[Issue]) -> None:
    """Write `findings.csv` with one row per finding."""
    write_text(path, csv_text([COLUMNS, *map(_cells, findings)]))


def _result(case: Case, future: Future[Examination]) -> Examination:
    """Return the examination, or one issue if the process was killed or an unexpected error occurred."""
    try:
        return future.result()
    except BrokenProcessPool:  # usually memory ran out; later cases are not read either
        message = "a worker process was killed before the case was examined, as happens when memory runs out"
        hint = "free memory, or use a machine with more, and run check again"
        return Examination((Issue("LS-IMG-022", message, hint, case.case_id, case.image),))
    except Exception as error:
        if os.environ.get("LIVERSPLEEN_TRACEBACK"):
            raise
        return Examination((unexpected(error, case_id=case.case_id, file=case.image),))


def _cells(issue: Issue) -> list[str]:
    return [issue.severity, issue.code, issue.case_id or "", str(issue.file or ""), issue.message, issue.hint]
