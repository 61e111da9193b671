"""check a cohort for errors: table, files, geometry, HU, label maps, anatomy, duplicates.

The data are not changed. Each finding is one line with a stable code, case, file, message and hint.

  error    the verbs that read the cohort reject the case, or the case is certainly wrong
  warning  the case is probably defective and should be inspected
  note     a variant that explains the results, such as an organ that the border of the scan cuts off

Errors and warnings are printed; notes are counted, and listed in the tables. The same finding in more than three cases
is printed as one line with a count and the first case; the tables list every case. docs/findings.md has the rule of
each code. LS-COH: table; LS-IMG: image and HU; LS-GEO: grid and orientation; LS-LAB: label map; LS-DUP: duplicates.

examples
  liverspleen check cohort=cohort.csv output=outputs/check

inputs
  cohort=         cohort.csv with paths relative to root= (by default the folder of the file), or a folder of images

outputs, in output= if given
  findings.csv    severity, code, case_id, file, message, hint
  findings.json   the same findings, with counts by severity and code, and the measured properties of each case
  run.json        command, configuration, versions and hashes

exit codes
  0: no error, possibly warnings; 2: the input was rejected, or cases have errors, each listed; 1: failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.checking import run_check
from liverspleen.config import CheckConfig
from liverspleen.errors import Issue, counted


def run(config: CheckConfig) -> Sequence[Issue]:
    """Check every case, and return errors and warnings; the tables also have the notes."""
    checked = run_check(config)
    counts = ", ".join(counted(number, severity) for severity, number in checked.counts.items())
    print(f"check: {counted(len(checked.facts), 'case')} read: {counts}")
    return checked.shown
