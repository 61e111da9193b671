"""make a cohort of procedural abdominal CT with known volumes.

Five conditions (healthy, fatty, cld, cirrhosis, post_hepatectomy) as shapes and densities; pairs show the same anatomy
on two scanners. The same seed gives the same phantoms, whatever the number of processes.

example
  liverspleen phantom output=phantoms development=20 test1=15 pairs=5 matrix=128 seed=7

outputs, in output=
  images/, labels/   one .nii.gz per case
  cohort.csv         ready for check, split, prepare, train
  dicom/             with format=dicom, instead of these: <patient_id>/<case_id>/ with one file per section and
                     segmentation.dcm
  covariates.csv     with format=dicom: what each of these folders is
  truth.csv          true volumes in cm³
  run.json           what made them

exit codes
  0 done; 2 refused; 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.config import PhantomConfig
from liverspleen.errors import Issue
from liverspleen.processes import progress
from liverspleen.provenance import recorded


def run(config: PhantomConfig) -> Sequence[Issue]:
    """Write the cohort, or say that it is there."""
    from liverspleen.phantom.cohort import write_phantom_cohort

    with recorded("phantom", config, config.output) as record:
        record.seeds["phantom"] = config.seed
        total = config.development + config.test1 + 2 * config.pairs
        with progress("phantom", total) as advance:
            table = write_phantom_cohort(
                config.output,
                development=config.development,
                test1=config.test1,
                pairs=config.pairs,
                seed=config.seed,
                matrix=config.matrix,
                thickness_mm=(config.thickness_min_mm, config.thickness_max_mm),
                file_format=config.format,
                workers=config.workers,
                on_case=advance,
            )
        record.outputs += [table, config.output / "truth.csv"]
    return ()
