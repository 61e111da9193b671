"""generate a cohort of synthetic CT scans (phantoms) with known organ volumes.

The phantoms have five conditions (healthy, fatty, cld, cirrhosis, post_hepatectomy) with different shapes and HU. A
pair shows the same anatomy on two scanners. The same seed gives the same phantoms for any number of processes. A
finished cohort with the same options is kept.

style=randomised makes phantoms for networks that read CT scans of patients: the shape, size and position of all organs,
fat, contrast phase, bowel contents, lesions, fluid, noise, kernel, field of view and range of slices are random; the
spleen may be absent and a scan may show no organ. Their slice thickness is 0.5 to 10 mm. The label map includes lesions
and vessels inside an organ; truth.csv has the volumes of the label maps.

examples
  liverspleen phantom output=phantoms development=20 test1=15 pairs=5 matrix=128 seed=7
  liverspleen phantom output=varied style=randomised development=100 matrix=128 thickness_min_mm=1 thickness_max_mm=8

outputs, in output=
  images/, labels/   one .nii.gz per case
  cohort.csv         the cohort, for check, split, prepare and train
  dicom/             with format=dicom, in place of the above: <patient_id>/<case_id>/ with one file per slice and
                     segmentation.dcm
  covariates.csv     with format=dicom: patient, dataset, condition and site of each folder
  truth.csv          true volumes in cm³
  run.json           command, configuration, versions and hashes

exit codes
  0: finished; 2: the input was rejected, each issue listed; 1: failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.phantoms import run_phantoms
from liverspleen.config import PhantomConfig
from liverspleen.errors import Issue


def run(config: PhantomConfig) -> Sequence[Issue]:
    """Write the cohort, or keep a finished one."""
    run_phantoms(config)
    return ()
