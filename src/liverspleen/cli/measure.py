"""volumes and DSS of label maps, anybody's, on their own grid.

example
  liverspleen measure labels=outputs/labels cohort=cohort.csv output=outputs/measure
  liverspleen measure labels=nnunet_out reference=labelsTs reader=nnunet output=outputs/nnunet

inputs
  labels=       folder of <case_id>.nii.gz (0 background, 1 liver, 2 spleen)
  reference=    folder of reference label maps of the same names; without it, the labels named in cohort=
  cohort=       patients, conditions, sites, and which structures a reference covers

outputs, in output=
  measurements.csv   one row per case, structure and reader: volume_cm3, volume_status, reference, dss
  run.json           what made it

exit codes
  0 done; 2 cases refused, each listed (the others are measured); 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen import assemble
from liverspleen.cli.progress import progress
from liverspleen.cohort.manifest import read_cohort
from liverspleen.config import MeasureConfig
from liverspleen.errors import Fault
from liverspleen.evaluation.measure import measure_folder
from liverspleen.evaluation.measurements import write_measurements
from liverspleen.provenance import recorded


def run(config: MeasureConfig) -> Sequence[Fault]:
    """Measure every case and write the table."""
    with recorded("measure", config, config.output) as record:
        cohort = None
        if config.cohort is not None:
            words = assemble.vocabulary(config.vocabulary)
            cohort = read_cohort(config.cohort, root=config.root, vocabulary=words)
            record.inputs["cohort"] = cohort.hash
            record.faults.extend(cohort.faults)
        total = None if cohort is None else len(cohort.select(config.datasets).cases)
        with progress("measure", total) as advance:
            measured = measure_folder(
                config.labels,
                reference=config.reference,
                cohort=cohort,
                datasets=config.datasets,
                reader=config.reader,
                reference_reader=config.reference_reader,
                on_case=advance,
            )
        record.faults.extend(measured.faults)
        write_measurements(config.output / "measurements.csv", measured.rows)
        record.outputs.append(config.output / "measurements.csv")
        print(f"measure: {len(measured.rows)} rows in {config.output / 'measurements.csv'}")
        return tuple(record.faults)
