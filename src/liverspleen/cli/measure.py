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
  0 done; 2 cases rejected, each listed (the others are measured); 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.evaluation import run_measurement
from liverspleen.config import MeasureConfig
from liverspleen.errors import Issue


def run(config: MeasureConfig) -> Sequence[Issue]:
    """Measure every case and write the table."""
    measured = run_measurement(config)
    print(f"measure: {len(measured.rows)} rows in {measured.file}")
    return measured.issues
