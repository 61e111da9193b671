"""Examine every case of a cohort, in several processes, and what is doubtful between cases."""

from __future__ import annotations

import csv
import io
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
from liverspleen.storage import write_text

COLUMNS = ("severity", "code", "case_id", "file", "message", "hint")
"""Columns of `findings.csv`."""


@dataclass(frozen=True)
class Checked:
    """All findings of a cohort, and the measured facts by case."""

    findings: tuple[Issue, ...]
    facts: Mapping[str, Mapping[str, Any]]

    @property
    def shown(self) -> tuple[Issue, ...]:
        """Errors and warnings; notes would alarm about cases that are sound."""
        return tuple(issue for issue in self.findings if issue.severity != "note")

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings by severity."""
        return {severity: sum(f.severity == severity for f in self.findings) for severity in get_args(Severity)}

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "counts": self.counts,
            "codes": dict(sorted(Counter(issue.code for issue in self.findings).items())),
            "findings": [dict(zip(COLUMNS, _cells(issue), strict=True)) for issue in self.findings],
            "cases": self.facts,
        }


def check_cohort(cohort: Cohort) -> Checked:
    """Examine every case; a process reads one case at a time and returns findings, hashes and facts, never voxels."""
    examinations = []
    with spread(examine_case, cohort.cases, 0) as waiting, progress("check", len(cohort.cases)) as advance:
        for case, future in zip(cohort.cases, waiting, strict=True):
            examinations.append(_result(case, future))
            advance(case.case_id)
    own = [issue for examination in examinations for issue in examination.issues]
    between = cohort_issues(cohort.cases, examinations)
    facts = {case.case_id: found.facts for case, found in zip(cohort.cases, examinations, strict=True)}
    return Checked((*cohort.issues, *own, *between), facts)


def write_findings(path: Path, findings: Sequence[Issue]) -> None:
    """Write `findings.csv`, a row per finding."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(_cells, findings))
    write_text(path, text.getvalue())


def _result(case: Case, future: Future[Examination]) -> Examination:
    """The examination; a case that ends its process, or causes an unexpected error, costs one line."""
    try:
        return future.result()
    except BrokenProcessPool:  # a process was killed, as a rule for want of memory; the cases after it are not read
        message = "a worker process was killed before the case was examined, as happens when memory runs out"
        hint = "free memory, or use a machine with more, and run check again"
        return Examination((Issue("LS-IMG-022", message, hint, case.case_id, case.image),))
    except Exception as error:
        if os.environ.get("LIVERSPLEEN_TRACEBACK"):
            raise
        return Examination((unexpected(error, case_id=case.case_id, file=case.image),))


def _cells(issue: Issue) -> list[str]:
    return [issue.severity, issue.code, issue.case_id or "", str(issue.file or ""), issue.message, issue.hint]
