"""make a cohort of procedural abdominal CT with known volumes.

Five conditions (healthy, fatty, cld, cirrhosis, post_hepatectomy) as shapes and densities; pairs show the same anatomy
on two scanners. The same seed gives the same phantoms, whatever the number of processes.

example
  liverspleen phantom output=phantoms development=20 test1=15 pairs=5 matrix=128 seed=7

outputs, in output=
  images/, labels/   one .nii.gz per case
  cohort.csv         ready for check, split, prepare, train
  dicom/             with format=dicom, instead of these: <patient_id>/<case_id>/ with one file per slice and
                     segmentation.dcm
  covariates.csv     with format=dicom: what each of these folders is
  truth.csv          true volumes in cm³
  run.json           what made them

exit codes
  0 done; 2 rejected; 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.phantoms import run_phantoms
from liverspleen.config import PhantomConfig
from liverspleen.errors import Issue


def run(config: PhantomConfig) -> Sequence[Issue]:
    """Write the cohort, or find that it is there."""
    run_phantoms(config)
    return ()
