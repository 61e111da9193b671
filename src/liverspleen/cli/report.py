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
  cohort=         cohort.csv: age, sex, condition, section thickness and phase of Table 1, counts of Figure 1
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
  0 done (notes included); 2 a table is refused or rows of the cohort are, every fault listed; 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen import assemble
from liverspleen.cohort.split import read_split
from liverspleen.config import ReportConfig
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.evaluation.reporting.flow import read_exclusions
from liverspleen.evaluation.reporting.report import write_report
from liverspleen.evaluation.reporting.study import Study
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of


def run(config: ReportConfig) -> Sequence[Issue]:
    """Write the report."""
    with recorded("report", config, config.output) as record:
        measurements = read_measurements(config.measurements)
        record.inputs["measurements"] = sha256_of(config.measurements)
        study = _study(config, record)
        report = write_report(
            measurements, config.output, reader=config.reader, reference=config.reference, study=study
        )
        for folder in (config.output / "tables", config.output / "figures"):
            record.outputs += sorted(folder.glob("*"))
        record.outputs += [config.output / "report.json", config.output / "report.html"]
        record.issues.extend(note.issue for note in report.notes)
        print(f"report: {config.output / 'report.html'}")
        return tuple(record.issues)


def _study(config: ReportConfig, record: Run) -> Study | None:
    """The cohort and what goes with it; None without a cohort."""
    if config.cohort is None:
        beside = {name: getattr(config, name) for name in ("split", "exclusions", "labels", "cases")}
        if named := [f"{name}=" for name, value in beside.items() if value]:
            raise InputError(Issue("LS-REP-052", f"{', '.join(named)} without cohort=", "give the cohort too"))
        return None
    cohort = assemble.cohort(config.cohort, config)
    record.inputs["cohort"] = cohort.hash
    record.issues.extend(cohort.issues)
    if config.labels is not None and not config.labels.is_dir():
        raise InputError(Issue("LS-IMG-002", "label maps are not in a folder", "correct the path", file=config.labels))
    split = exclusions = None
    if config.split is not None:
        split = read_split(config.split, cohort)
        record.inputs["split"] = sha256_of(config.split)
    if config.exclusions is not None:
        exclusions = read_exclusions(config.exclusions)
        record.inputs["exclusions"] = sha256_of(config.exclusions)
    values = assemble.label_values("label_values", config.label_values)
    return Study(cohort, split, exclusions, config.labels, values, tuple(config.cases))
