"""examine a cohort before anything is computed from it: table, files, geometry, HU, labels, anatomy, duplicates.

Every finding is one line with a stable code, its case, file and hint. Nothing is changed.

  error    the case is rejected by the verbs that read it, or it can only be wrong
  warning  most likely a defect: look at the case
  note     a variant worth knowing, such as an organ cut off by the border of the scan

Errors and warnings are printed, notes are counted and stand in the table. The same finding in more than three cases is
printed as one line with a count and the first case; the tables in output= have all. What decides each finding:
docs/findings.md. In short: LS-COH the table, LS-IMG the image and its HU, LS-GEO the grid and the orientation,
LS-LAB the label map, LS-DUP between cases.

example
  liverspleen check cohort=cohort.csv output=outputs/check

inputs
  cohort=         cohort.csv, its paths relative to root= (its own folder when empty); or a folder of images

outputs, in output= (only printed when empty)
  findings.csv    severity, code, case_id, file, what, hint
  findings.json   the same, with counts by severity and code, and what was measured of each case
  run.json        what made it

exit codes
  0 no error (warnings included); 2 cases rejected, each listed; 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.checking import run_check
from liverspleen.config import CheckConfig
from liverspleen.errors import Issue


def run(config: CheckConfig) -> Sequence[Issue]:
    """Check every case; errors and warnings are returned, the tables, if a folder is given, hold the notes too."""
    checked = run_check(config)
    counts = ", ".join(f"{number} {severity}s" for severity, number in checked.counts.items())
    print(f"check: {len(checked.facts)} cases read: {counts}")
    return checked.shown
