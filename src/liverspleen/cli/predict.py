"""segment CT scans with a trained model.

Label maps are on the grid of each CT. The same command resumes an interrupted run: label maps of the same model, CT and
settings are kept. A CT that cannot be used, or is not in HU, is reported in one line, and the others are segmented.
Without model=, the shipped model is used. It was trained on phantoms only; one line says how it did on CT scans of
patients.

examples
  liverspleen predict input=ct.nii.gz output=out
  liverspleen predict model=package input=ct.nii.gz output=out
  liverspleen predict model=outputs/model/best.ckpt input=dicom_folder output=out
  liverspleen predict model=[a/best.ckpt,b/best.ckpt] input=ct.nii.gz output=out probabilities=true
  liverspleen predict model=package input=cohort.csv output=out shard=$SLURM_ARRAY_TASK_ID/8

inputs
  model=    model package of liverspleen export (folder or .zip), or checkpoint of liverspleen train; the probabilities
            of several models, or of the members of an ensemble package, are averaged. phantom is the shipped
            model, the default; ./phantom is a path
  input=    NIfTI file, DICOM folder, .zip of either, folder of these, or cohort.csv; in a folder, label maps such
            as X_seg.nii.gz next to X.nii.gz are skipped, and files that are not read are listed. Cases have the same
            names as in liverspleen import: X for X_0000.nii.gz of nnU-Net, p1 for p1/ct.nii.gz
  split=    split with which the model was trained (for a cohort): only its validation patients are segmented. To
            segment each case with the fold model that was not trained on it, run predict for each fold, with its
            model, its split and the same output=
  shard=    part k of 8 for this job; number the parts 1 to 8 or 0 to 7, but not both in one run. Jobs can run in any
            order or at the same time; the last job to finish writes the tables

outputs, in output=
  <case_id>_dseg.nii.gz   0 background, 1 liver, 2 spleen; grid, sform, qform, codes and units of the CT
  <case_id>_dseg.json     model, settings, hashes, volumes, statuses, review score
  <case_id>_dseg.png      preview image
  <case_id>_dseg.dcm      for DICOM, the label map as DICOM-SEG
  <case_id>_measurements.dcm
                          for DICOM, volumes, ratio and attenuation as DICOM structured report, research use only
  <case_id>_liver_probability.nii.gz, <case_id>_spleen_probability.nii.gz
                          with probabilities=true, values from 0 to 1; for DICOM also <case_id>_probability.dcm
  measurements.csv        volumes with their status and attenuation in HU, in the format of liverspleen measure; the
                          reader name is `dla` (deep learning algorithm)
  volumes.csv             the volumes in wide format, one row per case
  review.csv              all cases; those that need a review are first, with the reason
  index.html              gallery: the cases of review.csv with pictures, volumes and findings; open it in a browser
  dseg.tsv, slicer.ctbl, itksnap.txt, dataset_description.json   names and colours for BIDS, 3D Slicer, ITK-SNAP
  rejected/<case_id>.json reason why a case has no label map
  run.json                command, configuration, versions and hashes; run_2of8.json for shard=2/8

exit codes
  0: finished, possibly with warnings; 2: input rejected, or cases rejected and the others segmented (each issue is
  listed); 1: failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.prediction import run_prediction
from liverspleen.config import PredictConfig
from liverspleen.errors import Issue, counted


def run(config: PredictConfig) -> Sequence[Issue]:
    """Segment the remaining cases of this shard, and write the tables if it is the last shard to finish."""
    found = run_prediction(config)
    print(f"predict: {counted(len(found.label_maps), 'label map')} in {found.shown}, {found.kept} of them made earlier")
    if found.tables:
        print(f"predict: {', '.join(file.name for file in found.tables)} in {found.shown}")
    return found.issues
