"""examine a cohort before anything is computed from it: table, files, geometry, HU, labels, anatomy, duplicates.

Every finding is one line with a stable code, its case, file and cure. Nothing is changed.

  error    the case is refused by the verbs that read it, or it can only be wrong
  warning  most likely a defect: look at the case
  note     a variant worth knowing, such as an organ cut off by the border of the scan

Errors and warnings are printed, notes are counted and stand in the table. The codes, with what each is decided by:
docs/findings.md. In short: LS-COH the table, LS-IMG the image and its HU, LS-GEO the grid and the orientation,
LS-LAB the label map, LS-DUP between cases.

example
  liverspleen check cohort=cohort.csv output=outputs/check

inputs
  cohort=         cohort.csv, its paths relative to root= (its own folder when empty); or a folder of images

outputs, in output= (only printed when empty)
  findings.csv    severity, code, case_id, file, what, cure
  findings.json   the same, with counts by severity and code, and what was measured of each case
  run.json        what made it

exit codes
  0 no error (warnings included); 2 cases refused, each listed; 1 failure
"""

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

from liverspleen import assemble
from liverspleen.cohort.findings import Examination, cohort_issues, examine_case
from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.config import CheckConfig
from liverspleen.errors import Issue, Severity
from liverspleen.processes import progress, spread
from liverspleen.provenance import recorded
from liverspleen.storage import write_json, write_text

_COLUMNS = ("severity", "code", "case_id", "file", "message", "hint")


def run(config: CheckConfig) -> Sequence[Issue]:
    """Check every case; errors and warnings are returned, the tables, if a folder is given, hold the notes too."""
    if config.output is None:
        return _check(_cohort(config)).told
    with recorded("check", config, config.output) as record:
        cohort = _cohort(config)
        record.inputs["cohort"] = cohort.hash
        checked = _check(cohort)
        record.issues.extend(checked.told)
        _write_table(config.output / "findings.csv", checked.findings)
        write_json(config.output / "findings.json", checked.as_json())
        record.outputs += [config.output / "findings.csv", config.output / "findings.json"]
        return checked.told


@dataclass(frozen=True)
class _Checked:
    """All findings of a cohort, and the measured facts by case."""

    findings: tuple[Issue, ...]
    facts: Mapping[str, Mapping[str, Any]]

    @property
    def told(self) -> tuple[Issue, ...]:
        """What is printed: notes would alarm about cases that are sound."""
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
            "findings": [dict(zip(_COLUMNS, _cells(issue), strict=True)) for issue in self.findings],
            "cases": self.facts,
        }


def _cohort(config: CheckConfig) -> Cohort:
    return assemble.cohort(config.cohort, config)


def _check(cohort: Cohort) -> _Checked:
    """Each process reads one case at a time and brings back its findings, hashes and facts, never voxels."""
    examinations = []
    with spread(examine_case, cohort.cases, 0) as waiting, progress("check", len(cohort.cases)) as advance:
        for case, future in zip(cohort.cases, waiting, strict=True):
            examinations.append(_result(case, future))
            advance(case.case_id)
    own = [issue for examination in examinations for issue in examination.issues]
    between = cohort_issues(cohort.cases, examinations)
    facts = {case.case_id: found.facts for case, found in zip(cohort.cases, examinations, strict=True)}
    checked = _Checked((*cohort.issues, *own, *between), facts)
    told = ", ".join(f"{number} {severity}s" for severity, number in checked.counts.items())
    print(f"check: {len(cohort.cases)} cases read: {told}")
    return checked


def _result(case: Case, future: Future[Examination]) -> Examination:
    """What came back; a case that brings its process down, or meets what nobody foresaw, costs one line."""
    try:
        return future.result()
    except BrokenProcessPool:  # a process was killed, as a rule for want of memory; the cases after it are not read
        message, hint = (
            "a process ended before the case was examined",
            "give the machine more memory, or look at the file",
        )
        return Examination((Issue("LS-IMG-020", message, hint, case.case_id, case.image),))
    except Exception as error:
        if os.environ.get("LIVERSPLEEN_TRACEBACK"):
            raise
        message, hint = f"unexpected {type(error).__name__}: {error}", "see the traceback with LIVERSPLEEN_TRACEBACK=1"
        return Examination((Issue("LS-RUN-001", message, hint, case.case_id, case.image),))


def _cells(issue: Issue) -> list[str]:
    return [issue.severity, issue.code, issue.case_id or "", str(issue.file or ""), issue.message, issue.hint]


def _write_table(path: Path, findings: Sequence[Issue]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(map(_cells, findings))
    write_text(path, text.getvalue())
