"""write the paper's tables and figures from measurements.csv.

The measurements alone give Tables 2 to 4, the reproducibility coefficients (%RC) and Figure 4 (Bland-Altman), also from
a table written by hand. With the cohort, Table 1 and Figure 1 (flow chart) are added; with the predicted label maps,
Figure 3. The report lists the tables and figures that are not included, and the input that each of them needs.

examples
  liverspleen report measurements=outputs/measure/measurements.csv output=outputs/report
  liverspleen report measurements=measure/measurements.csv cohort=cohort.csv labels=labels output=report

inputs
  measurements=   case_id, patient_id, dataset, condition, site, structure, reader, volume_cm3, volume_status,
                  reference, dss; only case_id, structure, reader and volume_cm3 are required; hu_mean and
                  hu_status give the table of attenuation
                  a calibration.csv beside it (liverspleen measure probabilities=) adds the calibration of probabilities
  cohort=         cohort.csv: age, sex, condition, slice thickness and phase for Table 1, counts for Figure 1;
                  attenuation by phase
  split=          split.csv of that cohort, or the folder with fold0.csv, fold1.csv, ...: its patients in Figure 1, and
                  tables of the development cases that were measured and are on a validation side, by fold
  exclusions=     CSV of reason,count: patients excluded before the cohort; the reason assessed is the number of all
                  patients
  labels=         folder of the label maps of the reader, named as for liverspleen measure: Figure 3,
                  viewer of slices
  label_values=   meaning of the voxel values of labels=, as in liverspleen measure
  cases=          [case_id,...] for Figure 3; default: the case with the median DSS of each condition
  viewer_cases=   number of cases whose slices the page shows with labels=: those with the lowest DSS; 0 for none

outputs, in output=
  report.html     all tables, figures and cases as a page that needs no server, with a viewer of slices
  report.json     every cell at full precision, with n, method and included cases
  cases.csv       the cases of the cells with more than 2000 of them, one column per list: 1 included, 0 excluded
  tables/         each table as CSV, Markdown and LaTeX; all of them in tables.tex and tables.docx
  figures/        SVG, PDF and PNG
  run.json        command, configuration, versions and hashes

exit codes
  0: finished, possibly with notes; 2: a table or rows of the cohort were rejected, each issue listed; 1: failure
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
