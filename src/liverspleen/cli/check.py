"""examine a cohort before anything is computed from it: table, files, geometry, label values.

Every finding is one line with a stable code, its case, file and cure. Nothing is changed.

example
  liverspleen check cohort=cohort.csv output=outputs/check

inputs
  cohort=         cohort.csv, its paths relative to root= (its own folder when empty); or a folder of images

outputs, in output= (only printed when empty)
  findings.csv    severity, code, case_id, file, what, cure
  run.json        what made it

exit codes
  0 no error (warnings included); 2 cases refused, each listed; 1 failure
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from liverspleen import assemble
from liverspleen.cli.progress import processes, progress
from liverspleen.cohort.checks import check_case
from liverspleen.cohort.manifest import Cohort
from liverspleen.config import CheckConfig
from liverspleen.errors import Fault
from liverspleen.provenance import recorded
from liverspleen.storage import write_text


def run(config: CheckConfig) -> Sequence[Fault]:
    """Check every case; the table of findings is written if a folder is given."""
    if config.output is None:
        return _check(_cohort(config))
    with recorded("check", config, config.output) as record:
        cohort = _cohort(config)
        record.inputs["cohort"] = cohort.hash
        findings = _check(cohort)
        record.faults.extend(findings)
        _write(config.output / "findings.csv", findings)
        record.outputs.append(config.output / "findings.csv")
        return findings


def _cohort(config: CheckConfig) -> Cohort:
    return assemble.cohort(config.cohort, config)


def _check(cohort: Cohort) -> tuple[Fault, ...]:
    findings = list(cohort.faults)
    with processes(0) as pool, progress("check", len(cohort.cases)) as advance:
        for case, faults in zip(cohort.cases, pool.map(check_case, cohort.cases), strict=True):
            findings.extend(faults)
            advance(case.case_id)
    errors = sum(fault.severity == "error" for fault in findings)
    print(f"check: {len(cohort.cases)} cases read, {len(findings)} findings, {errors} of them errors")
    return tuple(findings)


def _write(path: Path, findings: Sequence[Fault]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["severity", "code", "case_id", "file", "what", "cure"])
    writer.writerows([f.severity, f.code, f.case_id or "", f.file or "", f.what, f.cure] for f in findings)
    write_text(path, text.getvalue())
