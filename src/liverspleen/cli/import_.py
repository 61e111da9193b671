"""bring a dataset in: images and label maps as NIfTI, one cohort.csv, each case told why it is taken or left.

Names stay outside: ids are keyed hashes, files are named by hashes of their path, headers lose all text. The key and
the table that leads from hashes back to names lie in your config folder ($XDG_CONFIG_HOME/liverspleen).
Killed anywhere, the same command goes on where it stopped; files that changed are imported anew. Cases of an earlier
import into output= that are not in the source (any more) are removed; files that no import wrote are never touched.

example
  liverspleen import source=dicom input=pacs_export covariates=patients.csv output=cohort
  liverspleen import source=msd input=Task03_Liver label_values=names ids=names output=cohort
  liverspleen import source=nifti input=scans labels=masks label_values='{1: liver, 2: spleen}' output=cohort

inputs
  source=            input= is
    nifti            a folder of CT, or with images/; labels= a folder of files of the same names
    msd              a task of the Medical Segmentation Decathlon, with dataset.json
    nnunet           raw data of nnU-Net, version 1 or 2; imagesTs become dataset test1 unless covariates= say otherwise
    totalsegmentator the TotalSegmentator dataset: <case>/ct.nii.gz, <case>/segmentations/liver.nii.gz, meta.csv
    chaos            CHAOS: <patient>/DICOM_anon/*.dcm and Ground/*.png (label_values=chaos_ct)
    dicom            any folder of DICOM; of each study the only eligible series is taken, else the one that covariates=
                     name, else the portal venous one by its header, else none, and it is said. labels= a folder of
                     DICOM-SEG, or of <source>.nii.gz
  label_values=      what label values mean, needed wherever numbers are all there is: names (dataset.json says), a
                     preset (liverspleen, totalsegmentator, amos, btcv, flare, msd_liver, msd_spleen, chaos_ct,
                     chaos_mr), or a map such as {1: liver}; an organ that is not named is not labelled. DICOM-SEG say
                     it by their codes; a map of segment numbers goes over them
  covariates=        CSV with the key `source` (name of the case in its layout: file or folder without suffix; for dicom
                     the series' folder relative to input=) or `patient`, optionally `series` (UID or number: the series
                     to take), and columns of cohort.csv; with both keys, `patient` says whose the case is
  key=               key file of the hashes (mode 0600); the same key gives the same ids

outputs, in output=
  images/, labels/   <case_id>.nii.gz; labels 0 background, 1 liver, 2 spleen
  cohort.csv         ready for check, split, prepare, train
  import.csv         every case of the source: included or not, code, why, hashes of decoded voxels
  series.csv         every DICOM series: included or not, code, reason, geometry
  run.json           what made it

exit codes
  0 done (warnings included); 2 cases rejected, each listed (the others are imported); 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.importing import run_import
from liverspleen.config import ImportConfig
from liverspleen.errors import Issue


def run(config: ImportConfig) -> Sequence[Issue]:
    """Import every case, and write the tables."""
    run = run_import(config)
    found = run.imported
    print(f"import: {found.cases} of {found.found} included, {found.reused} of them were there already")
    return run.issues
