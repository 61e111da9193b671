"""the paper's Tables 2 to 4, percentage RC and Bland-Altman figures from measurements.csv.

That file alone is needed, also one written by hand. A table without rows is left out, and the report says so.

example
  liverspleen report measurements=outputs/measure/measurements.csv output=outputs/report

inputs
  measurements=   case_id, patient_id, dataset, condition, site, structure, reader, volume_cm3, volume_status,
                  reference, dss; only case_id, structure, reader and volume_cm3 must be there

outputs, in output=
  report.html          one page that opens from disk
  report.json          every cell at full precision, with n, method and the cases that entered
  tables/, figures/    CSV and Markdown; SVG and PNG
  run.json             what made them

exit codes
  0 done (notes included); 2 the table is refused, every fault listed; 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.config import ReportConfig
from liverspleen.errors import Fault
from liverspleen.evaluation.measurements import read_measurements
from liverspleen.evaluation.report import write_report
from liverspleen.provenance import recorded
from liverspleen.storage import sha256_of


def run(config: ReportConfig) -> Sequence[Fault]:
    """Write the report."""
    with recorded("report", config, config.output) as record:
        measurements = read_measurements(config.measurements)
        record.inputs["measurements"] = sha256_of(config.measurements)
        report = write_report(measurements, config.output, reader=config.reader, reference=config.reference)
        for folder in (config.output / "tables", config.output / "figures"):
            record.outputs += sorted(folder.glob("*"))
        record.outputs += [config.output / "report.json", config.output / "report.html"]
        record.faults.extend(note.fault for note in report.notes)
        print(f"report: {config.output / 'report.html'}")
        return tuple(record.faults)
