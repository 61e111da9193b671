"""segment CT scans with a trained model.

Label maps are on the grid of each CT. The same command resumes an interrupted run: label maps of the same model, CT and
settings are kept. A CT that cannot be used is reported in one line, and the others are segmented. No pretrained model
is shipped.

examples
  liverspleen predict model=package input=ct.nii.gz output=out
  liverspleen predict model=outputs/model/best.ckpt input=dicom_folder output=out
  liverspleen predict model=package input=cohort.csv output=out shard=$SLURM_ARRAY_TASK_ID/8

inputs
  model=    model package of liverspleen export (folder or .zip), or checkpoint of liverspleen train
  input=    NIfTI file, DICOM folder, .zip of either, folder of these, or cohort.csv; in a folder with X.nii.gz,
            X_label.nii.gz and X_dseg.nii.gz are label maps and are skipped. DICOM cases have the ids of liverspleen
            import
  split=    split of the training of the model, for a cohort: only its validation patients are segmented. With the
            models of all folds and one output folder, each case is segmented by the model that was not trained on it
  shard=    part of the cases for this task: 1/8 to 8/8, or 0/8 to 7/8, in any order or at the same time; the last task
            to finish writes the tables

outputs, in output=
  <case_id>_dseg.nii.gz   0 background, 1 liver, 2 spleen; grid, sform, qform, codes and units of the CT
  <case_id>_dseg.json     model, settings, hashes, volumes, statuses, review score
  <case_id>_dseg.png      preview image
  <case_id>_dseg.dcm      for DICOM, the label map as DICOM-SEG
  measurements.csv        volumes with their status, reader dla; as liverspleen measure writes it
  volumes.csv             the volumes in wide format, one row per case
  review.csv              all cases; those that need a review are first, with the reason
  dseg.tsv, slicer.ctbl, itksnap.txt, dataset_description.json   names and colours for BIDS, 3D Slicer, ITK-SNAP
  rejected/<case_id>.json reason why a case has no label map
  run.json                command, configuration, versions and hashes; run_2of8.json for shard=2/8

exit codes
  0: finished; 2: the input or a case was rejected, each listed (other cases are segmented); 1: failure
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
