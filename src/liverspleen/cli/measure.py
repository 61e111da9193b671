"""measure volumes, overlap, surface distances and attenuation of label maps from any system.

All values are measured on the grid of the label map; a reference must have the same grid.

examples
  liverspleen measure labels=outputs/labels cohort=cohort.csv output=outputs/measure
  liverspleen measure labels=nnunet_out reference=labelsTs reader=nnunet output=outputs/nnunet
  liverspleen measure labels=ts_out label_values=totalsegmentator reader=totalsegmentator output=outputs/ts

inputs
  labels=       folder of <case_id>.nii.gz or <case_id>_dseg.nii.gz, or of folders
                <case_id>/ with a binary mask per organ, liver.nii.gz and spleen.nii.gz, as written by TotalSegmentator
  reference=    folder of reference label maps with the same names, apart from words such as seg (segmentation-0 for
                volume-0), or in folders <case_id>/; default: the label maps of cohort=
  cohort=       patients, conditions, sites, and the structures that each reference covers; its CT scans give the
                attenuation of the organs
  label_values= meaning of the voxel values of labels=: liverspleen, amos, btcv, chaos_ct, chaos_mr, flare, msd_liver,
                msd_spleen, totalsegmentator, or a map such as {5: liver, 1: spleen}; reference_values= likewise.
                Default: dataset.json or dseg.tsv in the folder, or dataset.json one folder above, else liverspleen
  probabilities= folder of probability maps of the same cases, one image per organ, from 0 to 1:
                <case_id>_liver_probability.nii.gz, or liver/<case_id>.nii.gz, or <case_id>/liver.nii.gz;
                probability_unit=percent for 0 to 100

outputs, in output=
  measurements.csv   one row per case, structure and reader: volume_cm3, volume_soft_cm3, volume_status, reference,
                     dss, iou, hd95_mm, assd_mm, nsd, ...; with cohort= also hu_mean, hu_median, hu_sd of the core of
                     the organ, its label eroded by 5 mm, and hu_status, why they are undefined
  volumes.csv        the volumes in wide format, one row per case
  calibration.csv    with probabilities= and a reference: sums by bin, from which report computes ECE, Brier score and
                     reliability diagrams
  run.json           command, configuration, versions and hashes

exit codes
  0: finished, possibly with warnings; 2: input rejected, or cases rejected and the others measured (each issue is
  listed); 1: failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.evaluation import run_measurement
from liverspleen.config import MeasureConfig
from liverspleen.errors import Issue, counted
from liverspleen.evaluation.metrics.probabilities import BOX_MARGIN_MM
from liverspleen.evaluation.statistics.calibration import BINS


def run(config: MeasureConfig) -> Sequence[Issue]:
    """Measure every case and write the table."""
    measured = run_measurement(config)
    print(f"measure: {counted(len(measured.rows), 'row')} in {measured.file}")
    if means := measured.mean_dss:
        print(f"measure: mean DSS {', '.join(f'{key} {mean:.3f} (n = {n})' for key, (mean, n) in means.items())}")
    if scores := measured.mean_calibration:
        where = f"in the box of the reference + {BOX_MARGIN_MM:g} mm"
        eces = ", ".join(f"{key} {ece:.4f} (n = {n})" for key, (ece, _, n) in scores.items())
        briers = ", ".join(f"{key} {brier:.4f} (n = {n})" for key, (_, brier, n) in scores.items())
        print(f"measure: mean ECE {eces}, {BINS} bins {where}")
        print(f"measure: mean Brier score {briers}, {where}")
    return measured.issues
