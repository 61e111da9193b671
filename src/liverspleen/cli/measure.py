"""volumes and DSS of label maps, anybody's, on their own grid.

example
  liverspleen measure labels=outputs/labels cohort=cohort.csv output=outputs/measure
  liverspleen measure labels=nnunet_out reference=labelsTs reader=nnunet output=outputs/nnunet
  liverspleen measure labels=ts_out label_values=totalsegmentator reader=totalsegmentator output=outputs/ts

inputs
  labels=       folder of <case_id>.nii.gz or <case_id>_dseg.nii.gz (0 background, 1 liver, 2 spleen), or of folders
                <case_id>/ with a binary mask per organ, liver.nii.gz and spleen.nii.gz, as TotalSegmentator writes them
  reference=    folder of reference label maps of the same names; without it, the labels named in cohort=
  cohort=       patients, conditions, sites, and which structures a reference covers
  label_values= what the voxel values of labels= mean: liverspleen, amos, btcv, chaos_ct, chaos_mr, flare, msd_liver,
                msd_spleen, totalsegmentator, or a map such as {5: liver, 1: spleen}; reference_values= likewise

outputs, in output=
  measurements.csv   one row per case, structure and reader: volume_cm3, volume_status, reference, dss, iou, hd95_mm,
                     assd_mm, nsd, ...
  volumes.csv        the volumes once more, one row per case
  run.json           what made it

exit codes
  0 done; 2 cases refused, each listed (the others are measured); 1 failure
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from liverspleen import assemble
from liverspleen.cli.progress import progress
from liverspleen.config import MeasureConfig
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.label_folder import measure_folder
from liverspleen.evaluation.measurements.measure_case import SurfaceMetrics
from liverspleen.evaluation.measurements.table import write_measurements, write_volumes
from liverspleen.provenance import recorded


def run(config: MeasureConfig) -> Sequence[Issue]:
    """Measure every case and write the table."""
    with recorded("measure", config, config.output) as record:
        label_values = assemble.label_values("label_values", config.label_values)
        reference_values = assemble.label_values("reference_values", config.reference_values)
        if reference_values is not None and config.reference is None:
            message = "reference_values= is given without reference=; the label maps of a cohort are always our own"
            raise InputError(Issue("LS-CFG-006", message, "add reference=, or leave it out"))
        surface = _surface_metrics(config)
        cohort = None
        if config.cohort is not None:
            cohort = assemble.cohort(config.cohort, config)
            record.inputs["cohort"] = cohort.hash
            record.issues.extend(cohort.issues)
        total = None if cohort is None else len(cohort.select(config.datasets).cases)
        with progress("measure", total) as advance:
            measured = measure_folder(
                config.labels,
                reference=config.reference,
                cohort=cohort,
                datasets=config.datasets,
                reader=config.reader,
                reference_reader=config.reference_reader,
                label_values=label_values,
                reference_values=reference_values,
                allow_missing=config.allow_missing,
                surface=surface,
                workers=config.workers or os.cpu_count() or 1,
                on_case=advance,
            )
        record.issues.extend(measured.issues)
        write_measurements(config.output / "measurements.csv", measured.rows)
        write_volumes(config.output / "volumes.csv", measured.rows)
        record.outputs += [config.output / "measurements.csv", config.output / "volumes.csv"]
        print(f"measure: {len(measured.rows)} rows in {config.output / 'measurements.csv'}")
        return tuple(record.issues)


def _surface_metrics(config: MeasureConfig) -> SurfaceMetrics | None:
    """How surfaces are compared; None for not at all."""
    if config.surface not in {"voxel", "area", "none"}:
        raise InputError(Issue("LS-CFG-006", f"surface={config.surface}", "use voxel, area or none"))
    if not 0 <= config.nsd_tolerance_mm < math.inf:
        raise InputError(Issue("LS-CFG-006", f"nsd_tolerance_mm={config.nsd_tolerance_mm}", "use 0 or more"))
    if config.workers < 0:
        raise InputError(Issue("LS-CFG-006", f"workers={config.workers}", "use 0 (one per core) or more"))
    if config.surface == "none":
        return None
    return SurfaceMetrics("area" if config.surface == "area" else "voxel", config.nsd_tolerance_mm)
