"""the paper's tables and figures from measurements.csv, and from the cohort behind it.

The measurements alone give Tables 2 to 4, percentage RC and Figure 4 (Bland-Altman), also from a file written by hand.
With the cohort come Table 1 and Figure 1 (flow), with the predicted label maps Figure 3. What cannot be made is left
out, and the report says so and how to get it.

example
  liverspleen report measurements=outputs/measure/measurements.csv output=outputs/report
  liverspleen report measurements=measure/measurements.csv cohort=cohort.csv labels=labels output=report

inputs
  measurements=   case_id, patient_id, dataset, condition, site, structure, reader, volume_cm3, volume_status,
                  reference, dss; only case_id, structure, reader and volume_cm3 must be there
  cohort=         cohort.csv: age, sex, condition, slice thickness and phase of Table 1, counts of Figure 1
  split=          split.csv of that cohort: training and validation patients in Figure 1
  exclusions=     CSV of reason,count: patients excluded before the cohort; the reason assessed states all there were
  labels=         folder of the reader's label maps, named as for liverspleen measure: Figure 3
  label_values=   what the voxel values of labels= mean, as in liverspleen measure
  cases=          [case_id,...] of Figure 3; without it the case with the median DSS of each condition

outputs, in output=
  report.html          one page that opens from disk
  report.json          every cell at full precision, with n, method and the cases that entered
  tables/              each table as CSV, Markdown and LaTeX; all of them in tables.tex and tables.docx
  figures/             SVG, PDF and PNG
  run.json             what made them

exit codes
  0 done (notes included); 2 a table is rejected or rows of the cohort are, every issue listed; 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.evaluation import run_report
from liverspleen.config import ReportConfig
from liverspleen.errors import Issue


def run(config: ReportConfig) -> Sequence[Issue]:
    """Write the report."""
    reported = run_report(config)
    print(f"report: {reported.page}")
    return reported.issues
