"""import a dataset as NIfTI files and cohort.csv, with the reason for each included or skipped case.

Patient names are not imported: case ids are keyed hashes, outputs name source files by hashes of their paths, and
all text in headers is removed. The key, and the table that maps hashes to names, are in your configuration folder
($XDG_CONFIG_HOME/liverspleen). The same command resumes an interrupted import; changed files are imported again. Cases
of an earlier import into output= that the source no longer has are removed; other files in output= are not changed.

examples
  liverspleen import source=dicom input=pacs_export covariates=patients.csv output=cohort
  liverspleen import source=msd input=Task03_Liver label_values=names ids=names output=cohort
  liverspleen import source=nifti input=scans labels=masks label_values='{1: liver, 2: spleen}' output=cohort

inputs
  source=            layout of input=:
    nifti            a folder of CT scans, or one that contains images/ or a folder for each case; label maps are
                     paired with their CT by name: in labels=, or without it in input= if label_values= is given
    msd              a task of the Medical Segmentation Decathlon, with dataset.json
    nnunet           raw data of nnU-Net, version 1 or 2; imagesTs become dataset test1 unless covariates= differs
    totalsegmentator the TotalSegmentator dataset: <case>/ct.nii.gz, <case>/segmentations/liver.nii.gz, meta.csv
    chaos            CHAOS: <patient>/DICOM_anon/*.dcm and Ground/*.png (label_values=chaos_ct)
    dicom            any folder of DICOM. One series per study is selected: the only suitable one; if there are several,
                     the one given by covariates=, or the one that is portal venous by its header. If none is
                     selected, the reason is listed. labels= is a folder of DICOM-SEG, or of <source>.nii.gz
  label_values=      meaning of numeric label values: names (from dataset.json or dseg.tsv; the default if there is
                     one), a preset (liverspleen, totalsegmentator, amos, btcv, flare, msd_liver, msd_spleen,
                     chaos_ct, chaos_mr), or a map such as {1: liver}; an organ that is not in the map is
                     unlabelled. DICOM-SEG files contain codes of the organs; a map of segment numbers overrides them
  pairs=             CSV with the columns image and label (optionally case_id, patient_id), if names do not pair the
                     files of source=nifti; paths are relative to its folder or to input=
  covariates=        CSV with columns of cohort.csv, and the key `source` (name of the case in its layout: file or
                     folder without suffix; for dicom the folder of the series relative to input=) or `patient`,
                     optionally `series` (UID or number of the series to select) and `segmentation` (path or UID of
                     the DICOM-SEG to use); with both keys, `patient` gives the patient
  key=               key file of the hashes (mode 0600); the same key gives the same ids

outputs, in output=
  images/, labels/   <case_id>.nii.gz; label values 0 background, 1 liver, 2 spleen
  cohort.csv         the cohort, for check, split, prepare and train
  import.csv         every case of the source: whether it is included, code, reason, hashes of decoded voxels
  series.csv         every DICOM series: whether it is included, code, reason, geometry
  run.json           command, configuration, versions and hashes

exit codes
  0: finished, possibly with warnings; 2: input rejected, or cases rejected and the others imported (each issue is
  listed); 1: failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.importing import run_import
from liverspleen.config import ImportConfig
from liverspleen.errors import Issue, counted


def run(config: ImportConfig) -> Sequence[Issue]:
    """Import every case, and write the tables."""
    run = run_import(config)
    found = run.imported
    print(f"import: {found.cases} of {counted(found.found, 'case')} imported, {found.reused} of them earlier")
    return run.issues
