"""segment CT with a trained model, each on its own grid: label maps, volumes, and the cases to look at first.

Stopped, the same command goes on: what this model made of this CT with these settings is kept. A CT that cannot be used
costs one line. No pretrained model is shipped.

examples
  liverspleen predict model=package input=ct.nii.gz output=out
  liverspleen predict model=outputs/model/best.ckpt input=dicom_folder output=out
  liverspleen predict model=package input=cohort.csv output=out shard=$SLURM_ARRAY_TASK_ID/8

inputs
  model=    model package of liverspleen export, folder or .zip; or checkpoint of liverspleen train
  input=    NIfTI file, DICOM folder, .zip of either, folder of these, or cohort.csv; X_label.nii.gz and X_dseg.nii.gz
            beside X.nii.gz are label maps, and left. DICOM gets the same ids as from liverspleen import
  split=    of a cohort, the split the model was trained with: only its validation patients are segmented. So the models
            of all folds fill one folder, each case by the model that has not seen it
  shard=    of cases that several tasks share, this task's part: 1/8 to 8/8, or 0/8 to 7/8, in any order or at once. The
            task that ends last writes the tables

outputs, in output=
  <case_id>_dseg.nii.gz   0 background, 1 liver, 2 spleen; grid, sform, qform, codes and units of the CT
  <case_id>_dseg.json     model, settings, hashes, volumes, statuses, review
  <case_id>_dseg.png      picture for a glance
  <case_id>_dseg.dcm      of DICOM, the same as DICOM-SEG
  measurements.csv        volumes with their status, reader dla: what liverspleen measure makes of the folder
  volumes.csv             the volumes once more, one row per case
  review.csv              the cases, those first that need a look
  dseg.tsv, slicer.ctbl, itksnap.txt, dataset_description.json   names and colours for BIDS, 3D Slicer, ITK-SNAP
  rejected/<case_id>.json  why there is no label map
  run.json                what made them; run_2of8.json of a share

exit codes
  0 done; 2 cases rejected, each listed (the others are segmented); 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.prediction import run_prediction
from liverspleen.config import PredictConfig
from liverspleen.errors import Issue


def run(config: PredictConfig) -> Sequence[Issue]:
    """Segment every case of this share that is not segmented yet, and write the tables if it was the last."""
    found = run_prediction(config)
    print(f"predict: {len(found.label_maps)} label maps in {found.shown}, {found.kept} of them were there already")
    if found.tables:
        print(f"predict: {', '.join(file.name for file in found.tables)} in {found.shown}")
    return found.issues
